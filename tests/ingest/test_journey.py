"""The whole way of files into a dataset, without Airflow: open, upload, complete, wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import CRM_PROFILES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import BatchFailedError, CatalogError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.payloads import InputFormat, create_batch_payload, input_format_payload
from airflow_provider_catalog.ingest.files import find_files
from airflow_provider_catalog.ingest.plan import plan_upload
from airflow_provider_catalog.ingest.upload import Upload
from airflow_provider_catalog.ingest.watch import BatchWatch

NOON = 1_711_652_400.0

ROW = '{"person": {"name": {"firstName": "Customer %d"}}}'
ROWS = [ROW % number for number in range(5)]

CONTENTS: dict[str, tuple[InputFormat, str]] = {
    "one object a line": ("json", "\n".join(ROWS)),
    "one array": ("multiline-json", "[" + ",\n".join(ROWS) + "]"),
}


def ingest(client: CatalogClient, input_format: InputFormat) -> str:
    batch_id = client.create_batch(create_batch_payload(dataset_id=CRM_PROFILES, input_format=input_format))
    plan = plan_upload(find_files("*.json"), input_format_payload(input_format))
    Upload(client, Batch(batch_id, "loading"), CRM_PROFILES, plan).run()
    client.complete_batch(batch_id)
    return batch_id


def wait(client: CatalogClient, desk: Desk, batch_id: str) -> Batch:
    """Look once a minute, of which none passes."""
    watch = BatchWatch(batch_id)
    for look in range(60):
        now = NOON + 60 * look
        try:
            batch = client.get_batch(batch_id)
        except CatalogError as error:
            watch.missed(error, now)
        else:
            if watch.saw(batch, now):
                return batch
        desk.advance(60)
    raise AssertionError("the batch has not ended in an hour")


@pytest.mark.parametrize(("input_format", "content"), CONTENTS.values(), ids=list(CONTENTS))
def test_rows_are_counted_when_they_are_in(
    client: CatalogClient, desk: Desk, folder: Path, input_format: InputFormat, content: str
) -> None:
    for name in ("a.json", "b.json"):
        (folder / name).write_text(content)
    batch_id = ingest(client, input_format)
    batch = wait(client, desk, batch_id)
    assert batch.summary == {
        "id": batch_id,
        "status": "success",
        "records_read": 10,
        "records_written": 10,
        "records_failed": 0,
        "errors": [],
    }


def test_rows_that_cannot_be_read_are_named(client: CatalogClient, desk: Desk, folder: Path) -> None:
    (folder / "a.json").write_text("\n".join([*ROWS, '{"person": ']))
    batch_id = ingest(client, "json")
    with pytest.raises(
        BatchFailedError, match=f"Batch {batch_id} ended as 'failed'. Errors: .*INGEST"
    ) as caught:
        wait(client, desk, batch_id)
    assert caught.value.permanent


def test_an_array_that_is_said_to_be_lines_fails(client: CatalogClient, desk: Desk, folder: Path) -> None:
    (folder / "a.json").write_text(CONTENTS["one array"][1])
    with pytest.raises(BatchFailedError):
        wait(client, desk, ingest(client, "json"))


def test_trouble_on_the_way_changes_nothing(client: CatalogClient, desk: Desk, folder: Path) -> None:
    (folder / "a.json").write_text(CONTENTS["one object a line"][1])
    desk.break_next({"status": 429}, path="*/import/batches")
    desk.break_next({"drop": "after"}, path="*/files/*")
    desk.break_next({"drop": "after"}, path="*/import/batches/*", query="action=COMPLETE")
    desk.break_next({"status": 502, "body": "<html></html>"}, path="*/catalog/*", times=20)
    desk.set(token_lifetime=30, catalog_lag=90)
    batch = wait(client, desk, ingest(client, "json"))
    assert (batch.status, batch.records_read) == ("success", 5)


def test_a_batch_that_nobody_completes_is_abandoned(client: CatalogClient, desk: Desk) -> None:
    batch_id = client.create_batch(create_batch_payload(dataset_id=CRM_PROFILES, input_format="json"))
    desk.set(abandon_after=600)
    other = client.create_batch(create_batch_payload(dataset_id=CRM_PROFILES, input_format="json"))
    with pytest.raises(BatchFailedError, match="abandoned"):
        wait(client, desk, other)
    assert client.get_batch(batch_id).status == "loading"
