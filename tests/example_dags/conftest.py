from __future__ import annotations

from collections.abc import Iterator

import pytest
from catalog_view import CatalogView

from airflow_provider_catalog.emulator.server import Emulator, running
from airflow_provider_catalog.emulator.settings import Settings
from airflow_provider_catalog.ingest import pace


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A platform that promotes at once, and whose clock moves ahead where a task is patient with it."""
    with running(Settings(promotion_seconds=0, catalog_lag=0)) as server:
        monkeypatch.setattr(pace, "now", server.platform.clock.now)
        monkeypatch.setattr(pace, "sleep", server.platform.clock.advance)
        yield server


@pytest.fixture
def platform(emulator: Emulator, connection: str) -> CatalogView:
    return CatalogView(emulator.connection)
