"""One run, one batch, whatever goes wrong in whatever order.

Hypothesis drives two loads side by side against the emulator: tries, faults at any call, clears, rows that change, batches that
are aborted by hand, time that passes. It looks for a schedule after which something that this package promises does not hold,
and shrinks what it finds. No time passes really: the emulator's clock stands still, and pauses move it ahead.

What is promised:

- Each logical attempt ends, with one promoted batch or with a failure for which there was a reason. Until then each try that ends
  with an error that is retried is followed by another one, without limit.
- The rows in a dataset are those of the batches that count after all clears, each of them once.
- No batch is left open where no try can reach it. When a load is reported as promoted, none of its batches is open, whichever
  attempt opened it. After a failure one may be: the next clear finds and aborts it.
- A batch is completed only while it holds the whole input as it is then, and nothing else.
- A second batch is opened only where the Catalog can't show the first one yet, and not by the same try.

What is assumed: the Catalog lags by less than `pace.CATALOG_LAG`, and one try of a task is over before the next one begins.

As many schedules as `FAULT_SCHEDULES` says are drawn at random; without it there are fifty, always the same ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow_stage import forget_masks
from desk import BATCHES, LOCAL_SECRET, PAGE_VIEWS, Desk
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from loads import ACTIVE, GIVEN_UP, Books, Chain, InChunks, Load, OneTask, Place, Try, place_of
from tasks import IS_AIRFLOW_2

from airflow_provider_catalog.api.auth import forget_tokens
from airflow_provider_catalog.api.errors import ApiError
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS
from airflow_provider_catalog.emulator.ingestion import act
from airflow_provider_catalog.emulator.lifecycle import Action
from airflow_provider_catalog.emulator.problems import Refusal
from airflow_provider_catalog.ingest import chunks, guardrails, pace
from airflow_provider_catalog.ingest import plan as upload_plan
from airflow_provider_catalog.triggers import poller
from airflow_provider_catalog.triggers.poller import Poller

if IS_AIRFLOW_2:
    from airflow.models.baseoperator import ExecutorSafeguard
else:
    from airflow.sdk.bases.operator import ExecutorSafeguard

SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", "50"))
IS_NIGHTLY = "FAULT_SCHEDULES" in os.environ
STEPS = 6
LAST_TRIES = 10
LONGEST_PROMOTION = 100
CUT_OFF_CALLS = 50
MOST_REQUESTS = 100
ROW = "row-"
LARGE_FILE, CHUNK = 30, 15
"""Bytes; a file of two rows has forty and more."""

IMPORT = "/data/foundation/import/batches"
CALLS: dict[str, tuple[str, str]] = {
    "any call": ("*", "*"),
    "opening": ("POST", IMPORT),
    "look-up": ("GET", f"{BATCHES}*"),
    "upload": ("PUT", "*"),
    "size": ("HEAD", "*"),
    "chunk": ("PATCH", "*"),
    "signal": ("POST", f"{IMPORT}/*"),
    "token": ("POST", "/ims/*"),
}
PASSING: dict[str, dict[str, Any]] = {
    "request lost": {"drop": "before"},
    "answer lost": {"drop": "after"},
    "answer cut off": {"truncate": 1},
    "done, and 503": {"status": 503, "after": True},
    "token expired": {"expire_token": True},
    **{str(status): {"status": status} for status in (429, 500, 502, 503, 504)},
}
LASTING = {str(status): {"status": status} for status in (400, 401, 403, 404, 409)}


class Fault(NamedTuple):
    """What befalls some calls: `times` of those that come after the first `skip`."""

    call: str
    trouble: str
    skip: int
    times: int


class Clear(NamedTuple):
    """Somebody clears the load, after its run has ended or before, and it finds other rows or the same."""

    on_rerun: str
    run_anew: bool
    rows: str


class Plan(NamedTuple):
    """A try: what happens before it, after which pause it begins, what befalls its calls, and after how many it is cut off."""

    event: Clear | str | None
    pause: float
    faults: list[Fault]
    cut_off: int | None


# The trouble that passes comes more often, since a refusal ends an attempt.
SOME_TROUBLE = st.sampled_from([*PASSING, *PASSING, *LASTING])
TIMES = st.sampled_from([1, DEFAULT_ATTEMPTS, DEFAULT_ATTEMPTS + 2])
FAULTS = st.builds(Fault, st.sampled_from(list(CALLS)), SOME_TROUBLE, st.integers(0, 2), TIMES)
CLEARS = st.builds(
    Clear,
    on_rerun=st.sampled_from(["replace", "append", "skip"]),
    run_anew=st.booleans(),
    rows=st.sampled_from(["other", "other", "flawed", "same"]),
)
TRIES = st.lists(
    st.builds(
        Plan,
        event=st.none() | CLEARS | st.sampled_from(["abort by hand", "other rows", "other files", "mend"]),
        pause=st.sampled_from([0.01, 0.01, 0.01, 6, 90_000]),
        faults=st.lists(FAULTS, max_size=2),
        cut_off=st.none() | st.integers(0, 8),
    ),
    min_size=1,
    max_size=4,
)
OTHERS = ((1, Place()), (0, Place(dataset_id=PAGE_VIEWS)), (0, Place(sandbox_name="prod")))


class FaultSchedule(RuleBasedStateMachine):
    """Two loads that share a DAG, a run and a task, and differ in the map index, the dataset or the sandbox.

    :param desk: steers the emulator.
    :param folder: for the loads' files.
    :param tally: counts what was done.
    """

    def __init__(self, desk: Desk, folder: Path, tally: Counter[str]) -> None:
        super().__init__()
        self.desk = desk
        self.folder = folder
        self.tally = tally
        self.books = Books(desk.emulator)
        self.loads: list[Load] = []
        self.ids = (f"{ROW}{number:04}" for number in itertools.count())
        self.signalled_rows: dict[str, list[str]] = {}
        self.aborted_by_hand: set[str] = set()
        self.is_broken = False
        tally["schedules"] += 1

    @initialize(
        kind=st.sampled_from([OneTask, OneTask, InChunks, Chain]),
        other=st.sampled_from(OTHERS),
        external_id=st.booleans(),
        deferrable=st.booleans(),
        platform=st.fixed_dictionaries(
            {
                "catalog_lag": st.sampled_from([0, 0.3, 4.5, 4.5]),
                "promotion_seconds": st.sampled_from([0, 3, LONGEST_PROMOTION]),
                "external_id_unique": st.booleans(),
                "abort_until": st.sampled_from(["loaded", "finished"]),
                "head_of_small_files": st.booleans(),
                "second_completion": st.sampled_from(["refused", "accepted"]),
            }
        ),
    )
    def begin(
        self,
        kind: Callable[..., Load],
        other: tuple[int, Place],
        external_id: bool,
        deferrable: bool,
        platform: dict[str, Any],
    ) -> None:
        forget_tokens()
        forget_masks()
        self.desk.reset()
        self.desk.freeze()
        self.desk.set(**platform)
        upload_plan.SMALL_FILE_LIMIT = LARGE_FILE if kind is InChunks else guardrails.SMALL_FILE_LIMIT
        for number, (map_index, place) in enumerate([(0, Place()), other]):
            folder = self.folder / str(number)
            folder.mkdir(exist_ok=True)
            own_id = f"nightly-{number}" if external_id else None
            load = kind(self.books, place, map_index, folder, external_id=own_id, deferrable=deferrable)
            load.write(self.new_rows(), self.new_rows())
            self.loads.append(load)

    @rule(which=st.integers(0, 1), tries=TRIES)
    def go_on(self, which: int, tries: list[Plan]) -> None:
        """Make tries as long as Airflow would. Faults that have not struck remain for later ones."""
        load = self.loads[which]
        for plan in tries:
            self.happen(load, plan.event)
            if not load.attempt.has_ended:
                self.desk.advance(plan.pause)
                self.break_calls(plan.faults)
                self.run_try(load, plan.cut_off)

    def happen(self, load: Load, event: Clear | str | None) -> None:
        """Let something happen to a load between two tries."""
        # A chain that has begun to upload keeps its files: it can't take one out of the batch again.
        may_change = isinstance(load, OneTask) or not load.has_begun
        if event == "abort by hand" and load.batches:
            self.abort(load.batches[-1])
        elif event == "other rows" and may_change:
            load.write(*(self.new_rows() for _ in load.files))
        elif event == "other files" and may_change:
            load.write(*(self.new_rows() for _ in range(3 - len(load.files))))
        elif event == "mend":
            self.desk.mend()
        elif isinstance(event, Clear):
            self.clear(load, event)

    def clear(self, load: Load, clear: Clear) -> None:
        if clear.rows != "same":
            load.write(self.new_rows(), self.new_rows(), flawed=clear.rows == "flawed")
        if load.has_begun:
            load.clear(clear.on_rerun, run_anew=clear.run_anew)
            self.tally["clears"] += 1

    def abort(self, batch: Any) -> None:
        """Let somebody abort a batch, unless it is too late for that."""
        with contextlib.suppress(Refusal):
            asyncio.run(act(self.desk.emulator.platform, batch, Action.ABORT))
            self.aborted_by_hand.add(batch.id)

    def break_calls(self, faults: list[Fault]) -> None:
        for call, trouble, skip, times in faults:
            method, path = CALLS[call]
            effect = (PASSING | LASTING)[trouble]
            self.desk.break_next(effect, path, times, method=method, skip=skip)

    def teardown(self) -> None:
        """End all faults, let every load go on until it has ended, clear those that have failed, and look at what is left."""
        if self.is_broken:
            return
        self.desk.mend()
        begun = [load for load in self.loads if load.has_begun]
        for load in begun:
            self.finish(load)
            if load.attempt.failure is not None:
                load.write(self.new_rows(), self.new_rows())
                load.clear("replace", run_anew=True)
                self.finish(load)
        self.desk.advance(LONGEST_PROMOTION)
        for load in begun:
            self.check_promoted(load)
        for place in {load.place for load in begun}:
            self.check_rows(place)

    def finish(self, load: Load) -> None:
        """Make tries until Airflow makes no further one."""
        for _ in range(LAST_TRIES):
            if load.attempt.has_ended:
                return
            self.desk.advance(1)
            self.run_try(load)
        raise AssertionError(f"After {LAST_TRIES} tries without a fault the load has not ended.")

    def run_try(self, load: Load, cut_off: int | None = None) -> None:
        """Make a try. One that is cut off hears no answer any more, while what it sends is worked on."""
        self.is_broken = True
        if cut_off is not None:
            self.desk.break_next({"drop": "after"}, times=CUT_OFF_CALLS, skip=cut_off)
        done = load.next_try()
        if cut_off is not None:
            self.desk.mend()
        self.report(load, done)
        self.check_try(load, done)
        self.is_broken = False

    def report(self, load: Load, done: Try) -> None:
        """Count a try, and tell what it did if the schedule is one that fails."""
        attempt = load.attempt
        outcome = attempt.failure or done.error or attempt.promoted_id or "on to the next task"
        calls = "".join(f"\n    {call.method} {call.path} {call.status}" for call in done.requests)
        which = f"{type(load).__name__} {self.loads.index(load)}, attempt {len(load.attempts)}"
        note(f"{which}:{calls}\n    {outcome!r}")
        self.tally.update(tries=1, requests=len(done.requests), promoted=attempt.promoted_id is not None)
        self.tally["most requests of a try"] = max(self.tally["most requests of a try"], len(done.requests))

    def check_try(self, load: Load, done: Try) -> None:
        """What holds after every try, however it ended."""
        self.check_openings(load, done)
        self.check_completions(load, done)
        self.check_words(load, done)
        # Each batch of before may have left an external id that every look asks for as well.
        assert len(done.requests) <= MOST_REQUESTS * (1 + len(load.batches))
        if load.attempt.failure is not None:
            self.check_failure(load, load.attempt.failure)
        if load.attempt.promoted_id is not None:
            self.check_promoted(load)

    def check_openings(self, load: Load, done: Try) -> None:
        """A batch is opened where it belongs, and only while the Catalog shows none of the attempt that could be gone on with."""
        for position, batch in enumerate(done.opened):
            assert place_of(batch) == load.place
            for other in done.opened[:position]:
                assert self.had_ended(other, batch.created_at), "One try has opened two batches."
            for other in load.attempt.batches:
                if other.created_at < batch.created_at and not self.had_ended(other, batch.created_at):
                    is_shown = other.created_at + self.books.lag <= batch.created_at
                    assert not is_shown, "A batch was opened beside one that the Catalog shows."

    def check_completions(self, load: Load, done: Try) -> None:
        """Each batch that is completed is the attempt's own, and holds the input as it is now."""
        for batch in done.signalled:
            assert batch.id in {own.id for own in load.attempt.batches}
            assert self.books.rows(batch) == load.rows
            self.signalled_rows[batch.id] = load.rows

    def check_words(self, load: Load, done: Try) -> None:
        """Neither a secret nor a row is in an error, nor is a secret where the platform's log would keep it."""
        calls = [(call.path, call.query, call.headers, call.request_body) for call in done.requests]
        error = f"{load.attempt.failure!r} {load.attempt.failure} {done.error!r} {done.error}"
        for secret in (LOCAL_SECRET, *self.desk.emulator.issued_tokens):
            assert secret not in f"{calls} {error}"
        assert ROW not in error

    def check_failure(self, load: Load, failure: AirflowFailException) -> None:
        """An attempt fails for good only because a call or its rows were refused, or because somebody else ended its batch."""
        cause = failure.__cause__
        lost = any(map(self.was_lost, load.batches))
        if isinstance(cause, ApiError):
            assert load.attempt.struck[cause.failure.status] or (isinstance(load, Chain) and lost)
        else:
            assert lost

    def check_promoted(self, load: Load) -> None:
        """A load is reported as promoted only if it is, in place of what it replaces, and no batch is left open.

        The chain aborts nothing: what its earlier attempts have left is abandoned by the platform some time.
        """
        assert load.attempt.promoted_id in self.counting(load)
        assert self.active(load) == self.counting(load)
        batches = load.attempt.batches if isinstance(load, Chain) else load.batches
        assert not [batch.id for batch in batches if self.books.status(batch) == "loading"]

    def check_rows(self, place: Place) -> None:
        """The rows in a dataset are those of the loads that go there, each of them once."""
        counting = [
            batch_id for load in self.loads if load.place == place for batch_id in self.counting(load)
        ]
        expected = sorted(row for batch_id in counting for row in self.signalled_rows[batch_id])
        assert self.books.promoted_rows(place) == expected

    def counting(self, load: Load) -> list[str]:
        """Give the batches whose rows belong into the dataset, after what has become of one attempt after the other."""
        counting: list[str] = []
        for attempt in load.attempts:
            promoted = [batch.id for batch in attempt.batches if self.was_promoted(batch)]
            assert len(promoted) <= 1, "An attempt has two promoted batches."
            if attempt.on_rerun == "skip":
                assert not (promoted and counting), "What counts already was loaded again."
            elif attempt.promoted_id is not None:
                assert promoted == [attempt.promoted_id]
            counting = (promoted or counting) if attempt.on_rerun == "replace" else counting + promoted
        return sorted(counting)

    def active(self, load: Load) -> list[str]:
        return sorted(batch.id for batch in load.batches if self.books.status(batch) in ACTIVE)

    def had_ended(self, batch: Any, at: float) -> bool:
        return self.books.status(batch, at) in GIVEN_UP

    def was_promoted(self, batch: Any) -> bool:
        return batch.succeeded_at is not None and batch.succeeded_at <= self.books.now

    def was_lost(self, batch: Any) -> bool:
        """Whether the platform has refused a batch's rows or abandoned it, or somebody has aborted it."""
        is_refused = batch.outcome is not None and not batch.outcome.succeeded
        return is_refused or batch.id in self.aborted_by_hand or self.books.status(batch) == "abandoned"

    def new_rows(self) -> list[str]:
        return [next(self.ids), next(self.ids)]


@pytest.fixture
def quick_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of the triggers' poll move the emulator's clock ahead, as all others do, and the Catalog is looked at seldom."""
    monkeypatch.setattr(pace, "LOOK_PAUSE", 4)
    clock = _LeapingClock()
    begin = Poller.__init__

    def begin_now(self: Poller, *arguments: Any) -> None:
        clock.ahead = 0.0
        begin(self, *arguments)

    async def leap(self: Poller) -> None:
        while not self._turns:
            await asyncio.sleep(0.001)
        seconds = max(0.0, max(self._turns[0][0], self._not_before) - clock.monotonic())
        clock.ahead += seconds
        desk.emulator.platform.clock.advance(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(poller, "time", clock)
    monkeypatch.setattr(Poller, "__init__", begin_now)
    monkeypatch.setattr(Poller, "_pause", leap)


class _LeapingClock:
    """What a poll takes for the time."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are small, and what counts as a large file changes with the load."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(upload_plan, "SMALL_FILE_LIMIT", guardrails.SMALL_FILE_LIMIT)


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Thousands of tries would fill the log; what matters of them is noted by the machine."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quick_waits", "silence", "small_limits")
def test_every_attempt_ends_with_one_promoted_batch_or_a_reported_failure(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally: Counter[str] = Counter()
    run_state_machine_as_test(
        lambda: FaultSchedule(desk, tmp_path, tally),
        settings=settings(
            max_examples=SCHEDULES,
            stateful_step_count=STEPS,
            derandomize=not IS_NIGHTLY,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        print(f"\n{dict(tally)}")
    assert tally["schedules"] >= SCHEDULES
