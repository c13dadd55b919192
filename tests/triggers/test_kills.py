"""`BatchTrigger.on_kill` aborts the batch of a deferred task that was killed, in time and whatever goes wrong."""

import asyncio
import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from desk import Desk
from tasks import IS_AIRFLOW_2

from airflow_provider_catalog.triggers import batch as batch_trigger
from airflow_provider_catalog.triggers.batch import BatchTrigger

pytestmark = pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 3.3 was the first one to tell a trigger")

IMPORT = "/data/foundation/import/batches"
TASK = SimpleNamespace(dag_id="dag", run_id="run", task_id="load", map_index=3)


class Airflow:
    """Stands in for the triggerer's supervisor: it knows the task's state, or has trouble finding it out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        self.states: dict[str, dict[str, Any]] = {}
        self.trouble: Exception | None = None
        self.asked: list[dict[str, Any]] = []
        self.answers = threading.Event()
        self.answers.set()
        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(self._get_task_states))

    def _get_task_states(self, **question: Any) -> dict[str, dict[str, Any]]:
        self.asked.append(question)
        self.answers.wait(20)
        if self.trouble:
            raise self.trouble
        return self.states


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """Knows that the task was cleared, unless it is told otherwise."""
    airflow = Airflow(monkeypatch)
    airflow.states = {"run": {"load_3": None}}
    return airflow


@pytest.fixture
def batch_id(desk: Desk) -> str:
    """A batch whose completion was signalled, and that the platform is still ready to abort."""
    desk.set(abort_until="finished", promotion_seconds=600)
    batch_id = desk.open_batch()
    desk.hold(batch_id, "staging")
    return batch_id


def trigger(batch_id: str, **arguments: Any) -> BatchTrigger:
    waiting = BatchTrigger(
        batch_id=batch_id,
        **{"catalog_conn_id": "adobe_catalog_default", "sandbox_name": None, "poll_interval": 60}
        | {
            "stalled_grace": 3600,
            "max_unreachable": 1800,
            "deadline": time.time() + 60,
            "abort_on_kill": True,
        }
        | arguments,
    )
    waiting.task_instance = TASK
    return waiting


def kill(batch_id: str, **arguments: Any) -> None:
    asyncio.run(trigger(batch_id, **arguments).on_kill())


def aborts(desk: Desk) -> list[tuple[str, int | str]]:
    """Give batch and answer of each abort that was sent."""
    return [(sent.path.rsplit("/", 1)[1], sent.status) for sent in desk.sent("POST", f"{IMPORT}/*")]


KILLED = [None, "failed", "skipped", "scheduled", "queued", "running", "up_for_retry", "restarting"]


@pytest.mark.parametrize("state", KILLED)
def test_a_task_that_was_killed_aborts_its_batch(
    state: str | None, batch_id: str, airflow: Airflow, desk: Desk
) -> None:
    airflow.states = {"run": {"load_3": state}}
    kill(batch_id)
    assert aborts(desk) == [(batch_id, 200)]


def test_so_does_one_whose_run_was_deleted(batch_id: str, airflow: Airflow, desk: Desk) -> None:
    airflow.states = {}
    kill(batch_id)
    assert aborts(desk) == [(batch_id, 200)]


@pytest.mark.parametrize("state", ["success", "deferred"], ids=["marked as a success", "taken over"])
def test_a_task_that_was_not_killed_leaves_its_batch_alone(
    state: str, batch_id: str, airflow: Airflow, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    airflow.states = {"run": {"load_3": state}}
    with caplog.at_level(logging.INFO):
        kill(batch_id)
    assert desk.sent() == []
    assert f"Batch {batch_id} goes on" in caplog.text


def test_the_abort_goes_on_when_airflow_cancels_it(batch_id: str, airflow: Airflow, desk: Desk) -> None:
    airflow.answers.clear()

    async def told_twice() -> None:
        work = asyncio.create_task(trigger(batch_id).on_kill())
        while not airflow.asked:
            await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.wait({work})
        airflow.answers.set()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(told_twice())
    assert aborts(desk) == [(batch_id, 200)]


def test_it_asks_for_its_own_task(batch_id: str, airflow: Airflow) -> None:
    kill(batch_id)
    assert airflow.asked == [{"dag_id": "dag", "run_ids": ["run"], "task_ids": ["load"], "map_index": 3}]


def test_the_batch_of_the_next_try_is_not_touched(batch_id: str, airflow: Airflow, desk: Desk) -> None:
    next_one = desk.open_batch()
    kill(batch_id)
    assert aborts(desk) == [(batch_id, 200)]
    assert desk.batch(next_one)["status"] == "loading"


def test_nothing_is_asked_or_sent_if_it_is_switched_off(batch_id: str, airflow: Airflow, desk: Desk) -> None:
    kill(batch_id, abort_on_kill=False)
    assert (airflow.asked, desk.sent()) == ([], [])


def test_when_it_is_too_late_the_log_says_so(
    batch_id: str, airflow: Airflow, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.set(abort_until="loaded")
    kill(batch_id)
    assert aborts(desk) == [(batch_id, 400)]
    assert f"It is too late to abort batch {batch_id}." in caplog.text


TROUBLE = [{"status": 500}, {"status": 429}, {"status": 403}, {"drop": "before"}, {"drop": "after"}]


@pytest.mark.parametrize("effect", TROUBLE, ids=str)
def test_trouble_is_told_and_not_raised(
    effect: dict[str, Any], batch_id: str, airflow: Airflow, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.break_next(effect, f"{IMPORT}/*", times=None)
    kill(batch_id)
    assert len(aborts(desk)) == 1
    assert f"Batch {batch_id} could not be aborted" in caplog.text


def test_a_platform_that_does_not_answer_is_not_waited_for(
    batch_id: str,
    airflow: Airflow,
    desk: Desk,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_trigger, "KILL_SECONDS", 0.5)
    desk.hold_requests("before", f"{IMPORT}/*")
    began = time.monotonic()
    kill(batch_id)
    assert time.monotonic() - began < 5
    assert f"Batch {batch_id} was not aborted" in caplog.text
    desk.release_all()


@pytest.mark.parametrize("trouble", [RuntimeError("API server is down"), TimeoutError()], ids=repr)
def test_a_state_that_can_not_be_read_leaves_the_batch_alone(
    trouble: Exception, batch_id: str, airflow: Airflow, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    airflow.trouble = trouble
    kill(batch_id)
    assert desk.sent() == []
    assert "Reading the task's state" in caplog.text


def test_a_connection_that_is_not_usable_is_told(
    batch_id: str, airflow: Airflow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", "{}")
    kill(batch_id)
    assert f"Batch {batch_id} could not be aborted" in caplog.text


def test_the_token_is_masked(
    batch_id: str, airflow: Airflow, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow.providers.common.compat.sdk.mask_secret", masked.append)
    kill(batch_id)
    assert desk.emulator.issued_tokens[-1] in masked


def test_the_log_tells_of_the_abort(
    batch_id: str, airflow: Airflow, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        kill(batch_id)
    assert f"Batch {batch_id} is aborted, since the task was killed." in caplog.text
