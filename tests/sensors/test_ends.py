"""`soft_fail`, `never_fail`, `silent_fail`, `timeout` and `execution_timeout` mean what they mean for every sensor of Airflow."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from desk import BATCHES, Desk
from tasks import Visit

from airflow_provider_catalog.api.errors import LostSightError

Wait = Callable[..., Visit]

NOT_FAILING = pytest.mark.parametrize("way", ["soft_fail", "never_fail"])


@NOT_FAILING
@pytest.mark.parametrize("first_look", ["failed", "staging"])
def test_a_failed_batch_skips_the_task_with(way: str, first_look: str, wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("failed")
    desk.show(batch_id, status=first_look)
    with pytest.raises(AirflowSkipException):
        wait(batch_id, **{way: True})


def test_a_timeout_is_a_sensor_timeout(wait_on: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowSensorTimeout):
        wait_on(desk.open_batch("staging"), timeout=0.2)


def test_a_timeout_skips_the_task_with_soft_fail(wait_on: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowSkipException):
        wait_on(desk.open_batch("staging"), timeout=0.2, soft_fail=True)


def test_a_timeout_may_be_a_timedelta(wait_on: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowSensorTimeout):
        wait_on(desk.open_batch("staging"), timeout=timedelta(milliseconds=200))


def test_trouble_does_not_keep_a_wait_from_timing_out(wait_on: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("staging")
    desk.break_next({"status": 503}, f"{BATCHES}/*", times=None)
    with pytest.raises(AirflowSensorTimeout):
        wait_on(batch_id, timeout=0.2)


def test_a_platform_that_asks_for_much_time_does_not_keep_a_wait_from_timing_out(
    wait_on: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch("staging")
    desk.break_next({"status": 503, "headers": {"Retry-After": "100"}}, f"{BATCHES}/*", times=None)
    began = time.monotonic()
    with pytest.raises(AirflowSensorTimeout):
        wait_on(batch_id, timeout=0.3)
    assert time.monotonic() - began < 10


def test_a_batch_that_is_promoted_between_two_looks_is_found_at_the_deadline(
    wait_deferred: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    began = time.monotonic()
    visit = wait_deferred(batch_id, timeout=0.4, poke_interval=3600)
    assert visit.xcoms["return_value"]["status"] == "success"
    assert desk.looks() == 2
    assert 0.3 < time.monotonic() - began < 4


def test_an_execution_timeout_stops_a_deferred_wait(wait_deferred: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowTaskTimeout, match="execution_timeout"):
        wait_deferred(desk.open_batch("staging"), execution_timeout=timedelta(milliseconds=200))


def test_a_sensor_timeout_that_comes_first_is_the_one_that_counts(wait_deferred: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowSensorTimeout):
        wait_deferred(desk.open_batch("staging"), timeout=0.2, execution_timeout=timedelta(hours=1))


def test_airflow_itself_ends_a_wait_only_after_the_trigger_would_have(
    wait_deferred: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    [deferral] = wait_deferred(batch_id, timeout=10).deferrals
    assert deferral.timeout == timedelta(seconds=10 + 300)


def lose_sight(desk: Desk) -> str:
    """Give a batch of which nothing useful is heard after the first look."""
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    desk.break_next({"status": 500}, f"{BATCHES}/*", times=10)
    return batch_id


def test_losing_sight_of_the_batch_fails_the_task_also_with_soft_fail(wait_on: Wait, desk: Desk) -> None:
    """As every unexpected error does in Airflow's own sensors: whether the batch was promoted is not known."""
    with pytest.raises(LostSightError):
        wait_on(lose_sight(desk), max_unreachable=0.1, soft_fail=True)


def test_losing_sight_of_the_batch_skips_the_task_with_never_fail(wait_on: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowSkipException):
        wait_on(lose_sight(desk), max_unreachable=0.1, never_fail=True)


def test_losing_sight_of_the_batch_is_passed_over_with_silent_fail(wait_on: Wait, desk: Desk) -> None:
    visit = wait_on(lose_sight(desk), max_unreachable=0.1, silent_fail=True)
    assert visit.xcoms["return_value"]["status"] == "success"


def test_a_failed_batch_fails_the_task_also_with_silent_fail(wait: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowFailException):
        wait(desk.open_batch("failed"), silent_fail=True)


@pytest.mark.parametrize("arguments", [{"poke_interval": 0, "deferrable": True}], ids=str)
def test_a_deferred_wait_without_pauses_is_refused(arguments: dict[str, Any], wait_deferred: Wait) -> None:
    with pytest.raises(ValueError, match="poke_interval"):
        wait_deferred("b", **arguments)
