"""The stage of these tests; see `client_stage`. Here they look into batches as well, and patience takes no time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from client_stage import JSON_LINES, Pauses, _no_token, client, desk, make_client, pauses, platform
from desk import Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.ingest import ending, pace

__all__ = ["_no_token", "client", "desk", "make_client", "pauses", "platform"]

EXPORT = "/data/foundation/export/files"


@pytest.fixture(autouse=True)
def _no_waiting(pauses: Pauses, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads only note their pauses, as the client does."""
    monkeypatch.setattr(pace, "wait", lambda event, seconds: pauses(seconds))


@pytest.fixture
def batch_id(client: CatalogClient, desk: Desk) -> str:
    """A batch that is loading; how it was opened is not in the request log."""
    opened = client.create_batch(JSON_LINES)
    desk.forget()
    return opened


@pytest.fixture
def patience(desk: Desk, platform: Any, monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """For how long the Catalog was waited for. The emulator's clock is the one by which that is done, and moves only then.

    There are fewer looks than in earnest.
    """
    paused, clock = Pauses(), platform.platform.clock
    clock.freeze(True)

    def sleep(seconds: float) -> None:
        paused(seconds)
        clock.advance(seconds)

    monkeypatch.setattr(pace, "now", clock.now)
    monkeypatch.setattr(pace, "sleep", sleep)
    monkeypatch.setattr(pace, "LOOK_PAUSE", 10.0)
    monkeypatch.setattr(ending, "PAUSE", 0)
    return paused


@pytest.fixture
def stored(client: CatalogClient, desk: Desk, batch_id: str) -> Callable[[], dict[str, bytes]]:
    """``stored()`` gives what the platform has of the batch: the bytes of each file by its remote name."""

    def read(path: str | None = None) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {client.auth.token()}",
            "x-api-key": client.settings.client_id,
            "x-gw-ims-org-id": client.settings.ims_org_id,
            "x-sandbox-name": client.settings.sandbox_name,
        }
        params = {"path": path} if path else {}
        answer = requests.get(f"{desk.url}{EXPORT}/{batch_id}-1", params=params, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer

    def give() -> dict[str, bytes]:
        desk.hold(batch_id, "success")
        return {part["name"]: read(part["name"]).content for part in read().json()["data"]}

    return give


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
