"""How somebody else tests a DAG against the emulator; the manual shows what follows."""

import pytest

from airflow_provider_catalog.emulator.server import running
from airflow_provider_catalog.emulator.settings import Settings
from airflow_provider_catalog.hooks.catalog import CatalogHook


@pytest.fixture
def local_platform(monkeypatch):
    """An emulator that promotes at once, and the connection that reaches it."""
    with running(Settings(promotion_seconds=0)) as emulator:
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        yield emulator


def test_a_dataset_is_there(local_platform):
    datasets = CatalogHook().client.list_datasets()
    assert "CRM profiles" in [dataset.name for dataset in datasets]
