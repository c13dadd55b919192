"""Fixtures of all tests that look at the package from Airflow's side."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from desk import Desk
from tasks import IS_AIRFLOW_2
from tenacity import wait_none

from airflow_provider_catalog.api import retries
from airflow_provider_catalog.api.auth import forget_tokens
from airflow_provider_catalog.ingest import ending, pace

__all__ = ["desk", "lasting_emulator", "no_pauses", "nothing_masked"]


@pytest.fixture(scope="session")
def lasting_emulator() -> Iterator[Any]:
    """One emulator for many tests, since stopping one takes longer than most of them."""
    from airflow_provider_catalog.emulator.server import running

    with running() as emulator:
        yield emulator


@pytest.fixture
def desk(lasting_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An emulator as if just started, whose Catalog does not lag, reached by Airflow's default connection.

    Its clock is that of whoever is patient with it: a pause moves it ahead, and takes no time.
    """
    forget_tokens()
    # A reset gives the platform another clock.
    monkeypatch.setattr(pace, "now", lambda: lasting_emulator.platform.clock.now())
    monkeypatch.setattr(pace, "sleep", lambda seconds: lasting_emulator.platform.clock.advance(seconds))
    monkeypatch.setattr(pace, "wait", lambda _, seconds: lasting_emulator.platform.clock.advance(seconds))
    desk = Desk(lasting_emulator)
    monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", json.dumps(lasting_emulator.connection))
    return desk


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own pauses between two tries take no time, unless the platform asks for one."""
    monkeypatch.setattr(retries, "_jitter", wait_none())
    monkeypatch.setattr(ending, "PAUSE", 0)


def forget_masks() -> None:
    """Let Airflow mask no secret any more of those that it knows.

    Airflow 3 compiles all of them into one pattern whenever there is another one, which takes longer and longer.
    """
    if IS_AIRFLOW_2:
        return
    try:
        from airflow.sdk._shared.secrets_masker import reset_secrets_masker
    except ImportError:  # Airflow 3.0
        from airflow.sdk.execution_time.secrets_masker import reset_secrets_masker
    reset_secrets_masker()


@pytest.fixture(autouse=True)
def nothing_masked() -> None:
    """No secret is masked that the tests before had."""
    forget_masks()
