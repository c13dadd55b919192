from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_catalog.emulator.server import Emulator, running

from .client import Client


@pytest.fixture(scope="session")
def one_emulator() -> Iterator[Emulator]:
    with running() as emulator:
        yield emulator


@pytest.fixture
def emulator(one_emulator: Emulator) -> Emulator:
    """An emulator as if just started, whose time stands still until a test advances it."""
    one_emulator.platform.reset()
    one_emulator.platform.clock.freeze(True)
    return one_emulator


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Client]:
    """A client of the emulator's sandbox ``dev``."""
    client = Client(emulator)
    with client.session:
        yield client
