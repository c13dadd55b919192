"""Tries of a task in processes of their own, which can be killed, and made to go on one request at a time.

They are forked from a process that has imported Airflow already, so that one costs milliseconds. All of them live by the
emulator's clock, so that their pauses take no time. A pause and the end of a try are requests as well, which the platform
does not know: a process that has been let go stands still again at its next one, and whatever it does lies between two.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from desk import CRM_PROFILES, Desk
from tasks import Run, Visit, dag, run_try

from airflow_provider_catalog.ingest import chunks, pace, plan
from airflow_provider_catalog.operators.ingest import BATCH_ID_KEY, IngestFilesOperator

__all__ = ["start_try"]

PAUSE, END = PAUSES = ("/pause", "/end")
CONNECTION = "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"
LONGEST_TRY = 60.0
PAUSING, ENDING = f"GET {PAUSE}", f"GET {END}"
BATCH_ID = re.compile("[0-9A-HJKMNP-TV-Z]{26}")

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["rehearsal"])

StartTry = Callable[..., "Try"]


class Way(NamedTuple):
    """How files are loaded.

    :param input_format: of what they are taken to be.
    :param small_file_limit: bytes above which a file counts as large.
    :param chunk_bytes: bytes in which a large one goes that is not cut.
    """

    input_format: str = "json"
    small_file_limit: int = plan.SMALL_FILE_LIMIT
    chunk_bytes: int = chunks.CHUNK_BYTES


AS_THEY_ARE = Way()


@dataclasses.dataclass(frozen=True)
class Report:
    """How a try has ended: with a batch, and with a result or a failure."""

    batch_id: str | None
    result: dict[str, Any] | None
    failure: str | None


class Try:
    """One try of a task that loads files into the CRM dataset; it runs from now on.

    :param desk: of the emulator that it reaches.
    :param files: what it loads.
    :param number: which try it is.
    :param way: how it loads it.
    """

    def __init__(self, desk: Desk, files: Path, number: int, way: Way) -> None:
        self._reports, theirs = FORKS.Pipe(duplex=False)
        arguments = (theirs, json.dumps(desk.emulator.connection), desk.url, str(files), number, way)
        self._process = FORKS.Process(target=_run, args=arguments, daemon=True)
        with pytest.MonkeyPatch.context() as environment:
            # Python 3.11 does not hand the search path on to the process that is forked from.
            environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))
            forkserver.ensure_running()
        self._process.start()
        theirs.close()

    def kill(self) -> None:
        """End the process as ``kill -9`` does, in the middle of what it does."""
        self._process.kill()
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL

    def report(self) -> Report:
        """Wait for the try's end."""
        assert self._reports.poll(LONGEST_TRY), "the try has not ended"
        report: Report = self._reports.recv()
        self._process.join()
        assert self._process.exitcode == 0
        return report

    def clear_away(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._reports.close()


@pytest.fixture
def start_try(desk: Desk) -> Iterator[StartTry]:
    """``start_try(files, number, way)`` starts a try of a task in a process of its own."""
    started: list[Try] = []

    def start(files: Path, number: int, way: Way = AS_THEY_ARE) -> Try:
        started.append(Try(desk, files, number, way))
        return started[-1]

    yield start
    for each in started:
        each.clear_away()


class Walk:
    """Lets tries go on one step at a time, so that only one of them is at work at any moment.

    :param desk: of an emulator that holds every request back from now on.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tries: dict[int, Try] = {}
        self._held: dict[int, dict[str, Any]] = {}
        self._known: set[str] = set()
        self.standing: dict[int, str] = {}
        self.taken: list[tuple[int, str]] = []
        self.reports: list[Report] = []
        desk.hold_requests("before", times=None)

    def enter(self, number: int, entering: Try) -> None:
        """Let a try come to its first step."""
        self._tries[number] = entering
        self._await(number)

    def go_on(self, number: int, effect: dict[str, Any] | None = None) -> None:
        """Let a try take the step before which it stands, as if nothing had happened or with an effect, up to its next one."""
        step, held = self.standing.pop(number), self._held.pop(number)
        self.taken.append((number, step))
        self._desk.release(held["id"], effect)
        if step == ENDING:
            self.reports.append(self._tries[number].report())
        else:
            self._await(number)

    def kill(self, number: int) -> None:
        """Kill a try. Its request has been sent, but has not arrived."""
        self._tries[number].kill()
        del self.standing[number]

    def let_arrive(self, number: int, effect: dict[str, Any] | None = None) -> None:
        """Let the platform work on the request of a killed try, unless the effect forbids it."""
        self._desk.work_off(self._held.pop(number), effect)

    def _await(self, number: int) -> None:
        held = self._desk.held(count=len(self._held) + 1)
        new = [each for each in held if each["id"] not in self._known]
        assert len(new) == 1, f"try {number} has not come to its next step, or to several: {new}"
        self._known.add(new[0]["id"])
        self._held[number] = new[0]
        self.standing[number] = step_of(new[0])


def step_of(request: dict[str, Any]) -> str:
    """Say what a request is, without what is different in every batch."""
    action = dict(request["query"]).get("action", "")
    return f"{request['method']} {without_ids(request['path'])} {action}".rstrip()


def without_ids(path: str) -> str:
    """Give a path with a star in place of each batch's id."""
    return BATCH_ID.sub("*", path)


class _Clock:
    """The emulator's clock, for a process that is patient by it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def now(self) -> float:
        answer = self._session.get(f"{self._url}/__emulator__/clock", timeout=LONGEST_TRY)
        now: float = answer.json()["now"]
        return now

    def sleep(self, seconds: float) -> None:
        """Stand still, and then be awake at the earliest when the time is over."""
        wake = self.now() + seconds
        self.stop_at(PAUSE)
        rest = max(0.0, wake - self.now())
        self._session.post(f"{self._url}/__emulator__/clock", json={"advance": rest}, timeout=LONGEST_TRY)

    def stop_at(self, path: str) -> None:
        self._session.get(f"{self._url}{path}", timeout=LONGEST_TRY)


def run_one(connection: str, url: str, files: str, number: int, way: Way = AS_THEY_ARE) -> Report:
    """Run a try in this process, up to its end."""
    plan.SMALL_FILE_LIMIT, chunks.CHUNK_BYTES = way.small_file_limit, way.chunk_bytes
    os.environ[CONNECTION] = connection
    clock = _Clock(url)
    pace.now, pace.sleep = clock.now, clock.sleep
    task = IngestFilesOperator(
        task_id="load",
        dataset_id=CRM_PROFILES,
        files=files,
        input_format=way.input_format,
        max_parallel_uploads=1,  # one request after the other, so that each point is passed in the same order each time
        poll_interval=20,
        deferrable=False,
        dag=dag(),
    )
    visit = Visit(task, Run(), try_number=number)
    failure = None
    try:
        run_try(visit)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
        failure = f"{type(error).__name__}: {error}"
    clock.stop_at(END)
    return Report(visit.xcoms.get(BATCH_ID_KEY), visit.xcoms.get("return_value"), failure)


def _run(reports: Connection, *arguments: Any) -> None:
    reports.send(run_one(*arguments))
