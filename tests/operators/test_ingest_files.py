"""`IngestFilesOperator` brings files into one promoted batch."""

from pathlib import Path
from typing import Any

import pytest
from desk import CRM_PROFILES, Desk
from tasks import dag, run_task

from airflow_provider_catalog.operators.ingest import IngestFilesOperator

FILE = "/data/foundation/import/batches/*/files/*"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text('{"person": {"name": {"firstName": "a"}}}\n')
    return path


def ingest(files: Any, **arguments: Any) -> IngestFilesOperator:
    return IngestFilesOperator(task_id="load", dataset_id=CRM_PROFILES, files=files, dag=dag(), **arguments)


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_files_become_one_promoted_batch(rows: Path, desk: Desk, deferrable: bool) -> None:
    desk.set(promotion_seconds=0)
    visit = run_task(ingest(rows, deferrable=deferrable, poll_interval=0.1))
    print([(s.method, s.path, s.status) for s in desk.sent()])
    print(visit.xcoms)
    assert visit.xcoms["return_value"]["status"] == "success"
    assert len(desk.sent("POST", "/data/foundation/import/batches")) == 1
