"""A real Airflow, in which processes are killed and users interfere: each run has one promoted batch, and nothing is left open.

All cases of trouble go on at the same time, each with a DAG and a platform of its own; what is asserted is what the platform has.
"""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future

import psutil
import pytest
from airflow_stack import AIRFLOW, send_signal
from cases import BATCHES, FILES, KILL_SECONDS, LONG, PROMOTION_SECONDS, ROWS, STEP_SECONDS, Case
from troubles import TROUBLES, outcomes_of, trouble

pytestmark = pytest.mark.xdist_group("one batch")

# Up to 3.2, Airflow does not tell a trigger that somebody has cleared or marked its task.
TELLS_A_TRIGGER = (3, 3)

# Airflow 3.0 does not try a task again whose process was killed, and one that is cleared while it runs never starts anew.
FAILS_FOR_GOOD = (3, 0)


# Something dies.


@trouble(but_not=FAILS_FOR_GOOD)
def the_task_is_killed_while_it_uploads(case: Case) -> None:
    case.start_until_uploading()
    case.process_behind("PUT").kill()
    case.desk.release_all()
    case.wait_until("success")
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


@trouble(but_not=FAILS_FOR_GOOD)
def the_task_is_killed_before_it_knows_its_batch(case: Case) -> None:
    case.desk.hold_requests("after", BATCHES, method="POST")
    case.start()
    case.wait_for_held()
    case.process_behind("POST").kill()
    case.desk.release_all()
    case.wait_until("success")
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


@trouble()
def the_answer_to_the_opening_is_lost(case: Case) -> None:
    case.desk.break_next({"drop": "after"}, BATCHES, method="POST")
    case.start()
    case.wait_until("success")
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


# Where it takes a try for dead, Airflow 2 may end the next one as well, with a signal on which the batch is aborted.


@trouble(since=(3, 0))
def the_task_and_its_supervisor_are_killed(case: Case) -> None:
    case.start_until_uploading()
    task = case.process_behind("PUT")
    send_signal(signal.SIGKILL, [task.parent(), task])
    case.desk.release_all()
    case.wait_until("success")
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


@trouble(since=(3, 0))
def the_supervisor_is_killed_and_the_task_goes_on_beside_its_retry(case: Case) -> None:
    case.desk.hold_requests("before", FILES, method="PUT", times=2)
    case.start()
    case.wait_for_held()
    orphan = case.process_behind("PUT")
    try:
        orphan.parent().kill()
        case.wait_for_held(2)
        assert orphan.is_running()
        case.desk.release_all()
        case.wait_until("success")
        assert psutil.wait_procs([orphan], STEP_SECONDS)[1] == []
    finally:
        send_signal(signal.SIGKILL, [orphan])
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


@trouble(platform_dies=True, deferrable=True)
def the_platform_is_down_for_a_while(case: Case) -> None:
    case.desk.set(promotion_seconds=LONG)
    case.start_until_uploading()
    case.platform.kill()
    time.sleep(4)
    case.platform.start()
    case.wait_until("deferred")
    case.platform.kill()
    time.sleep(4)
    case.platform.start()
    case.desk.advance(LONG)
    case.wait_until("success")
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


@trouble(since=(3, 0), disturbs=True, deferrable=True)
def a_triggerer_takes_the_wait_over_and_is_killed(case: Case) -> None:
    case.start_until_waiting(abort_until="finished")
    first = case.airflow.family("triggerer")
    case.airflow.start_another("triggerer")
    case.hand_over_to_newest_triggerer()
    if AIRFLOW >= TELLS_A_TRIGGER:
        case.wait_for_log("Batch {} goes on")
    case.wait_for_looks()
    send_signal(signal.SIGKILL, case.airflow.family("triggerer"))
    case.wait_for_looks()
    assert first[0].is_running()
    assert case.signals("ABORT") == []
    case.desk.advance(LONG)
    case.wait_until("success")
    assert case.try_number() == 1
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


# A user clears the task.


@trouble()
def a_cleared_task_replaces_what_it_has_loaded(case: Case) -> None:
    case.start()
    case.wait_until_run_has_ended()
    case.clear()
    case.wait_until("success", try_number=2)
    [old, new] = case.batches()
    assert case.statuses() == ["inactive", "success"]
    assert case.rows() == ROWS
    assert case.batches()[new]["replay"]["predecessors"] == [old]


@trouble(since=(3, 1))
def a_task_that_is_cleared_while_it_uploads_starts_anew(case: Case) -> None:
    case.start_until_uploading()
    case.clear()
    case.wait_for_batches(["aborted"], KILL_SECONDS)
    case.desk.release_all()
    case.wait_until("success")
    assert case.statuses() == ["aborted", "success"]
    assert case.rows() == ROWS


@trouble(since=TELLS_A_TRIGGER, deferrable=True)
def a_task_that_is_cleared_while_it_waits_starts_anew(case: Case) -> None:
    case.start_until_waiting(abort_until="finished")
    case.clear()
    case.wait_for_batches(["aborted"], KILL_SECONDS)
    case.desk.set(promotion_seconds=PROMOTION_SECONDS)
    case.wait_until("success")
    assert case.statuses() == ["aborted", "success"]
    assert case.rows() == ROWS


@trouble(since=TELLS_A_TRIGGER, deferrable=True)
def a_batch_that_can_not_be_aborted_any_more_is_replaced(case: Case) -> None:
    case.start_until_waiting(abort_until="loaded")
    case.clear()
    case.wait_for_log("It is too late to abort batch {}")
    assert case.signals("ABORT") == [400]
    case.desk.set(promotion_seconds=PROMOTION_SECONDS)
    case.desk.advance(LONG)
    case.wait_until("success")
    [old, new] = case.batches()
    assert case.statuses() == ["inactive", "success"]
    assert case.rows() == ROWS
    assert case.batches()[new]["replay"]["predecessors"] == [old]


# A user marks the task.


@trouble()
def a_task_that_is_marked_failed_while_it_uploads_leaves_nothing_open(case: Case) -> None:
    case.start_until_uploading()
    case.mark("failed")
    case.wait_for_batches(["aborted"], KILL_SECONDS)
    case.desk.release_all()


@trouble(since=TELLS_A_TRIGGER, deferrable=True)
def a_task_that_is_marked_failed_while_it_waits_aborts_its_batch(case: Case) -> None:
    case.start_until_waiting(abort_until="finished")
    case.mark("failed")
    case.wait_for_batches(["aborted"], KILL_SECONDS)


@trouble(since=TELLS_A_TRIGGER, deferrable=True)
def a_task_that_is_marked_as_a_success_while_it_waits_keeps_its_batch(case: Case) -> None:
    case.start_until_waiting(abort_until="finished")
    case.mark("success")
    case.wait_for_log("Batch {} goes on")
    assert case.signals("ABORT") == []
    case.desk.advance(LONG)
    assert case.statuses() == ["success"]
    assert case.rows() == ROWS


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """The outcome of each case that is asked for; they go on while the tests wait for them."""
    tests = [item for item in request.session.items if item.module is request.module]
    with outcomes_of(
        [item.callspec.params["name"] for item in tests], tmp_path_factory.mktemp("airflow")
    ) as outcomes:
        yield outcomes


@pytest.mark.parametrize("name", TROUBLES)
def test_one_run_has_one_batch(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()
