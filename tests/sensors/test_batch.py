"""`BatchSensor` ends with its batch, the same way in each of its modes."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from desk import Desk
from tasks import Run, Visit, dag, run_task

from airflow_provider_catalog.api.errors import LostSightError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.sensors.batch import BatchSensor

Wait = Callable[..., Visit]

COUNTS = {"inputRecordCount": 10, "outputRecordCount": 9, "failedRecordCount": 1}
ERRORS = [
    {"code": "INGEST-1401-400", "description": "The row is corrupt.", "recordCount": 1},
    {"code": "INGEST-1212-400"},
]


@pytest.mark.parametrize("status", ["success", "active", "SUCCESS", "Active"])
def test_it_succeeds_when_the_batch_is(status: str, wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch(status, metrics=COUNTS)
    assert wait(batch_id).xcoms["return_value"] == {
        "id": batch_id,
        "status": status.lower(),
        "records_read": 10,
        "records_written": 9,
        "records_failed": 1,
        "errors": [],
    }


def test_counts_that_the_platform_does_not_give_are_none(wait: Wait, desk: Desk) -> None:
    summary = wait(desk.open_batch("success", metrics={})).xcoms["return_value"]
    assert (summary["records_read"], summary["records_written"], summary["records_failed"]) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize("status", ["failed", "failure", "aborted", "abandoned", "Failed"])
def test_it_fails_at_once_and_gives_the_platforms_reasons_when_the_batch_is(
    status: str, wait: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch(status, errors=ERRORS)
    with pytest.raises(AirflowFailException) as error:
        wait(batch_id)
    for part in (batch_id, status.lower(), "INGEST-1401-400", "The row is corrupt.", "INGEST-1212-400"):
        assert part in str(error.value)
    assert desk.looks() == 1


def test_it_fails_as_soon_as_a_running_batch_does(wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("failed", errors=ERRORS)
    desk.show(batch_id, status="processing")
    with pytest.raises(AirflowFailException, match="INGEST-1401-400"):
        wait(batch_id)
    assert desk.looks() == 2


RUNNING = [
    "loading",
    "loaded",
    "queued",
    "staging",
    "processing",
    "staged",
    "retrying",
    "stalled",
    "Processing",
]


@pytest.mark.parametrize("status", RUNNING)
def test_it_waits_while_the_batch_is(status: str, wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    for _ in range(2):
        desk.show(batch_id, status=status)
    assert wait(batch_id).xcoms["return_value"]["status"] == "success"
    assert desk.looks() == 3


@pytest.mark.parametrize("record", [{"status": "reticulating"}, {"status": ""}, {}], ids=str)
def test_a_status_that_nobody_has_documented_is_taken_for_running_with_a_warning(
    record: dict[str, str], wait: Wait, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, **record)
    wait(batch_id)
    assert f"{record.get('status') or 'unknown'!r}, which is taken for running" in warnings(caplog)


def test_a_platform_that_retries_is_worth_a_warning(
    wait: Wait, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="retrying", errors=ERRORS)
    wait(batch_id)
    assert f"Batch {batch_id} is retrying" in warnings(caplog)
    assert "INGEST-1401-400" in warnings(caplog)


def test_a_status_is_told_once_as_long_as_it_lasts(
    wait_on: Wait, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = desk.open_batch("success")
    for status in ("retrying", "retrying", "retrying", "processing", "retrying"):
        desk.show(batch_id, status=status)
    wait_on(batch_id)
    told = warnings(caplog).count("is retrying")
    # A trigger lives in another process than the sensor's first look, so it tells the first one again.
    assert told in (2, 3)


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelname == "WARNING")


@pytest.mark.parametrize("grace", [3600, 0.0])
def test_a_stalled_batch_fails_the_wait_after_the_grace(grace: float, wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    stalled_since = time.time() - grace
    for _ in range(3):
        desk.show(batch_id, status="stalled", updated=int(stalled_since * 1000), errors=ERRORS)
    with pytest.raises(AirflowFailException, match=r"is stalled.*Ask Adobe's support.*INGEST-1401-400"):
        wait(batch_id, stalled_grace=grace)
    assert desk.looks() == 1


def test_a_batch_that_is_stalled_for_less_than_the_grace_is_waited_for(
    wait: Wait, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="stalled", updated=int((time.time() - 3000) * 1000))
    assert wait(batch_id).xcoms["return_value"]["status"] == "success"
    assert "is stalled; the wait fails if that lasts for 1:00:00" in warnings(caplog)


ONCE = ["inactive", "deleted", "archived", "retained"]


@pytest.mark.parametrize("status", ONCE)
@pytest.mark.parametrize(
    "sign",
    [{"completed": 1_700_000_000_000}, {"tags": {"acp_successor": ["01HP1Z0A9YZ733QCJN6AXCATHF"]}}],
    ids=["completed", "successor"],
)
def test_a_batch_that_was_promoted_and_replaced_since_then_is_a_success(
    status: str, sign: dict[str, Any], wait: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch()
    desk.show(batch_id, status=status, **sign)
    assert wait(batch_id).xcoms["return_value"]["status"] == status


@pytest.mark.parametrize("status", ONCE)
def test_a_batch_that_is_gone_and_never_was_promoted_is_a_failure(
    status: str, wait: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch()
    desk.show(batch_id, status=status)
    with pytest.raises(AirflowFailException, match=f"ended as '{status}'"):
        wait(batch_id)


def test_a_reverted_batch_of_the_emulator_counts_as_promoted_once(wait: Wait, desk: Desk) -> None:
    desk.set(empty_batch="success", promotion_seconds=0)
    batch_id = desk.open_batch()
    client = CatalogHook().client
    client.complete_batch(batch_id)
    desk.advance(1)
    client.revert_batch(batch_id)
    assert wait(batch_id).xcoms["return_value"]["status"] == "inactive"


def test_a_batch_that_the_catalog_does_not_show_yet_is_waited_for(wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    desk.break_next({"status": 404}, "*/catalog/batches/*")
    assert wait(batch_id).xcoms["return_value"]["status"] == "success"


def test_a_promoted_batch_needs_one_look_and_no_trigger(wait: Wait, desk: Desk) -> None:
    visit = wait(desk.open_batch("success"))
    assert (visit.deferrals, visit.reschedules, desk.looks()) == ([], [], 1)


def test_waiting_in_the_mode_reschedule_gives_the_worker_back_between_two_looks(
    desk: Desk, airflow_db: None
) -> None:
    batch_id = desk.open_batch("success")
    for _ in range(2):
        desk.show(batch_id, status="staging")
    visit = run_task(BatchSensor(task_id="t", batch_id=batch_id, mode="reschedule", poke_interval=60))
    assert (len(visit.reschedules), visit.deferrals) == (2, [])


def test_waiting_in_the_triggerer_takes_two_visits_to_a_worker(wait_deferred: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    for _ in range(3):
        desk.show(batch_id, status="staging")
    visit = wait_deferred(batch_id)
    assert (len(visit.deferrals), visit.reschedules) == (1, [])
    assert desk.looks() == 4


def test_arguments_may_be_templates(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    with dag():
        sensor = BatchSensor(
            task_id="t",
            batch_id="{{ params.batch }}",
            catalog_conn_id="{{ params.connection }}",
            sandbox_name="{{ params.sandbox }}",
        )
    visit = run_task(sensor, batch=batch_id, connection="adobe_catalog_default", sandbox="dev")
    assert visit.xcoms["return_value"]["id"] == batch_id


def test_the_trigger_gets_what_the_templates_rendered_to(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    with dag():
        sensor = BatchSensor(
            task_id="t",
            batch_id="{{ params.batch }}",
            sandbox_name="{{ params.sandbox }}",
            poke_interval=0.02,
            deferrable=True,
        )
    [deferral] = run_task(sensor, batch=batch_id, sandbox="dev").deferrals
    assert (deferral.trigger.batch_id, deferral.trigger.sandbox_name) == (batch_id, "dev")
    assert deferral.kwargs["try_number"] == 1


def test_the_event_of_a_triggerer_that_is_not_upgraded_yet_ends_the_wait() -> None:
    sensor = BatchSensor(task_id="wait", batch_id="B1")
    summary = Batch("B1", "success", records_written=3).summary
    event = {"outcome": "promoted", "message": "Batch B1 is promoted.", "summary": summary}
    assert sensor.execute_complete({"ti": Visit(sensor, Run())}, event) == summary


def test_a_try_that_is_given_the_event_of_an_older_one_looks_for_itself(desk: Desk) -> None:
    """Airflow 3.0 takes a retry straight to where the try before it has failed."""
    batch_id = desk.open_batch("success")
    sensor = BatchSensor(task_id="wait", batch_id=batch_id, deferrable=True)
    event = {"outcome": "lost sight", "message": "Nothing was heard.", "summary": None}
    with pytest.raises(LostSightError):
        sensor.execute_complete({"ti": Visit(sensor, Run())}, event, try_number=1)
    second = Visit(sensor, Run(), try_number=2)
    summary = sensor.execute_complete({"ti": second, "dag_run": second.dag_run}, event, try_number=1)
    assert (summary["id"], summary["status"]) == (batch_id, "success")
