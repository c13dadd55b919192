"""The desk that the tests of the client have beside the emulator: what it reads, and that nobody notices."""

from __future__ import annotations

import pytest
from desk import CRM_PROFILES, Desk

from airflow_provider_catalog.emulator.seeds import PAGE_VIEWS
from airflow_provider_catalog.emulator.server import Emulator

from .client import MULTI_LINE, Client


@pytest.fixture
def desk(emulator: Emulator) -> Desk:
    return Desk(emulator)


@pytest.fixture
def api(desk: Desk, emulator: Emulator) -> Client:
    return Client(emulator)


def ids(desk: Desk) -> list[str]:
    return [row["_id"] for row in desk.promoted_rows()]


def test_promoted_rows_are_those_of_all_active_batches(api: Client, desk: Desk) -> None:
    assert ids(desk) == []
    replaced = str(api.ingest(b'{"_id": "0"}')["externalId"])
    api.ingest(b'{"_id": "1"}\n{"_id": "2"}\n', b'{"_id": "3"}', replay={"predecessors": [f"${replaced}"]})
    api.ingest(b'[{"_id": "4"},\n{"_id": "5"}]', b' {"_id":\n"6"} {"_id": "7"}\n', inputFormat=MULTI_LINE)
    api.ingest(b'{"_id": "8"}\n{broken\n', partialIngestionPercent=50)
    api.ingest(b'{"_id": "failed"}\n{broken\n')
    api.ingest(b'{"_id": "other", "timestamp": "2024-01-01T00:00:00Z"}', dataset_id=PAGE_VIEWS)
    reverted = str(api.ingest(b'{"_id": "reverted"}')["externalId"])
    api.signal(reverted, "REVERT")
    api.put(api.open(), b'{"_id": "loading"}')
    assert ids(desk) == list("12345678")


def test_promoted_rows_are_found_however_many_files_and_batches_there_are(api: Client, desk: Desk) -> None:
    api.ingest(*(f'{{"_id": "{number}"}}'.encode() for number in range(101)))
    for number in range(101, 202):
        batch_id = api.open()
        api.put(batch_id, f'{{"_id": "{number}"}}'.encode())
        api.signal(batch_id)
        api.advance(10)
    assert ids(desk) == [str(number) for number in range(202)]


def test_the_desk_leaves_no_trace(api: Client, desk: Desk) -> None:
    batch_id = str(api.ingest(b'{"_id": "1"}')["externalId"])
    before = desk.sent()
    assert desk.batch(batch_id)["relatedObjects"] == [{"type": "dataSet", "id": CRM_PROFILES}]
    assert len(desk.promoted_rows()) == 1
    assert desk.sent() == before
