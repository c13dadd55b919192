"""`DatasetBatchSensor` waits for batches on a dataset, whoever loads them, the same way in each of its modes."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from desk import BATCHES, CRM_PROFILES, PAGE_VIEWS, Desk
from modes import MODES
from tasks import Run, Visit, dag, run_task, run_try

from airflow_provider_catalog.api.errors import LostSightError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.ingest import watch
from airflow_provider_catalog.sensors.batch import DatasetBatchSensor

Wait = Callable[..., Visit]


def sensor(mode: str, **arguments: Any) -> DatasetBatchSensor:
    settings = {"poke_interval": 0.02, "timeout": 20, "dataset_id": CRM_PROFILES, **MODES[mode], **arguments}
    return DatasetBatchSensor(task_id="wait", **settings)


def waiting_in(mode: str) -> Wait:
    return lambda **arguments: run_task(sensor(mode, **arguments))


@pytest.fixture(params=MODES)
def wait(request: pytest.FixtureRequest) -> Wait:
    """Runs the sensor to its end, in each mode."""
    if request.param == "reschedule":
        request.getfixturevalue("airflow_db")  # where Airflow 2 looks for the first reschedule
    return waiting_in(request.param)


@pytest.fixture(params=["poke", "deferrable"])
def wait_on(request: pytest.FixtureRequest) -> Wait:
    """Runs the sensor to its end, in the modes that remember from look to look what they have seen."""
    return waiting_in(request.param)


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal counts as lasting after a moment."""
    monkeypatch.setattr(watch, "REFUSAL_GRACE", 0.5)


@pytest.fixture(autouse=True)
def _promotion(desk: Desk) -> None:
    """Batches without files are promoted at once."""
    desk.set(empty_batch="success", promotion_seconds=0)


def load(dataset_id: str = CRM_PROFILES) -> str:
    client = CatalogHook().client
    batch_id = client.create_batch({"datasetId": dataset_id, "inputFormat": {"format": "json"}})
    client.complete_batch(batch_id)
    return batch_id


def hide(desk: Desk, looks: int) -> None:
    """Let the next looks find nothing."""
    desk.break_next({"status": 200, "body": {}}, BATCHES, times=looks)


def looks(desk: Desk) -> int:
    return len(desk.sent("GET", BATCHES))


def test_a_batch_that_is_there_already_needs_one_look(wait: Wait, desk: Desk) -> None:
    batch_id = load()
    visit = wait()
    assert visit.xcoms["return_value"] == {
        "dataset_id": CRM_PROFILES,
        "batches": 1,
        "records": 0,
        "batch_ids": [batch_id],
    }
    assert (visit.deferrals, visit.reschedules, looks(desk)) == ([], [], 1)


def test_it_waits_for_the_first_batch(wait: Wait, desk: Desk) -> None:
    batch_id = load()
    hide(desk, 3)
    assert wait().xcoms["return_value"]["batch_ids"] == [batch_id]
    assert looks(desk) == 4


def test_batches_on_other_datasets_and_in_other_states_are_not_waited_for(wait_on: Wait, desk: Desk) -> None:
    load(PAGE_VIEWS)
    desk.hold(load(), "inactive")
    desk.open_batch("staging")
    with pytest.raises(AirflowSensorTimeout, match=f"{CRM_PROFILES}|timeout"):
        wait_on(timeout=0.2)


def test_it_waits_for_so_many_batches(wait: Wait, desk: Desk) -> None:
    loaded = [load()]
    desk.break_next(
        {"status": 200, "body": {loaded[0]: {"status": "success", "completed": 1}}}, BATCHES, times=2
    )
    loaded += [load(), load()]
    found = wait(min_batches=3).xcoms["return_value"]
    assert (found["batches"], set(found["batch_ids"]), looks(desk)) == (3, set(loaded), 3)


def test_it_waits_for_so_many_records(wait: Wait, desk: Desk) -> None:
    for records in (4, 5):
        desk.hold(load(), "success", metrics={"outputRecordCount": records})
    hide(desk, 1)
    found = wait(min_records="9").xcoms["return_value"]
    assert (found["batches"], found["records"], looks(desk)) == (2, 9, 2)


def test_too_few_records_are_not_enough(wait_on: Wait, desk: Desk) -> None:
    desk.hold(load(), "success", metrics={"outputRecordCount": 8})
    with pytest.raises(AirflowSensorTimeout):
        wait_on(min_records=9, timeout=0.2)


BEFORE = datetime.now(UTC) - timedelta(hours=1)
AFTER = datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize("form", [lambda moment: moment, datetime.isoformat, str])
def test_only_batches_promoted_since_the_moment_count(
    form: Callable[[datetime], Any], wait_on: Wait, desk: Desk
) -> None:
    load()
    wait_on(since=form(BEFORE))
    with pytest.raises(AirflowSensorTimeout):
        wait_on(since=form(AFTER), timeout=0.1)


def test_a_moment_without_time_zone_is_utc(desk: Desk) -> None:
    load()
    waiting_in("poke")(since=(datetime.now(UTC) - timedelta(minutes=1)).replace(tzinfo=None))
    with pytest.raises(AirflowSensorTimeout):
        waiting_in("poke")(since=(datetime.now(UTC) + timedelta(minutes=1)).replace(tzinfo=None), timeout=0.1)


@pytest.mark.parametrize(("start", "enough"), [(BEFORE, True), (AFTER, False)])
def test_a_run_without_data_interval_waits_for_batches_since_its_start(
    start: datetime, enough: bool, desk: Desk
) -> None:
    load()
    visit = Visit(sensor("poke", timeout=0.1), Run(start_date=start))
    if enough:
        run_try(visit)
    else:
        with pytest.raises(AirflowSensorTimeout):
            run_try(visit)


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
@pytest.mark.parametrize(("interval", "enough"), [(BEFORE, True), (AFTER, False)])
def test_a_run_with_a_data_interval_waits_for_batches_since_that_begins(
    interval: datetime, enough: bool, mode: str, desk: Desk
) -> None:
    load()
    visit = Visit(sensor(mode, timeout=0.1), Run(start_date=AFTER if enough else BEFORE))
    if enough:
        run_try(visit, data_interval_start=interval)
    else:
        with pytest.raises(AirflowSensorTimeout):
            run_try(visit, data_interval_start=interval)


def test_arguments_may_be_templates(desk: Desk) -> None:
    batch_id = load()
    hide(desk, 1)
    with dag():
        waiting = DatasetBatchSensor(
            task_id="t",
            dataset_id="{{ params.dataset }}",
            since="{{ params.since }}",
            min_batches="{{ params.count }}",
            sandbox_name="{{ params.sandbox }}",
            poke_interval=0.02,
            deferrable=True,
        )
    visit = run_task(waiting, dataset=CRM_PROFILES, since=BEFORE.isoformat(), count=1, sandbox="dev")
    assert visit.xcoms["return_value"]["batch_ids"] == [batch_id]
    [deferral] = visit.deferrals
    trigger = deferral.trigger
    assert (trigger.dataset_id, trigger.since, trigger.min_batches) == (CRM_PROFILES, BEFORE.timestamp(), 1)


REFUSED: dict[str, dict[str, Any]] = {
    "since": {"since": "yesterday"},
    "min_batches": {"min_batches": 0},
    "min_records": {"min_records": "many"},
    "dataset_id": {"dataset_id": "my dataset"},
}


@pytest.mark.parametrize(("name", "arguments"), REFUSED.items(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    name: str, arguments: dict[str, Any], wait: Wait, desk: Desk
) -> None:
    with pytest.raises(AirflowFailException, match=f"{name}: got"):
        wait(**arguments)
    assert desk.sent(path="/data/*") == []


def test_two_goals_are_refused() -> None:
    with pytest.raises(ValueError, match="min_batches: got both"):
        sensor("poke", min_batches=1, min_records=1)


PASSING: dict[str, tuple[dict[str, Any], int]] = {
    "503 with Retry-After": ({"status": 503, "headers": {"Retry-After": "0"}}, 1),
    "429": ({"status": 429, "body": {"error_code": "429050", "message": "Too many requests"}}, 1),
    "two resets": ({"drop": "before"}, 2),
    "answer cut off": ({"truncate": 10}, 1),
    "expired token": ({"expire_token": True}, 1),
    "login page": ({"status": 200, "body": "<title>Sign in</title>"}, 1),
    "short 403": ({"status": 403, "body": {"error_code": "403027"}}, 2),
    "twenty errors in a row": ({"status": 503}, 20),
}


@pytest.mark.parametrize(("effect", "times"), PASSING.values(), ids=PASSING)
def test_a_wait_outlives(effect: dict[str, Any], times: int, wait: Wait, desk: Desk) -> None:
    load()
    hide(desk, 1)
    desk.break_next(effect, BATCHES, times=times)
    assert wait().xcoms["return_value"]["batches"] == 1
    assert looks(desk) == 1 + times + 1


def test_a_platform_that_asks_for_time_gets_it(wait_on: Wait, desk: Desk) -> None:
    load()
    hide(desk, 1)
    desk.break_next({"status": 429, "headers": {"Retry-After": "1"}}, BATCHES)
    began = time.monotonic()
    wait_on()
    assert time.monotonic() - began >= 1
    assert looks(desk) == 3


def test_trouble_ends_a_wait_when_it_lasts_too_long_but_airflow_may_try_again(
    wait_on: Wait, desk: Desk
) -> None:
    desk.break_next({"status": 503}, BATCHES, times=None)
    with pytest.raises(LostSightError, match=f"Nothing useful was heard of dataset {CRM_PROFILES}"):
        wait_on(max_unreachable=0.2)
    assert looks(desk) > 3


@pytest.mark.usefixtures("short_grace")
def test_a_refusal_ends_a_wait_when_it_lasts(wait: Wait, desk: Desk) -> None:
    desk.break_next({"status": 403, "body": {"title": "not yours"}}, BATCHES, times=None)
    with pytest.raises(AirflowFailException, match=r"answered with 403.*not yours"):
        wait()
    assert looks(desk) > 3


@pytest.mark.usefixtures("short_grace")
def test_an_unknown_dataset_ends_a_wait(wait: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowFailException, match="404"):
        wait(dataset_id="000000000000000000000000")


def test_a_batch_that_is_promoted_between_two_looks_is_found_at_the_deadline(desk: Desk) -> None:
    load()
    hide(desk, 1)
    began = time.monotonic()
    visit = waiting_in("deferrable")(timeout=0.4, poke_interval=3600)
    assert visit.xcoms["return_value"]["batches"] == 1
    assert looks(desk) == 2
    assert 0.3 < time.monotonic() - began < 4


def test_a_timeout_skips_the_task_with_soft_fail(wait_on: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowSkipException):
        wait_on(timeout=0.2, soft_fail=True)


def test_an_execution_timeout_stops_a_deferred_wait(desk: Desk) -> None:
    with pytest.raises(AirflowTaskTimeout, match="execution_timeout"):
        waiting_in("deferrable")(execution_timeout=timedelta(milliseconds=200))


def test_waiting_in_the_triggerer_takes_two_visits_to_a_worker(desk: Desk) -> None:
    load()
    hide(desk, 3)
    visit = waiting_in("deferrable")()
    assert (len(visit.deferrals), visit.reschedules, looks(desk)) == (1, [], 4)
