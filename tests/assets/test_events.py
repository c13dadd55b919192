"""A task that ends an ingestion tells, in the event of the dataset's asset, which batch it was and what is in it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, Asset
from desk import CRM_PROFILES, PAGE_VIEWS, Desk
from modes import MODES
from tasks import IS_AIRFLOW_2, Run, Visit, run_try

from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.assets.dataset import dataset_asset
from airflow_provider_catalog.assets.events import batch_event
from airflow_provider_catalog.operators.batch import CompleteBatchOperator
from airflow_provider_catalog.operators.ingest import IngestFilesOperator
from airflow_provider_catalog.sensors.batch import BatchSensor

ROW = '{"person": {"gender": "female"}}\n'
RECORD = {
    "status": "success",
    "externalId": "somebody-s-batch",
    "completed": 1_790_000_000_123,
    "metrics": {"inputRecordCount": 1000, "outputRecordCount": 990, "failedRecordCount": 10},
    "relatedObjects": [{"type": "batch", "id": "B0"}, {"type": "dataSet", "id": CRM_PROFILES}],
}
WAYS: dict[str, dict[str, Any]] = {
    "in the worker": {},
    "deferred": {"deferrable": True, "poll_interval": 0.05},
}

TaskMaker = Callable[..., Any]


def asset_of(dataset_id: str, sandbox_name: str = "dev") -> Any:
    return dataset_asset(
        ims_org_id="0123456789ABCDEF01234567@AdobeOrg", sandbox_name=sandbox_name, dataset_id=dataset_id
    )


PROFILES = asset_of(CRM_PROFILES)


def ends_of(task: Any, error: type[BaseException] | None = None) -> tuple[Visit, dict[str, Any]]:
    """Run a task, and give what each of its outlets tells by the outlet's URI, if it tells anything."""
    visit = Visit(task, Run())
    if error is None:
        run_try(visit)
    else:
        with pytest.raises(error):
            run_try(visit)
    told = {outlet.uri: visit.outlet_events[outlet].extra for outlet in task.outlets}
    return visit, {uri: extra for uri, extra in told.items() if extra}


def iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


@pytest.fixture(params=WAYS)
def loading(request: pytest.FixtureRequest, desk: Desk, tmp_path: Path) -> TaskMaker:
    """Makes a task that loads three rows, in each way of waiting; the platform takes a moment."""
    desk.set(promotion_seconds=0.1)
    (tmp_path / "rows.json").write_text(ROW * 3)

    def task(**arguments: Any) -> IngestFilesOperator:
        files = str(tmp_path / "rows.json")
        given = {"dataset_id": CRM_PROFILES, "files": files, **WAYS[request.param], **arguments}
        return IngestFilesOperator(task_id="load", **given)

    return task


@pytest.fixture(params=MODES)
def waiting(request: pytest.FixtureRequest) -> TaskMaker:
    """Makes a sensor for a batch, in each mode."""
    if request.param == "reschedule":
        request.getfixturevalue("airflow_db")  # where Airflow 2 looks for the first reschedule

    def task(batch_id: str, **arguments: Any) -> BatchSensor:
        settings = {"poke_interval": 0.02, "timeout": 20, **MODES[request.param], **arguments}
        return BatchSensor(task_id="wait", batch_id=batch_id, **settings)

    return task


@pytest.fixture(params=["at once", "later"])
def promoted(request: pytest.FixtureRequest, desk: Desk) -> str:
    """A batch that is promoted, or soon will be."""
    batch_id = desk.open_batch()
    if request.param == "later":
        desk.show(batch_id, status="staging")
    desk.show(batch_id, **RECORD)
    return batch_id


def test_an_ingestion_tells_its_batch(loading: TaskMaker, desk: Desk) -> None:
    visit, told = ends_of(loading(outlets=[PROFILES]))
    [stored] = desk.batches()
    assert told == {
        PROFILES.uri: {
            "dataset_id": CRM_PROFILES,
            "batch_id": visit.xcoms["batch_id"],
            "external_id": stored.external_id,
            "completed": iso(desk.batch(stored.id)["completed"]),
            "records_read": 3,
            "records_written": 3,
            "records_failed": 0,
        }
    }


def test_a_sensor_tells_the_batch_that_it_has_waited_for(promoted: str, waiting: TaskMaker) -> None:
    _, told = ends_of(waiting(promoted, outlets=[PROFILES]))
    assert told == {
        PROFILES.uri: {
            "dataset_id": CRM_PROFILES,
            "batch_id": promoted,
            "external_id": "somebody-s-batch",
            "completed": "2026-09-21T14:13:20.123+00:00",
            "records_read": 1000,
            "records_written": 990,
            "records_failed": 10,
        }
    }


def test_only_the_asset_of_the_dataset_is_told_of_it(
    loading: TaskMaker, caplog: pytest.LogCaptureFixture
) -> None:
    others = [asset_of(PAGE_VIEWS), asset_of(CRM_PROFILES, "prod"), Asset("s3://bucket/report")]
    visit, told = ends_of(loading(outlets=[*others, PROFILES]))
    assert set(told) == {PROFILES.uri}
    warned = [record.getMessage() for record in caplog.records if "makes an event" in record.getMessage()]
    assert warned == [
        f"Airflow makes an event of the asset {other.uri}, but batch {visit.xcoms['batch_id']} "
        f"has gone into {PROFILES.uri}."
        for other in others[:2]
    ]


def test_another_sandbox_than_the_connections_has_an_asset_of_its_own(loading: TaskMaker) -> None:
    production = asset_of(CRM_PROFILES, "prod")
    _, told = ends_of(loading(sandbox_name="prod", outlets=[production]))
    assert set(told) == {production.uri}


@pytest.mark.skipif(IS_AIRFLOW_2, reason="with Airflow 2 an asset has no name")
def test_the_asset_may_have_a_name_of_its_own(loading: TaskMaker) -> None:
    named = Asset(name="profiles", uri=PROFILES.uri)
    _, told = ends_of(loading(outlets=[named]))
    assert set(told) == {PROFILES.uri}


def test_what_the_user_tells_stays(loading: TaskMaker) -> None:
    task = loading(outlets=[PROFILES], pre_execute=lambda context: None)
    visit = Visit(task, Run())
    visit.outlet_events[PROFILES].extra["reason"] = "monthly"
    run_try(visit)
    extra = visit.outlet_events[PROFILES].extra
    assert (extra["reason"], extra["batch_id"]) == ("monthly", visit.xcoms["batch_id"])


def test_a_task_without_such_an_outlet_tells_nothing(loading: TaskMaker) -> None:
    visit = Visit(loading(outlets=[Asset("s3://bucket/report")]), Run())
    run_try(visit)
    assert list(visit.outlet_events) == []


def test_a_failed_ingestion_tells_nothing(loading: TaskMaker, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('{"person": {"gender": 5}}\n')
    _, told = ends_of(loading(outlets=[PROFILES]), AirflowFailException)
    assert told == {}


def test_an_ingestion_with_too_many_rejected_rows_tells_nothing(loading: TaskMaker, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(ROW * 9 + '{"person": {"gender": 5}}\n')
    task = loading(outlets=[PROFILES], partial_ingestion_percent=50, fail_on_rejected=1)
    visit, told = ends_of(task, AirflowFailException)
    assert visit.xcoms["batch_summary"]["status"] == "success"
    assert told == {}


@pytest.mark.parametrize(
    ("arguments", "error"), [({}, AirflowFailException), ({"soft_fail": True}, AirflowSkipException)], ids=str
)
def test_a_sensor_whose_batch_has_failed_tells_nothing(
    arguments: dict[str, Any], error: type[BaseException], waiting: TaskMaker, desk: Desk
) -> None:
    _, told = ends_of(waiting(desk.open_batch("failed"), outlets=[PROFILES], **arguments), error)
    assert told == {}


def test_a_signal_is_no_promotion(desk: Desk) -> None:
    task = CompleteBatchOperator(task_id="complete", batch_id=desk.open_batch(), outlets=[PROFILES])
    assert ends_of(task)[1] == {}


def test_what_the_platform_does_not_say_is_none() -> None:
    assert batch_event(Batch("B1", "success"), "D1") == {
        "dataset_id": "D1",
        "batch_id": "B1",
        **dict.fromkeys(("external_id", "completed", "records_read", "records_written", "records_failed")),
    }
