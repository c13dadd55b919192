"""Many jobs, a few at a time; one that fails, or somebody who wants to stop, stops them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from airflow_provider_catalog.api.errors import StoppedError
from airflow_provider_catalog.ingest import pace

LOOK_SECONDS = 0.5
QUEUED_PER_THREAD = 2


class Stop:
    """Tells all threads of one undertaking to give it up, and keeps why."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.cause: BaseException | None = None

    def set(self, cause: BaseException) -> None:
        """Let every further check fail, and every pause end. The first cause is kept."""
        with self._lock:
            self.cause = self.cause or cause
        self._event.set()

    def check(self) -> None:
        """Go on, unless it is time to stop.

        :raises StoppedError: it is.
        """
        if self._event.is_set():
            raise StoppedError("Stopped before it was done.")

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until it is time to stop.

        :raises StoppedError: it is.
        """
        pace.wait(self._event, seconds)
        self.check()


def do_all(
    jobs: Iterable[Callable[[], None]], threads: int, stop: Stop, check_in: Callable[[], None]
) -> None:
    """Do all jobs. When this returns or raises, none is under way any more.

    Jobs are taken as threads become free, so that an iterator of any length needs little memory. What the first job to fail has
    raised is raised here.

    :param jobs: each is called once, in a thread.
    :param threads: how many at the same time.
    :param stop: set when a job fails; the others are expected to notice.
    :param check_in: called in this thread about twice a second; what it raises stops all.
    """
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(threads, thread_name_prefix="adobe-upload") as pool:
        try:
            for job in jobs:
                running.add(pool.submit(_guarded, job, stop))
                while len(running) >= threads * QUEUED_PER_THREAD:
                    running = _watch(running, check_in)
            while running:
                running = _watch(running, check_in)
        except BaseException as error:
            stop.set(error)
            pool.shutdown(cancel_futures=True)
            if isinstance(error, StoppedError) and stop.cause is not None:
                raise stop.cause from None
            raise


def _guarded(job: Callable[[], None], stop: Stop) -> None:
    stop.check()
    try:
        job()
    except BaseException as error:
        stop.set(error)
        raise


def _watch(running: set[Future[None]], check_in: Callable[[], None]) -> set[Future[None]]:
    done, rest = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
    for each in done:
        each.result()
    check_in()
    return rest
