"""`UploadFilesOperator` puts local files into a batch, as they are."""

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from desk import CRM_PROFILES, Desk
from tasks import dag, run_task

from airflow_provider_catalog.operators.batch import UploadFilesOperator

ROW = '{"personalEmail": {"address": "customer-0001@example.com"}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("day=1/part.json", "day=2/part.json", "plain/rows.json", "rows [1].json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(ROW)
    return tmp_path


def upload(batch_id: str, files: Any) -> UploadFilesOperator:
    return UploadFilesOperator(task_id="upload", batch_id=batch_id, dataset_id=CRM_PROFILES, files=files)


def names_sent(desk: Desk, batch_id: str) -> list[str]:
    """Give the remote names of the files that were put into the batch."""
    place = f"/data/foundation/import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/"
    return [sent.path.removeprefix(place) for sent in desk.sent("PUT", f"{place}*")]


def test_it_says_how_much_went_into_which_batch(folder: Path, desk: Desk) -> None:
    batch_id = desk.open_batch()
    visit = run_task(upload(batch_id, [folder / "plain/rows.json", folder / "rows [1].json"]))
    assert visit.xcoms["return_value"] == {"batch_id": batch_id, "files": 2, "bytes": 2 * len(ROW)}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ("plain/rows.json", ["rows.json"]),
        ("", ["day=1/part.json", "day=2/part.json", "plain/rows.json", "rows [1].json"]),
        ("day=1/part.json", ["day=1/part.json"]),
        ("day=*/part.json", ["day=1/part.json", "day=2/part.json"]),
        ("**/*.json", ["day=1/part.json", "day=2/part.json", "plain/rows.json", "rows [1].json"]),
        (["plain/*.json", "day=2/part.json"], ["rows.json", "day=2/part.json"]),
        ("rows [1].json", ["rows [1].json"]),
    ],
    ids=str,
)
def test_files_keep_their_names_and_partition_folders(
    files: Any, names: list[str], folder: Path, desk: Desk
) -> None:
    batch_id = desk.open_batch()
    paths = [f"{folder}/{name}" for name in files] if isinstance(files, list) else f"{folder}/{files}"
    run_task(upload(batch_id, paths))
    assert sorted(names_sent(desk, batch_id)) == sorted(names)


def test_arguments_may_be_templates(folder: Path, desk: Desk) -> None:
    batch_id = desk.open_batch()
    with dag():
        task = UploadFilesOperator(
            task_id="upload",
            batch_id="{{ params.batch }}",
            dataset_id="{{ params.dataset }}",
            files=["{{ params.folder }}/day=*/*.json", folder / "plain" / "rows.json"],
        )
    run_task(task, batch=batch_id, dataset=CRM_PROFILES, folder=str(folder))
    assert names_sent(desk, batch_id) == ["day=1/part.json", "day=2/part.json", "rows.json"]


def test_a_second_run_replaces_what_the_first_has_sent(folder: Path, desk: Desk) -> None:
    batch_id = desk.open_batch()
    visits = [run_task(upload(batch_id, str(folder / "plain/rows.json"))) for _ in range(2)]
    assert visits[0].xcoms == visits[1].xcoms
    assert [sent.status for sent in desk.sent("PUT")] == [200, 200]


def test_all_files_are_checked_before_the_first_is_sent(folder: Path, desk: Desk) -> None:
    batch_id = desk.open_batch()
    with pytest.raises(AirflowFailException, match="a file that exists"):
        run_task(upload(batch_id, [str(folder / "plain/rows.json"), str(folder / "missing.json")]))
    assert desk.sent() == []


def test_a_batch_that_is_no_longer_loading_takes_no_files(folder: Path, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    with pytest.raises(AirflowFailException, match=f"PUT /data/foundation/import/batches/{batch_id}/"):
        run_task(upload(batch_id, str(folder / "plain/rows.json")))
    assert len(desk.sent("PUT")) == 1
