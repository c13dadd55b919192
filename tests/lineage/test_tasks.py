"""Each task tells OpenLineage of its files, its dataset and its batch, in each way in which it may end."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator
from desk import BATCHES, CRM_PROFILES, LOCAL_SECRET, Desk
from modes import MODES
from tasks import Run, Visit, run_task, run_try

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.operators.ingest import IngestFilesOperator
from airflow_provider_catalog.sensors.batch import BatchSensor, DatasetBatchSensor

Told = Callable[..., Any]

ROW = '{"person": {"gender": "female"}}\n'
BAD_ROW = '{"person": {"gender": "Q7-not-a-gender"}}\n'
NAMESPACE = "aep://0123456789ABCDEF01234567%40AdobeOrg"
NAME = f"dev/{CRM_PROFILES}"
SCHEMA_CALLS = ["/data/foundation/catalog/dataSets/*", "/data/foundation/schemaregistry/*"]

WAYS: dict[str, dict[str, Any]] = {
    "in the worker": {"poll_interval": 60},
    "deferred": {"deferrable": True, "poll_interval": 0.05},
}
COUNTS = {"inputRecordCount": 10, "outputRecordCount": 9, "failedRecordCount": 1}


@pytest.fixture
def quick(desk: Desk) -> Desk:
    """A platform that promotes a batch as soon as it is complete."""
    desk.set(promotion_seconds=0)
    return desk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, of two rows and one."""
    (tmp_path / "a.json").write_text(ROW * 2)
    (tmp_path / "b.json").write_text(ROW)
    return tmp_path


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, listening: None) -> dict[str, Any]:
    """The arguments for each way in which an operator may wait."""
    return WAYS[request.param]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, listening: None) -> dict[str, Any]:
    """The arguments for each way in which a sensor may wait."""
    if request.param == "reschedule":
        request.getfixturevalue("airflow_db")  # where Airflow 2 looks for the first reschedule
    return {"poke_interval": 0.02, "timeout": 20, **MODES[request.param]}


def load(folder: Path, **arguments: Any) -> IngestFilesOperator:
    given: dict[str, Any] = {"dataset_id": CRM_PROFILES, "files": f"{folder}/*.json", **arguments}
    return IngestFilesOperator(task_id="load", **given)


def failed(task: BaseOperator, error: type[BaseException] = AirflowFailException) -> Visit:
    """Run a task that fails, and give what it has handed on."""
    visit = Visit(task, Run())
    with pytest.raises(error):
        run_try(visit)
    return visit


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def batch_of(lineage: Any) -> dict[str, Any]:
    """What is told of the batch, without what every facet has."""
    facet = lineage["run_facets"]["adobe_batch"]
    return {name: value for name, value in facet.items() if not name.startswith("_")}


def statistics_of(lineage: Any) -> dict[str, Any] | None:
    [output] = lineage["outputs"]
    facet = output.get("outputFacets", {}).get("outputStatistics")
    return facet and {name: value for name, value in facet.items() if not name.startswith("_")}


def columns_of(dataset: dict[str, Any]) -> dict[str, str]:
    return {field["name"]: field["type"] for field in dataset["facets"]["schema"]["fields"]}


class TestIngestFiles:
    def test_tells_of_its_dataset_before_it_begins(self, folder: Path, desk: Desk, told: Told) -> None:
        task = load(folder)
        visit = Visit(task, Run())
        visit.worker_task = task
        lineage = told(visit, "start")
        assert names(lineage["outputs"]) == [(NAMESPACE, NAME)]
        assert (lineage["inputs"], lineage["run_facets"]) == ([], {})
        assert desk.sent() == []

    def test_tells_of_files_dataset_and_batch(
        self, folder: Path, quick: Desk, way: dict[str, Any], told: Told
    ) -> None:
        visit = run_task(load(folder, **way))
        lineage = told(visit)
        assert names(lineage["inputs"]) == [("file", f"{folder}/a.json"), ("file", f"{folder}/b.json")]
        assert names(lineage["outputs"]) == [(NAMESPACE, NAME)]
        assert columns_of(lineage["outputs"][0])["person.name.firstName"] == "string"
        assert statistics_of(lineage) == {"rowCount": 3, "size": len(ROW) * 3, "fileCount": 2}
        batch_id = visit.xcoms["batch_id"]
        assert batch_of(lineage) == {
            "batchId": batch_id,
            "externalId": quick.batch(batch_id)["externalId"],
            "status": "success",
            "recordsRead": 3,
            "recordsWritten": 3,
            "recordsFailed": 0,
            "link": f"{quick.url}/ui/dev/datasets/{CRM_PROFILES}",
        }

    def test_tells_the_same_of_a_batch_that_fails(
        self, folder: Path, quick: Desk, way: dict[str, Any], told: Told
    ) -> None:
        (folder / "b.json").write_text(BAD_ROW)
        visit = failed(load(folder, **way))
        lineage = told(visit, "failure")
        assert names(lineage["inputs"]) == [("file", f"{folder}/a.json"), ("file", f"{folder}/b.json")]
        assert names(lineage["outputs"]) == [(NAMESPACE, NAME)]
        assert columns_of(lineage["outputs"][0])["person.name.firstName"] == "string"
        assert statistics_of(lineage) is None
        batch = batch_of(lineage)
        assert (batch["batchId"], batch["status"]) == (visit.xcoms["batch_id"], "failed")
        assert (batch["recordsRead"], batch["recordsFailed"]) == (3, 1)
        assert batch["externalId"] == quick.batch(batch["batchId"])["externalId"]

    def test_counts_what_is_in_the_dataset_also_where_too_many_rows_were_rejected(
        self, folder: Path, quick: Desk, way: dict[str, Any], told: Told
    ) -> None:
        (folder / "b.json").write_text(BAD_ROW)
        task = load(folder, partial_ingestion_percent=90, fail_on_rejected=1, **way)
        lineage = told(failed(task), "failure")
        assert statistics_of(lineage)["rowCount"] == 2
        assert (batch_of(lineage)["status"], batch_of(lineage)["recordsFailed"]) == ("success", 1)

    def test_tells_what_was_asked_for_if_it_fails_before_it_has_found_a_file(
        self, tmp_path: Path, desk: Desk, told: Told
    ) -> None:
        lineage = told(failed(load(tmp_path / "missing")), "failure")
        assert names(lineage["inputs"]) == [("file", f"{tmp_path}/missing")]
        assert names(lineage["outputs"]) == [(NAMESPACE, NAME)]
        assert (statistics_of(lineage), lineage["run_facets"]) == (None, {})

    def test_tells_of_its_batch_if_it_fails_during_the_upload(
        self, folder: Path, quick: Desk, told: Told
    ) -> None:
        quick.break_next({"status": 403}, "*/files/*", times=None)
        visit = failed(load(folder))
        lineage = told(visit, "failure")
        assert (batch_of(lineage)["batchId"], batch_of(lineage)["status"]) == (
            visit.xcoms["batch_id"],
            "loading",
        )
        assert statistics_of(lineage) is None

    def test_a_try_that_finds_nothing_left_to_upload_tells_what_was_asked_for(
        self, folder: Path, quick: Desk, told: Told
    ) -> None:
        run_task(load(folder))
        lineage = told(run_try(Visit(load(folder), Run(), try_number=2)))
        assert names(lineage["inputs"]) == [("file", str(folder))]
        assert statistics_of(lineage) == {"rowCount": 3}

    def test_reads_no_schema_that_was_read_for_the_validation(
        self, folder: Path, quick: Desk, told: Told
    ) -> None:
        visit = run_task(load(folder, validate="schema"))
        quick.forget()
        assert columns_of(told(visit)["outputs"][0])["person.name.firstName"] == "string"
        assert quick.sent() == []


class TestTheChain:
    def test_the_task_that_opens_the_batch_tells_of_it_alone(self, desk: Desk, told: Told) -> None:
        visit = run_task(CreateBatchOperator(task_id="open", dataset_id=CRM_PROFILES))
        desk.forget()
        lineage = told(visit)
        batch_id = visit.xcoms["return_value"]
        assert (lineage["inputs"], lineage["outputs"], desk.sent()) == ([], [], [])
        assert batch_of(lineage) == {
            "batchId": batch_id,
            "externalId": desk.batch(batch_id)["externalId"],
            "status": "loading",
            "link": f"{desk.url}/ui/dev/datasets/{CRM_PROFILES}",
        }

    def test_the_task_that_uploads_tells_of_files_and_dataset(
        self, folder: Path, desk: Desk, told: Told
    ) -> None:
        batch_id = desk.open_batch()
        lineage = told(run_task(self.upload(batch_id, folder)))
        assert names(lineage["inputs"]) == [("file", f"{folder}/a.json"), ("file", f"{folder}/b.json")]
        assert names(lineage["outputs"]) == [(NAMESPACE, NAME)]
        assert statistics_of(lineage) == {"size": len(ROW) * 3, "fileCount": 2}
        assert batch_of(lineage)["batchId"] == batch_id

    def test_an_upload_that_fails_has_put_nothing_into_the_dataset(
        self, folder: Path, desk: Desk, told: Told
    ) -> None:
        batch_id = desk.open_batch()
        desk.break_next({"status": 403}, "*/files/*", times=None)
        lineage = told(failed(self.upload(batch_id, folder)), "failure")
        assert names(lineage["inputs"]) == [("file", f"{folder}/a.json"), ("file", f"{folder}/b.json")]
        assert statistics_of(lineage) is None

    def test_the_task_that_completes_the_batch_tells_of_it_alone(
        self, folder: Path, desk: Desk, told: Told
    ) -> None:
        batch_id = desk.open_batch()
        run_task(self.upload(batch_id, folder))
        lineage = told(run_task(CompleteBatchOperator(task_id="complete", batch_id=batch_id)))
        assert (lineage["inputs"], lineage["outputs"]) == ([], [])
        assert batch_of(lineage) == {"batchId": batch_id}

    def upload(self, batch_id: str, folder: Path) -> UploadFilesOperator:
        return UploadFilesOperator(
            task_id="upload", batch_id=batch_id, dataset_id=CRM_PROFILES, files=str(folder)
        )


class TestTheSensorOfABatch:
    @pytest.fixture
    def running(self, desk: Desk) -> Callable[[str], str]:
        """Opens a batch that is still running at the first look, and in this status from then on."""

        def open_batch(status: str) -> str:
            batch_id = desk.open_batch(status, metrics=COUNTS)
            dataset = {"type": "dataSet", "id": CRM_PROFILES}
            desk.show(batch_id, status="processing", externalId=batch_id, relatedObjects=[dataset])
            return batch_id

        return open_batch

    def test_tells_what_the_batch_has_brought(
        self, running: Callable[[str], str], desk: Desk, mode: dict[str, Any], told: Told
    ) -> None:
        batch_id = running("success")
        lineage = told(run_task(BatchSensor(task_id="wait", batch_id=batch_id, **mode)))
        assert lineage["inputs"] == []
        assert names(lineage["outputs"]) == [(NAMESPACE, NAME)]
        assert columns_of(lineage["outputs"][0])["person.name.firstName"] == "string"
        assert statistics_of(lineage) == {"rowCount": 9}
        assert batch_of(lineage) == {
            "batchId": batch_id,
            "externalId": batch_id,
            "status": "success",
            "recordsRead": 10,
            "recordsWritten": 9,
            "recordsFailed": 1,
            "link": f"{desk.url}/ui/dev/datasets/{CRM_PROFILES}",
        }

    def test_tells_of_a_batch_that_has_failed(
        self, running: Callable[[str], str], mode: dict[str, Any], told: Told
    ) -> None:
        batch_id = running("failed")
        lineage = told(failed(BatchSensor(task_id="wait", batch_id=batch_id, **mode)), "failure")
        assert names(lineage["outputs"]) == [(NAMESPACE, NAME)]
        assert statistics_of(lineage) is None
        assert (
            batch_of(lineage).items() >= {"batchId": batch_id, "status": "failed", "recordsFailed": 1}.items()
        )

    def test_tells_of_its_batch_before_it_begins(self, desk: Desk, told: Told) -> None:
        visit = Visit(BatchSensor(task_id="wait", batch_id="01ABC"), Run())
        visit.worker_task = visit.task
        lineage = told(visit, "start")
        assert (batch_of(lineage), lineage["outputs"], desk.sent()) == ({"batchId": "01ABC"}, [], [])


class TestTheSensorOfADataset:
    def test_tells_of_its_dataset_as_what_the_run_is_about_to_read(
        self, desk: Desk, mode: dict[str, Any], told: Told
    ) -> None:
        desk.set(empty_batch="success", promotion_seconds=0)
        desk.break_next({"status": 200, "body": {}}, BATCHES)  # nothing is there at the first look
        batch_id = desk.open_batch()
        CatalogHook().client.complete_batch(batch_id)
        task = DatasetBatchSensor(task_id="wait", dataset_id=CRM_PROFILES, since="2020-01-01", **mode)
        lineage = told(run_task(task))
        assert names(lineage["inputs"]) == [(NAMESPACE, NAME)]
        assert columns_of(lineage["inputs"][0])["person.name.firstName"] == "string"
        assert (lineage["outputs"], lineage["run_facets"]) == ([], {})


class TestNothingLeaks:
    def test_neither_secrets_nor_rows_are_told(self, folder: Path, quick: Desk, told: Told) -> None:
        (folder / "b.json").write_text(BAD_ROW)
        visit = failed(load(folder))
        text = json.dumps([told(visit, moment) for moment in ("start", "complete", "failure")])
        tokens = quick.emulator.issued_tokens
        assert tokens
        assert not [secret for secret in (LOCAL_SECRET, "Q7-not-a-gender", *tokens) if secret in text]


class TestTrouble:
    def test_without_a_schema_everything_else_is_told(self, folder: Path, quick: Desk, told: Told) -> None:
        visit = run_task(load(folder))
        for path in SCHEMA_CALLS:
            quick.break_next({"status": 503}, path, times=None)
        lineage = told(visit)
        assert "schema" not in lineage["outputs"][0].get("facets", {})
        assert statistics_of(lineage) == {"rowCount": 3, "size": len(ROW) * 3, "fileCount": 2}

    def test_with_a_schema_that_is_deeper_than_python_reads_everything_else_is_told(
        self,
        folder: Path,
        quick: Desk,
        told: Told,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        schema: dict[str, Any] = {"type": "string"}
        # Airflow 3.0 lets Python go deeper than it would.
        for _ in range(2 * sys.getrecursionlimit()):
            schema = {"type": "object", "properties": {"a": schema}}
        visit = run_task(load(folder))
        monkeypatch.setattr("airflow_provider_catalog.lineage.events.read_dataset_schema", lambda *_: schema)
        lineage = told(visit)
        assert "schema" not in lineage["outputs"][0].get("facets", {})
        assert statistics_of(lineage) == {"rowCount": 3, "size": len(ROW) * 3, "fileCount": 2}
        assert "without the schema, which can't be understood: RecursionError(" in caplog.text

    def test_without_a_connection_the_files_are_told(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, told: Told
    ) -> None:
        monkeypatch.delenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", raising=False)
        task = load(folder)
        visit = Visit(task, Run())
        visit.worker_task = task
        lineage = told(visit, "failure")
        assert names(lineage["inputs"]) == [("file", str(folder))]
        assert lineage["outputs"] == []


class TestWithoutOpenLineage:
    def test_no_request_is_added(self, folder: Path, quick: Desk) -> None:
        run_task(load(folder, **WAYS["deferred"]))
        assert not [sent for path in SCHEMA_CALLS for sent in quick.sent(path=path)]

    def test_nothing_is_handed_on_to_the_process_after_a_deferral(
        self, folder: Path, quick: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_catalog.lineage import notes

        monkeypatch.setattr(notes, "LISTENER", "not loaded")
        [deferral] = run_task(load(folder, **WAYS["deferred"])).deferrals
        assert deferral.kwargs == {"try_number": 1}
