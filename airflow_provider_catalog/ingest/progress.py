"""How far an upload is: counted byte by byte, said from time to time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import BinaryIO, Protocol, cast

from airflow_provider_catalog.ingest.crew import Stop

log = logging.getLogger(__name__)

REPORT_SECONDS = 30.0


class Body(Protocol):
    """Bytes of known length that can be read once."""

    def __len__(self) -> int: ...

    def read(self, size: int) -> bytes | memoryview:
        """Read up to about so many bytes; none at the end."""

    def close(self) -> None:
        """Let go of what they come from."""


class Progress:
    """Counts for all threads of one upload.

    :param files: how many files there are.
    :param size: how many bytes.
    :param clock: seconds that only go forward.
    """

    def __init__(self, files: int, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._there = 0
        self._there_bytes = 0
        self._sent = 0
        self._started = self._said = clock()

    def sent(self, size: int) -> None:
        """Count bytes that went out; a negative number takes back what goes out again."""
        with self._lock:
            self._sent += size

    def was_there(self, size: int) -> None:
        """Count bytes that the platform had from an earlier try."""
        with self._lock:
            self._there_bytes += size

    def file_done(self, *, was_there: bool = False) -> None:
        """Count a file that has arrived, or had arrived before."""
        with self._lock:
            self._done += 1
            self._there += was_there

    def report(self) -> None:
        """Say how far the upload is, if that was not said for a while."""
        now = self._clock()
        if now - self._said < REPORT_SECONDS:
            return
        self._said = now
        rate = self._sent / (now - self._started)
        left = self._size - self._there_bytes - self._sent
        rest = f", about {_duration(left / rate)} left" if rate else ""
        log.info(
            "%s of %s file(s), %s of %s, %s/s%s.",
            f"{self._done:,}",
            f"{self._files:,}",
            in_words(self._there_bytes + self._sent),
            in_words(self._size),
            in_words(rate),
            rest,
        )

    def conclude(self) -> None:
        """Say what was done, when all is done."""
        seconds = max(self._clock() - self._started, 1e-3)
        log.info(
            "Uploaded %s file(s), %s in %s, %s/s; %s file(s) were there already.",
            f"{self._done - self._there:,}",
            in_words(self._sent),
            _duration(seconds),
            in_words(self._sent / seconds),
            f"{self._there:,}",
        )


class Counted:
    """Opens a body anew for each sending, counts what goes out of it, and ends it when it is time to stop.

    :param open_body: opens the bytes.
    :param progress: counts.
    :param stop: looked at before each block.
    """

    def __init__(self, open_body: Callable[[], Body], progress: Progress, stop: Stop) -> None:
        self._open_body = open_body
        self._progress = progress
        self._stop = stop
        self._sent = 0

    def __call__(self) -> BinaryIO:
        """Open the bytes for one sending."""
        self._progress.sent(-self._sent)
        self._sent = 0
        return cast(BinaryIO, _CountedBody(self._open_body(), self))

    def read(self, body: Body, size: int) -> bytes | memoryview:
        """Read a block, and count it."""
        self._stop.check()
        block = body.read(size)
        self._sent += len(block)
        self._progress.sent(len(block))
        return block


class _CountedBody:
    def __init__(self, body: Body, counted: Counted) -> None:
        self._body = body
        self._counted = counted

    def __len__(self) -> int:
        return len(self._body)

    def read(self, size: int) -> bytes | memoryview:
        return self._counted.read(self._body, size)

    def close(self) -> None:
        self._body.close()


def in_words(size: float) -> str:
    """Write a number of bytes for people.

    >>> in_words(999), in_words(256_000_000), in_words(1.5e12)
    ('999 bytes', '256.0 MB', '1.5 TB')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size:.0f} bytes"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
