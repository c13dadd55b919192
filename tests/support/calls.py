"""Calls that fail in the tests: some that may be repeated, and ``POST /batches``, which may not."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from client_stage import JSON_LINES
from desk import CRM_PROFILES

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import CatalogError

Call = Callable[[CatalogClient], Any]

BATCH = "01HP1Z0A9YZ733QCJN6AXCATHF"


def rows() -> BytesIO:
    return BytesIO(b"{}\n")


SAFE_CALLS: dict[str, tuple[str, Call]] = {
    "read": ("GET", lambda client: client.get_batch(BATCH)),
    "put": ("PUT", lambda client: client.put_file(BATCH, CRM_PROFILES, "rows.json", rows)),
    "complete": ("POST", lambda client: client.complete_batch(BATCH)),
}


def create(client: CatalogClient) -> str:
    return client.create_batch(JSON_LINES)


def raised_by(call: Call, client: CatalogClient) -> CatalogError:
    with pytest.raises(CatalogError) as caught:
        call(client)
    return caught.value
