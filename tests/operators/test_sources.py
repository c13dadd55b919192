"""Files of an S3 server become a batch, from the connections to the promoted rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from desk import CRM_PROFILES, Desk
from stores import BUCKET, S3
from tasks import run_task

from airflow_provider_catalog.operators.batch import UploadFilesOperator
from airflow_provider_catalog.operators.ingest import IngestFilesOperator

STORE = f"s3://landing_zone@{BUCKET}"


def row(number: int) -> dict[str, Any]:
    return {"personalEmail": {"address": f"customer-{number:04}@example.com"}}


@pytest.fixture
def rows(s3: S3) -> list[dict[str, Any]]:
    """The rows of three files in the store."""
    for number in range(3):
        s3.put(f"in/day={number}/rows.json", json.dumps(row(number)).encode() + b"\n")
    return [row(number) for number in range(3)]


def test_a_folder_of_a_store_is_ingested(rows: list[dict[str, Any]], desk: Desk) -> None:
    desk.set(promotion_seconds=0)
    ingest = IngestFilesOperator(task_id="load", dataset_id=CRM_PROFILES, files=f"{STORE}/in")
    summary = run_task(ingest).xcoms["return_value"]
    assert (summary["status"], summary["records_written"]) == ("success", 3)
    assert sorted(map(str, desk.promoted_rows())) == sorted(map(str, rows))
    names = sorted(sent.path.partition("/files/")[2] for sent in desk.sent("PUT"))
    assert names == ["day=0/rows.json", "day=1/rows.json", "day=2/rows.json"]


def test_files_that_xcom_lists_are_uploaded(rows: list[dict[str, Any]], desk: Desk) -> None:
    batch_id = desk.open_batch()
    listed = [f"{STORE}/in/day=0/rows.json", f"{STORE}/in/day=2/rows.json"]
    upload = UploadFilesOperator(task_id="up", batch_id=batch_id, dataset_id=CRM_PROFILES, files=listed)
    assert run_task(upload).xcoms["return_value"]["files"] == 2


def test_no_credential_of_the_store_reaches_the_platform(rows: list[dict[str, Any]], desk: Desk) -> None:
    batch_id = desk.open_batch()
    run_task(
        UploadFilesOperator(task_id="up", batch_id=batch_id, dataset_id=CRM_PROFILES, files=f"{STORE}/in")
    )
    sent = str([(each.path, each.query, each.headers, each.body) for each in desk.sent()])
    assert "local-s3-secret" not in sent
    assert "local-key" not in sent


def test_what_the_store_lacks_fails_at_once_before_anything_is_sent(s3: S3, desk: Desk) -> None:
    ingest = IngestFilesOperator(task_id="load", dataset_id=CRM_PROFILES, files=f"{STORE}/none")
    with pytest.raises(
        AirflowFailException, match=f"'s3://landing_zone@{BUCKET}/none', expected a file that exists"
    ):
        run_task(ingest)
    assert desk.sent() == []
