"""Fixtures of all tests that look at the package from Airflow's side."""

from typing import Any

import pytest
from desk import Desk
from tenacity import wait_none

from airflow_provider_catalog.api import retries


@pytest.fixture
def desk(emulator: Any, connection: str) -> Desk:
    """An emulator that Airflow's default connection reaches, whose Catalog does not lag, and a hand on it."""
    return Desk(emulator)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own pauses between two tries take no time, unless the platform asks for one."""
    monkeypatch.setattr(retries, "_jitter", wait_none())
