"""A logical attempt of a task, for the tests of what is done on its behalf."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from desk import CRM_PROFILES

from airflow_provider_catalog.ingest.identity import LogicalAttempt

FIRST = LogicalAttempt(
    dag_id="sales",
    run_id="scheduled__2026-01-01T00:00:00+00:00",
    task_id="load",
    map_index=-1,
    dataset_id=CRM_PROFILES,
    sandbox_name="dev",
    client_id="local-client",
    run_started=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    clears=0,
)


def attempt(**changes: Any) -> LogicalAttempt:
    """Give the first attempt of a task, or another one that differs from it in these fields."""
    return replace(FIRST, **changes)
