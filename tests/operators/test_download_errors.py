"""`DownloadBatchErrorsOperator` puts the rejected rows of a batch into a file, and nowhere else."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from bad_rows import DIAGNOSED, PAGE_VIEWS, THREE_KINDS, good, ingest
from desk import Desk
from tasks import dag, run_task

from airflow_provider_catalog.api.errors import CatalogError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.diagnostics import DownloadBatchErrorsOperator

CODES = {"1401": 1, "1555": 1, "EMU-CONVERSION-400": 1}
ROWS = "*/meta"


@pytest.fixture
def batch_id(desk: Desk) -> str:
    """A promoted batch that has lost three of four rows."""
    return ingest(CatalogHook().client, desk, THREE_KINDS, **DIAGNOSED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rejected" / "rows.jsonl"


def download(batch_id: str, path: Any, **arguments: Any) -> DownloadBatchErrorsOperator:
    return DownloadBatchErrorsOperator(task_id="t", batch_id=batch_id, path=path, **arguments)


def test_the_rows_are_in_the_file_and_their_number_in_the_xcom(batch_id: str, path: Path, desk: Desk) -> None:
    visit = run_task(download(batch_id, path))
    assert visit.xcoms == {
        "return_value": {"batch_id": batch_id, "path": str(path), "rows": 3, "codes": CODES},
        "adobe_dataset_url": f"{desk.url}/ui/dev/datasets/{PAGE_VIEWS}",
    }
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(len(line["_errors"]) for line in lines) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_batch_that_lost_no_row_makes_an_empty_file(path: Path, desk: Desk) -> None:
    batch_id = ingest(CatalogHook().client, desk, [good(1)])
    visit = run_task(download(batch_id, path))
    assert (visit.xcoms["return_value"]["rows"], visit.xcoms["return_value"]["codes"]) == (0, {})
    assert path.read_bytes() == b""


def test_a_second_try_makes_the_same_file(batch_id: str, path: Path, desk: Desk) -> None:
    desk.break_next({"status": 500, "headers": {"Retry-After": "0"}}, ROWS, times=6, query="*%2Fparsing*")
    with pytest.raises(CatalogError) as error:
        run_task(download(batch_id, path))
    assert not error.value.permanent
    assert os.listdir(path.parent) == []
    run_task(download(batch_id, path))
    assert len(path.read_text().splitlines()) == 3


def test_rows_that_were_not_kept_fail_the_task_at_once_and_leave_no_file(path: Path, desk: Desk) -> None:
    batch_id = ingest(CatalogHook().client, desk, THREE_KINDS, partialIngestionPercent=100)
    with pytest.raises(AirflowFailException, match="enable_error_diagnostics"):
        run_task(download(batch_id, path))
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize(
    ("status", "said"), [(403, "role may use this dataset"), (404, "belongs to the sandbox")]
)
def test_a_refusal_fails_the_task_at_once(
    status: int, said: str, batch_id: str, path: Path, desk: Desk
) -> None:
    desk.break_next({"status": status}, "*/catalog/batches/*", times=None)
    with pytest.raises(AirflowFailException, match=said):
        run_task(download(batch_id, path))
    assert len(desk.sent()) == 1


def test_arguments_may_be_templates(batch_id: str, path: Path, desk: Desk) -> None:
    with dag():
        task = download(
            "{{ params.batch }}",
            "{{ params.path }}",
            catalog_conn_id="{{ params.connection }}",
            sandbox_name="{{ params.sandbox }}",
        )
    run_task(task, batch=batch_id, path=str(path), connection="adobe_catalog_default", sandbox="dev")
    assert len(path.read_text().splitlines()) == 3
