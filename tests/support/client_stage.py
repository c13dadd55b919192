"""Fixtures of all tests of the client: an emulator that starts afresh for each, and clients that reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from desk import CRM_PROFILES, LOCAL_SECRET, Desk

from airflow_provider_catalog.api.auth import forget_tokens
from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.settings import PlatformSettings

JSON_LINES = {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}}

MakeClient = Callable[..., CatalogClient]


class Pauses(list[float]):
    """The seconds that were asked to be waited for; no time passes."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def settings_for(url: str, **changes: Any) -> PlatformSettings:
    """Give settings that reach the platform and IMS at one address, with the emulator's built-in identity."""
    fields = {
        "host": url,
        "ims_host": url,
        "client_id": "local-client",
        "client_secret": LOCAL_SECRET,
        "ims_org_id": "0123456789ABCDEF01234567@AdobeOrg",
        "sandbox_name": "dev",
        "timeout": 10.0,
    }
    return PlatformSettings(**{**fields, **changes})


@pytest.fixture(scope="session")
def platform() -> Iterator[Any]:
    """One emulator for all these tests."""
    from airflow_provider_catalog.emulator.server import running

    with running() as emulator:
        yield emulator


@pytest.fixture
def desk(platform: Any) -> Desk:
    """The emulator, as if just started, with a Catalog that does not lag, and a hand on it."""
    return Desk(platform)


@pytest.fixture(autouse=True)
def _no_token() -> None:
    """No token is left from the test before."""
    forget_tokens()


@pytest.fixture
def pauses() -> Pauses:
    """How long the client has waited, and for what."""
    return Pauses()


@pytest.fixture
def make_client(pauses: Pauses) -> Iterator[MakeClient]:
    """``make_client(url, sandbox_name="prod", attempts=2)``: settings and arguments in one; it only notes its pauses."""
    clients: list[CatalogClient] = []

    def make(url: str, **changes: Any) -> CatalogClient:
        own = ("application", "on_token", "attempts")
        arguments = {name: changes.pop(name) for name in own if name in changes}
        clients.append(CatalogClient(settings_for(url, **changes), sleep=pauses, **arguments))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(desk: Desk, make_client: MakeClient) -> CatalogClient:
    """A client that reaches the emulator."""
    return make_client(desk.url)
