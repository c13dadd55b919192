"""Files above the limit of one upload: begun, sent in chunks in any order, and ended.

The platform checks only at the end whether chunks are missing or overlap, and what it says of a chunk that is sent twice is
nothing. So no call here is repeated when it may have been worked on: whoever makes it looks at what was received first.

See https://experienceleague.adobe.com/en/docs/experience-platform/ingestion/batch/api-overview (large files).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from airflow_provider_catalog.api.errors import ApiError, UnreachableError, UploadUnknownError
from airflow_provider_catalog.api.retries import Repeat, may_have_been_done
from airflow_provider_catalog.api.transport import Call, Transport

CONTENT_RANGE = "bytes {first}-{last}/{size}"
"""How a chunk says what it is. Adobe's pages name two numbers and show no example; this is how HTTP writes it (RFC 9110)."""

# How the platform writes what it has is not shown either: ranges in any of HTTP's notations, the last byte included.
RECEIVED_RANGE = re.compile(r"(\d+)-(\d+)")


class ByteRange(NamedTuple):
    """A range of bytes, from ``start`` up to, not including, ``end``."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Its number of bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class LargeFiles:
    """The calls of the large-file protocol. All take the file's address, and raise what :class:`.CatalogClient` raises.

    :param transport: the conversation with the platform.
    """

    transport: Transport

    def begin(self, url: str) -> None:
        """Say that a file will come in chunks.

        :raises UploadUnknownError: the answer was lost.
        """
        self._act(url, "INITIALIZE")

    def send(self, url: str, chunk: ByteRange, size: int, open_body: Callable[[], BinaryIO]) -> None:
        """Send one chunk.

        :param url: the file.
        :param chunk: which bytes of it.
        :param size: the length of the whole file.
        :param open_body: opens the chunk's bytes; called anew for each sending.
        :raises UploadUnknownError: the answer was lost.
        """
        content_range = CONTENT_RANGE.format(first=chunk.start, last=chunk.end - 1, size=size)
        headers = {"Content-Type": "application/octet-stream", "Content-Range": content_range}
        self._send(Call("PATCH", url, Repeat.UNSENT_ONLY, headers=headers, body=open_body))

    def received(self, url: str) -> tuple[ByteRange, ...] | None:
        """Give what the platform has of a file, merged and in order; None if it does not know the file, or does not tell."""
        try:
            header = self.transport.send(Call("HEAD", url, Repeat.SAFE, answer_header="Range"))
        except ApiError as error:
            # Of files that were not begun in chunks the documentation does not say what this call answers.
            if error.failure.status in (400, 404, 405, 415):
                return None
            raise
        return merged(
            ByteRange(int(first), int(last) + 1) for first, last in RECEIVED_RANGE.findall(header or "")
        )

    def end(self, url: str) -> None:
        """Say that all chunks of a file are there. The platform answers 400 if they leave a gap or overlap.

        :raises UploadUnknownError: the answer was lost.
        """
        self._act(url, "COMPLETE")

    def _act(self, url: str, action: str) -> None:
        headers = {"Content-Type": "application/json"}
        self._send(Call("POST", url, Repeat.UNSENT_ONLY, params={"action": action}, headers=headers))

    def _send(self, call: Call) -> None:
        try:
            self.transport.send(call)
        except (ApiError, UnreachableError) as error:
            if may_have_been_done(str(call), error):
                raise UploadUnknownError(str(error)) from error
            raise


def merged(ranges: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """Put ranges in order, and those that touch or overlap into one."""
    result: list[ByteRange] = []
    for each in sorted(ranges):
        if result and each.start <= result[-1].end:
            result[-1] = ByteRange(result[-1].start, max(result[-1].end, each.end))
        else:
            result.append(each)
    return tuple(result)


def gaps(received: Iterable[ByteRange], wanted: ByteRange) -> tuple[ByteRange, ...]:
    """Give the parts of a range that are not there.

    >>> gaps([ByteRange(0, 10), ByteRange(20, 25)], ByteRange(5, 30))
    (ByteRange(start=10, end=20), ByteRange(start=25, end=30))
    """
    missing: list[ByteRange] = []
    at = wanted.start
    for start, end in merged(received):
        if start > at:
            missing.append(ByteRange(at, min(start, wanted.end)))
        at = max(at, end)
        if at >= wanted.end:
            break
    if at < wanted.end:
        missing.append(ByteRange(at, wanted.end))
    return tuple(each for each in missing if each.size > 0)
