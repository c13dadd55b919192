"""Many jobs, a few at a time, and how they are stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_catalog.api.errors import StoppedError
from airflow_provider_catalog.ingest import crew
from airflow_provider_catalog.ingest.crew import Stop, do_all


class Trouble(Exception):
    """What goes wrong in these tests."""


def nobody() -> None:
    """Nobody checks in."""


def do(jobs: list[Callable[[], None]], threads: int = 4, check_in: Callable[[], None] = nobody) -> None:
    do_all(jobs, threads, Stop(), check_in)


def fail() -> None:
    raise Trouble


def test_all_jobs_are_done() -> None:
    done: list[int] = []
    do([lambda number=number: done.append(number) for number in range(100)])  # type: ignore[misc]
    assert sorted(done) == list(range(100))


def test_no_job_is_no_work() -> None:
    do([])


def test_as_many_as_there_are_threads_are_under_way_at_once() -> None:
    together = threading.Barrier(3)
    do([lambda: together.wait(20) and None] * 6, threads=3)  # type: ignore[func-returns-value]


def test_jobs_are_taken_as_threads_become_free() -> None:
    done: list[int] = []
    ahead: list[int] = []

    def jobs() -> Iterator[Callable[[], None]]:
        for number in range(1000):
            ahead.append(number - len(done))
            yield lambda: done.append(1)

    do_all(jobs(), 2, Stop(), nobody)
    assert max(ahead) <= 2 * crew.QUEUED_PER_THREAD


def test_a_failure_is_raised_and_ends_the_rest() -> None:
    done: list[int] = []
    with pytest.raises(Trouble):
        do([fail, *[lambda: done.append(1)] * 100], threads=1)
    assert done == []


def test_a_failure_stops_the_others_at_their_next_check() -> None:
    stop = Stop()
    begun = threading.Event()

    def until_stopped() -> None:
        begun.set()
        while True:
            stop.check()
            threading.Event().wait(0.001)

    def fail_when_begun() -> None:
        begun.wait(20)
        fail()

    with pytest.raises(Trouble):
        do_all([until_stopped, fail_when_begun], 2, stop, nobody)


def test_a_failure_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop()
    with pytest.raises(Trouble):
        do_all([lambda: stop.pause(3600), fail], 2, stop, nobody)


def test_whoever_checks_in_can_stop_all() -> None:
    with pytest.raises(Trouble):
        do([nobody] * 10, check_in=fail)


def test_whoever_checks_in_is_heard_while_a_job_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "LOOK_SECONDS", 0.001)
    stop = Stop()
    with pytest.raises(Trouble):
        do_all([lambda: stop.pause(3600)], 1, stop, fail)


def test_jobs_that_cannot_be_made_stop_those_under_way() -> None:
    stop = Stop()

    def jobs() -> Iterator[Callable[[], None]]:
        yield lambda: stop.pause(3600)
        raise Trouble

    with pytest.raises(Trouble):
        do_all(jobs(), 1, stop, nobody)


def test_the_first_cause_is_kept() -> None:
    stop = Stop()
    first, second = Trouble("first"), Trouble("second")
    stop.set(first)
    stop.set(second)
    assert stop.cause is first
    with pytest.raises(StoppedError):
        stop.check()
