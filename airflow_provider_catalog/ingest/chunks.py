"""One large file on its way into a batch: begun, sent in chunks, ended; gone on with wherever an earlier try has stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    FileChangedError,
    FileSpoiledError,
    UploadUnknownError,
)
from airflow_provider_catalog.api.large_files import ByteRange, gaps
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.crew import Stop
from airflow_provider_catalog.ingest.ending import REFUSALS
from airflow_provider_catalog.ingest.parts import LargeFile, Part, Piece
from airflow_provider_catalog.ingest.progress import Counted, Progress

log = logging.getLogger(__name__)

CHUNK_BYTES = 64_000_000
"""Small enough for a slow line within the gateway's 60 seconds, and to lose little when a task dies."""

ATTEMPTS = 4

T = TypeVar("T")


class LargeUpload:
    """A large file and what the platform has of it.

    The platform takes overlapping chunks and refuses the file at its end because of them. So nothing is sent of which it is not
    known that the platform lacks it, and chunks of two versions of a file are never mixed.

    :param client: reaches the sandbox; its pauses end when it is time to stop.
    :param file: the file.
    :param url: its address in the batch.
    :param opened: when the batch was opened, in epoch seconds; None if it is not known to the Catalog yet.
    :param progress: counts.
    :param stop: ends all.
    """

    def __init__(
        self,
        client: CatalogClient,
        file: LargeFile,
        url: str,
        opened: float | None,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._calls = client.large_files
        self._file = file
        self._url = url
        self._opened = opened
        self._progress = progress
        self._stop = stop

    def jobs(self) -> Iterator[Callable[[], None]]:
        """Begin the file, unless that was done, and give a job for each chunk that is missing."""
        missing = gaps(self._begin(), self._whole)
        self._progress.was_there(self._file.size - sum(each.size for each in missing))
        for each in missing:
            for start in range(each.start, each.end, CHUNK_BYTES):
                yield partial(self._send, ByteRange(start, min(start + CHUNK_BYTES, each.end)))

    def end(self) -> None:
        """Make sure that all of it is there, and end it.

        :raises FileSpoiledError: it is not, or the platform does not accept it.
        """
        self._fill_gaps()
        try:
            self._certainly(self._end)
        except ApiError as error:
            if error.failure.status not in REFUSALS:
                raise
            raise FileSpoiledError(
                self._name, f"the platform does not accept it as a whole. {error}"
            ) from error
        self._progress.file_done()

    @property
    def _name(self) -> str:
        return self._file.remote_name

    @property
    def _whole(self) -> ByteRange:
        return ByteRange(0, self._file.size)

    def _begin(self) -> tuple[ByteRange, ...]:
        """Give what the platform has of it."""
        received = self._calls.received(self._url)
        if received is None:
            received = self._certainly(self._initialize)
        if received and not self._is_unchanged:
            raise FileSpoiledError(self._name, "it has changed since a part of it was uploaded")
        return received

    def _initialize(self, attempt: int) -> tuple[ByteRange, ...]:
        received = self._calls.received(self._url) if attempt > 1 else None
        if received is not None:
            return received
        try:
            self._calls.begin(self._url)
        except ApiError as error:
            if error.failure.status not in REFUSALS:
                raise
            reason = f"the platform does not let it begin, and does not tell what it has of it. {error}"
            raise FileSpoiledError(self._name, reason) from error
        return ()

    @property
    def _is_unchanged(self) -> bool:
        written = self._file.written
        return self._opened is not None and written is not None and written < self._opened

    def _send(self, chunk: ByteRange) -> None:
        try:
            self._certainly(partial(self._send_missing, chunk))
        except FileChangedError as error:
            # What was sent of it can't be replaced.
            raise FileSpoiledError(self._name, str(error)) from error

    def _send_missing(self, chunk: ByteRange, attempt: int) -> None:
        missing = (chunk,) if attempt == 1 else gaps(self._received(), chunk)
        for each in missing:
            part = Part(self._name, (Piece(self._file.source, each),))
            body = Counted(part.open, self._progress, self._stop)
            self._calls.send(self._url, each, self._file.size, body)

    def _received(self) -> tuple[ByteRange, ...]:
        received = self._calls.received(self._url)
        if received is None:
            reason = "an answer was lost, and the platform does not tell what it has of the file"
            raise FileSpoiledError(self._name, reason)
        return received

    def _fill_gaps(self) -> None:
        """Send again what got lost on the platform's side; it tells only here, and at the file's end."""
        for attempt in range(1, ATTEMPTS + 1):
            received = self._calls.received(self._url)
            missing = gaps(received, self._whole) if received else ()
            if not missing:
                return
            lost = ", ".join(f"{start:,} to {end - 1:,}" for start, end in missing)
            if attempt == ATTEMPTS:
                raise FileSpoiledError(self._name, f"the platform has lost bytes {lost}, more than once")
            log.warning("The platform has lost bytes %s of %s; they are sent again.", lost, self._name)
            for each in missing:
                self._send(each)

    def _end(self, attempt: int) -> None:
        self._calls.end(self._url)

    def _certainly(self, work: Callable[[int], T]) -> T:
        """Do something until its outcome is known.

        :param work: told which attempt it is, so that it looks first at what the one before has done.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return work(attempt)
            except UploadUnknownError as error:
                log.warning("%s Looking at what has arrived.", error)
                # The platform may be at work on it still.
                self._stop.pause(pace.CATALOG_LAG)
        return work(ATTEMPTS)
