"""`UploadFilesOperator` puts local files into a batch, as they are."""

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from desk import CRM_PROFILES, Desk
from tasks import dag, run_task

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.ingest import plan
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
            files=["{{ params.folder }}/day=*/*.json", folder / "{{ params.plain }}" / "*.json"],
        )
    run_task(task, batch=batch_id, dataset=CRM_PROFILES, folder=str(folder), plain="plain")
    assert sorted(names_sent(desk, batch_id)) == ["day=1/part.json", "day=2/part.json", "rows.json"]


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


class TestLargeFiles:
    """How they are cut depends on the batch's format, which the Catalog knows."""

    @pytest.fixture(autouse=True)
    def small_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One upload has at most 100 bytes."""
        monkeypatch.setattr(plan, "SMALL_FILE_LIMIT", 100)

    @pytest.fixture
    def large(self, tmp_path: Path) -> Path:
        path = tmp_path / "rows.json"
        path.write_text(ROW * 3)
        return path

    def opened(self, **input_format: Any) -> str:
        payload = {"datasetId": CRM_PROFILES, "inputFormat": input_format}
        return CatalogHook().client.create_batch(payload)

    def test_of_json_lines_are_cut(self, large: Path, desk: Desk) -> None:
        batch_id = self.opened(format="json")
        assert run_task(upload(batch_id, large)).xcoms["return_value"] == {
            "batch_id": batch_id,
            "files": 3,
            "bytes": 3 * len(ROW),
        }
        names = sorted(names_sent(desk, batch_id))
        assert names == [f"rows.part-0000{number}-of-00003.json" for number in (1, 2, 3)]

    def test_of_a_format_that_cannot_be_cut_go_in_chunks(self, large: Path, desk: Desk) -> None:
        batch_id = self.opened(format="json", isMultiLineJson=True)
        assert run_task(upload(batch_id, large)).xcoms["return_value"]["files"] == 1
        assert len(desk.sent("PATCH")) == 1

    def test_wait_until_the_catalog_shows_the_batch(self, large: Path, desk: Desk) -> None:
        desk.freeze()
        desk.set(catalog_lag=10)
        run_task(upload(self.opened(format="json"), large))
        assert len(desk.sent("PUT")) == 3

    def test_of_a_batch_that_the_catalog_never_shows_are_not_sent(self, large: Path, desk: Desk) -> None:
        with pytest.raises(AirflowFailException, match="404"):
            run_task(upload("01HP1Z0A9YZ733QCJN6AXCATHF", large))
        assert desk.sent("PUT") == []

    def test_can_be_joined_ones(self, folder: Path, desk: Desk) -> None:
        batch_id = self.opened(format="json")
        for name in ("a", "b", "c"):
            (folder / "plain" / name).write_text("{}\n")
        join = UploadFilesOperator(
            task_id="up", batch_id=batch_id, dataset_id=CRM_PROFILES, files=f"{folder}/plain/?", coalesce=True
        )
        run_task(join)
        assert names_sent(desk, batch_id) == ["joined-00001-of-00001.json"]


def test_a_killed_upload_stops_and_leaves_the_batch_open(folder: Path, desk: Desk) -> None:
    batch_id = desk.open_batch()
    task = upload(batch_id, f"{folder}/**/*.json")
    task.on_kill()
    with pytest.raises(AirflowException, match="The task was killed"):
        run_task(task)
    assert desk.batch(batch_id)["status"] == "loading"


@pytest.mark.parametrize("given", [0, 33, "4"])
def test_the_number_of_uploads_at_once_is_limited(folder: Path, desk: Desk, given: Any) -> None:
    task = UploadFilesOperator(
        task_id="up", batch_id="B", dataset_id=CRM_PROFILES, files=f"{folder}/*", max_parallel_uploads=given
    )
    with pytest.raises(AirflowFailException, match="max_parallel_uploads: got"):
        run_task(task)
    assert desk.sent() == []
