"""Batches with bad rows. Every row holds a mark that must be found nowhere but in the file of rejected rows."""

from __future__ import annotations

import io
import json
import time
from typing import Any

from desk import Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.statuses import Phase

PAGE_VIEWS = "5ea2b7c40f3d9118ab5c6e34"
MARK = "customer-cell"
DIAGNOSED = {"enableErrorDiagnostics": True, "partialIngestionPercent": 100}


def good(number: int) -> str:
    return json.dumps({"_id": f"{MARK}-{number}", "timestamp": "2024-03-28T19:00:00Z"})


def unparsable(number: int) -> str:
    return f"{{_id: '{MARK}-{number}'"


def incomplete(number: int) -> str:
    return json.dumps({"_id": f"{MARK}-{number}", "eventType": f"{MARK}-view"})


def mistyped(number: int) -> str:
    return json.dumps({"_id": [f"{MARK}-{number}"], "timestamp": "2024-03-28T19:00:00Z"})


THREE_KINDS = [unparsable(1), incomplete(2), good(3), mistyped(4)]


def ingest(client: CatalogClient, desk: Desk, rows: list[str], **fields: Any) -> str:
    """Take rows through a batch to its end, and give its id; nothing of that is in the request log."""
    content = "".join(f"{row}\n" for row in rows).encode()
    batch_id = client.create_batch({"datasetId": PAGE_VIEWS, "inputFormat": {"format": "json"}, **fields})
    client.put_file(batch_id, PAGE_VIEWS, "rows.json", lambda: _Rows(content))
    client.complete_batch(batch_id)
    desk.advance(60)
    wait_for_the_end(client, batch_id)
    desk.forget()
    return batch_id


def wait_for_the_end(client: CatalogClient, batch_id: str) -> None:
    """Wait while the emulator reads, which takes real time, whatever its clock says."""
    deadline = time.monotonic() + 120
    while client.get_batch(batch_id).phase is Phase.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)


class _Rows(io.BytesIO):
    def __len__(self) -> int:
        return len(self.getvalue())
