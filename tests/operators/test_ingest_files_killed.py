"""Killing an `IngestFilesOperator` gives its batch up while that is still loading, and only then."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowTaskTimeout
from desk import BATCHES, CRM_PROFILES, Desk
from tasks import Run, Visit, run_try

from airflow_provider_catalog.api.errors import BatchLostError
from airflow_provider_catalog.operators import ingest
from airflow_provider_catalog.operators.ingest import IngestFilesOperator

IMPORT = "/data/foundation/import/batches"
FILE = "*/files/*"
KILL = signal.SIGUSR1


class Terminated(BaseException):
    """What Airflow 2 raises in a task that it has killed. Airflow 3 raises nothing."""


class Watched(IngestFilesOperator):
    """An operator whose running copies, one for each visit to a worker, can be had."""

    running: list[IngestFilesOperator] = []  # noqa: RUF012

    def execute(self, context: Any) -> Any:
        self.running.append(self)
        return super().execute(context)


class Killer:
    """Kills the task like Airflow, with a signal, when it has sent a certain request, which gets its answer afterwards."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._has_begun, self._is_over = threading.Event(), threading.Event()
        self.raises: BaseException | None = None
        self.seconds = 0.0

    def strike_at(self, path: str, stage: str = "before", **match: Any) -> None:
        """Wait for a request beside the task."""
        self._desk.hold_requests(stage, path, **match)
        threading.Thread(target=self._strike, daemon=True).start()

    def _strike(self) -> None:
        self._desk.held()
        while not self._has_begun.is_set():
            # One that comes right before the task waits for its answer is noticed only after that.
            signal.pthread_kill(threading.main_thread().ident or 0, KILL)
            self._has_begun.wait(0.1)
        self._is_over.wait(20)
        self._desk.release_all()  # unless the task has hung up already

    def handle(self, *_: Any) -> None:
        """Do in the task's own thread what Airflow's handler does there, once."""
        if self._has_begun.is_set():
            return
        self._has_begun.set()
        began = time.monotonic()
        try:
            if not isinstance(self.raises, AirflowTaskTimeout):
                Watched.running[-1].on_kill()
        finally:
            self.seconds = time.monotonic() - began
            self._is_over.set()
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def killer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Killer]:
    """Kills as Airflow 3 does, unless it is given something to raise."""
    monkeypatch.setattr(Watched, "running", [])
    killer = Killer(desk)
    before = signal.signal(KILL, killer.handle)
    yield killer
    signal.signal(KILL, before)
    desk.release_all()
    for thread in threading.enumerate():
        if thread.name.endswith(("(abort_once)", "(_strike)")):
            thread.join(20)  # or it would send to the next test's platform


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text('{"person": {"gender": "female"}}\n')
    return path


def load(rows: Path, **arguments: Any) -> Watched:
    return Watched(task_id="load", dataset_id=CRM_PROFILES, files=rows, **arguments)


def run_killed(task: Watched, error: type[BaseException] = BaseException, try_number: int = 1) -> Visit:
    """Run a try that is killed, and give what it has handed on."""
    visit = Visit(task, Run(), try_number=try_number)
    with pytest.raises(error):
        run_try(visit)
    return visit


def signals(desk: Desk) -> list[str]:
    return [sent.query["action"] for sent in desk.sent("POST", f"{IMPORT}/*")]


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("raises", [None, Terminated()], ids=["Airflow 3", "Airflow 2"])
def test_while_files_are_uploaded_the_batch_is_aborted(
    raises: BaseException | None, stage: str, rows: Path, desk: Desk, killer: Killer
) -> None:
    killer.raises = raises
    killer.strike_at(FILE, stage)
    visit = run_killed(load(rows))
    assert desk.batch(visit.xcoms["batch_id"])["status"] == "aborted"
    assert signals(desk) == ["ABORT"]


def test_right_before_the_signal_the_batch_is_aborted(rows: Path, desk: Desk, killer: Killer) -> None:
    killer.strike_at(BATCHES, "after", skip=1)
    visit = run_killed(load(rows), AirflowException)
    assert desk.batch(visit.xcoms["batch_id"])["status"] == "aborted"
    assert signals(desk) == ["ABORT"]


@pytest.mark.parametrize("stage", ["before", "after"])
def test_while_the_batch_is_opened_it_is_aborted_when_it_is_known(
    stage: str, rows: Path, desk: Desk, killer: Killer
) -> None:
    killer.strike_at(IMPORT, stage)
    visit = run_killed(load(rows), AirflowException)
    assert desk.batch(visit.xcoms["batch_id"])["status"] == "aborted"
    assert signals(desk) == ["ABORT"]
    assert desk.sent("PUT") == []


def test_of_a_batch_that_an_earlier_try_has_opened_it_is_aborted(
    rows: Path, desk: Desk, killer: Killer
) -> None:
    desk.break_next({"status": 403}, FILE)
    batch_id = run_killed(load(rows)).xcoms["batch_id"]
    killer.strike_at(FILE)
    run_killed(load(rows), BatchLostError, try_number=2)
    assert desk.batch(batch_id)["status"] == "aborted"


def test_while_completion_is_signalled_the_batch_is_the_platforms(
    rows: Path, desk: Desk, killer: Killer
) -> None:
    desk.set(promotion_seconds=3600)
    killer.raises = Terminated()
    killer.strike_at(f"{IMPORT}/*", "after", query="action=COMPLETE")
    batch_id = run_killed(load(rows), Terminated).xcoms["batch_id"]
    assert desk.batch(batch_id)["status"] == "loaded"
    assert signals(desk) == ["COMPLETE"]


def test_during_the_wait_the_batch_is_the_platforms(rows: Path, desk: Desk, killer: Killer) -> None:
    desk.set(promotion_seconds=3600)
    killer.raises = Terminated()
    killer.strike_at(f"{BATCHES}/*")
    batch_id = run_killed(load(rows), Terminated).xcoms["batch_id"]
    assert desk.batch(batch_id)["status"] == "loaded"
    assert signals(desk) == ["COMPLETE"]


def test_with_abort_on_kill_switched_off_the_batch_is_left_open(
    rows: Path, desk: Desk, killer: Killer
) -> None:
    killer.strike_at(FILE)
    batch_id = run_killed(load(rows, abort_on_kill=False), AirflowException).xcoms["batch_id"]
    assert desk.batch(batch_id)["status"] == "loading"
    assert signals(desk) == []


def test_running_out_of_time_leaves_the_batch_to_the_next_try(rows: Path, desk: Desk, killer: Killer) -> None:
    """Airflow calls on_kill for an execution_timeout too, where it handles that error."""
    killer.raises = AirflowTaskTimeout("Timeout")
    killer.strike_at(FILE)
    visit = Visit(load(rows), Run())
    try:
        run_try(visit)
    except AirflowTaskTimeout:
        Watched.running[-1].on_kill()
    else:
        pytest.fail("the task has ended in time")
    batch_id = visit.xcoms["batch_id"]
    assert desk.batch(batch_id)["status"] == "loading"
    assert run_try(Visit(load(rows), Run(), try_number=2)).xcoms["return_value"]["id"] == batch_id
    assert signals(desk) == ["COMPLETE"]


def test_a_task_that_is_killed_before_it_has_done_anything_ends(rows: Path, desk: Desk) -> None:
    load(rows).on_kill()
    assert desk.sent() == []


def test_a_platform_that_does_not_answer_holds_nobody_up(
    rows: Path, desk: Desk, killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ingest.ABORT_SECONDS < 5, "Airflow 3 kills for good then"
    monkeypatch.setattr(ingest, "ABORT_SECONDS", 0.3)
    desk.hold_requests("before", f"{IMPORT}/*", query="action=ABORT")
    killer.raises = Terminated()
    killer.strike_at(FILE)
    run_killed(load(rows), Terminated)
    assert 0.3 <= killer.seconds < 5


def test_a_task_that_waits_for_a_token_is_not_held_up_by_that(
    rows: Path, desk: Desk, killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The abort needs one too, and the task is in its way until the signal has been handled."""
    monkeypatch.setattr(ingest, "ABORT_SECONDS", 0.3)
    desk.break_next({"expire_token": True}, FILE)
    killer.raises = Terminated()
    killer.strike_at("/ims/*", skip=1)
    run_killed(load(rows), Terminated)
    assert 0.3 <= killer.seconds < 5


TROUBLE: list[dict[str, Any]] = [{"status": 503}, {"status": 429}, {"status": 403}, {"drop": "before"}]


@pytest.mark.parametrize("effect", TROUBLE, ids=str)
def test_a_platform_that_is_in_trouble_raises_nothing_and_is_asked_once(
    effect: dict[str, Any], rows: Path, desk: Desk, killer: Killer, caplog: pytest.LogCaptureFixture
) -> None:
    desk.break_next(effect, f"{IMPORT}/*", query="action=ABORT", times=None)
    killer.raises = Terminated()
    killer.strike_at(FILE)
    batch_id = run_killed(load(rows), Terminated).xcoms["batch_id"]
    assert f"Batch {batch_id} could not be aborted." in caplog.text
    assert signals(desk) == ["ABORT"]
