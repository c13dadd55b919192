"""What is uploaded: parts, each with one request, and large files, in chunks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from airflow_provider_catalog.api.large_files import ByteRange
from airflow_provider_catalog.ingest.sources import SourceFile, SourceReader

Bounds = Sequence[int]
"""Ranges of bytes that are left out, in order: where the first begins, where it ends, where the second begins, …"""


@dataclass(frozen=True)
class Piece:
    """A range of a file's bytes.

    :param source: the file.
    :param range: which bytes of it.
    :param left_out: what is left out of the file; much of it may lie outside of the range.
    """

    source: SourceFile
    range: ByteRange
    left_out: Bounds = field(default=(), repr=False)

    @cached_property
    def size(self) -> int:
        """Its number of bytes."""
        first, last = self._bounds
        edges = (self.range.start, *self.left_out[first:last], self.range.end)
        kept = islice(edges, first % 2, None)
        return sum(end - start for start, end in zip(kept, kept, strict=False))

    def open(self) -> SourceReader | KeptReader:
        """Open its bytes for one reading."""
        reader = self.source.open(self.range.start, self.range.end)
        first, last = self._bounds
        if first == last and first % 2 == 0:
            return reader
        return KeptReader(reader, self.range.start, self.left_out, first, last)

    @property
    def _bounds(self) -> tuple[int, int]:
        """Which of the bounds lie inside the range; an odd number before it means that it begins with what is left out."""
        return bisect_right(self.left_out, self.range.start), bisect_left(self.left_out, self.range.end)


@dataclass(frozen=True)
class Part:
    """One file of the batch, which is sent with one request.

    :param remote_name: its path inside the batch.
    :param content: what it is made of, in order; bytes are repeated or added between pieces of files.
    :param how: how it came about, for people; empty for a file as it is.
    """

    remote_name: str
    content: tuple[Piece | bytes, ...]
    how: str = ""

    @cached_property
    def size(self) -> int:
        """Its number of bytes."""
        return sum(len(each) if isinstance(each, bytes) else each.size for each in self.content)

    @property
    def written(self) -> float | None:
        """When something in it was last written to, in epoch seconds; None if that is not known of all of it."""
        return _latest([each.source for each in self.content if isinstance(each, Piece)])

    @property
    def identity(self) -> str:
        """A text that says which bytes of which files it holds, unless it is a file as it is: that one is known by its name."""
        pieces = [each for each in self.content if isinstance(each, Piece)]
        made_of = [(each.source.address, *each.range, each.size) for each in pieces] if self.how else []
        return f"{self.remote_name} {made_of}"

    def open(self) -> PartReader:
        """Open its bytes for one sending."""
        return PartReader(self)


@dataclass(frozen=True)
class LargeFile:
    """One file of the batch, which is sent in chunks.

    :param remote_name: its path inside the batch.
    :param source: the file.
    """

    remote_name: str
    source: SourceFile
    how: str = "in chunks"

    @property
    def size(self) -> int:
        """Its number of bytes."""
        return self.source.size

    @property
    def identity(self) -> str:
        """A text that becomes another one when its size does, since what was sent of it can't be replaced."""
        return f"{self.remote_name} {self.size}"

    @property
    def written(self) -> float | None:
        """When it was last written to, in epoch seconds; None if that is not known."""
        return self.source.look.written


class PartReader:
    """Reads a part's content from one end to the other, holding one file open at a time.

    :raises FileChangedError: the first file is not there any more.
    """

    def __init__(self, part: Part) -> None:
        self._size = part.size
        self._rest = iter(part.content)
        self._added = b""
        self._current: SourceReader | KeptReader | None = None
        self._go_on()

    def __len__(self) -> int:
        return self._size

    def read(self, size: int) -> bytes | memoryview:
        """Read up to ``size`` bytes, or all of what a part repeats or adds by itself; none at the end.

        :raises FileChangedError: a file is not what it was.
        """
        while True:
            if self._added:
                added, self._added = self._added, b""
                return added
            if self._current is None:
                return b""
            # What is lent has gone out when the next block is asked for.
            if block := self._current.lend(size):
                return block
            self._go_on()

    def close(self) -> None:
        """Close the file that is open."""
        if self._current is not None:
            self._current.close()
            self._current = None

    def _go_on(self) -> None:
        """Open the next piece; what stands before it is read first."""
        self.close()
        for each in self._rest:
            if not isinstance(each, bytes):
                self._current = each.open()
                return
            self._added += each


class KeptReader:
    """Reads a range of a file without what is left out of it.

    :param reader: reads all of the range.
    :param start: where the range begins in the file.
    :param left_out: what is left out of the file.
    :param first: which bound is the first one inside the range; an odd one ends what is left out.
    :param last: which one is the first one after it.
    """

    def __init__(self, reader: SourceReader, start: int, left_out: Bounds, first: int, last: int) -> None:
        self._reader = reader
        self._at = start
        self._left_out = left_out
        self._next = first
        self._last = last
        self._block = memoryview(b"")

    def lend(self, size: int) -> memoryview:
        """Read up to ``size`` bytes into memory that the next call uses again; none at the end.

        :raises FileChangedError: the file is not what it was.
        """
        while True:
            if not self._block:
                self._block = self._reader.lend(size)
            if not self._block:
                return self._block
            # From bound to bound, bytes are kept and left out in turn.
            is_kept = self._next % 2 == 0
            has_bound = self._next < self._last
            length = self._left_out[self._next] - self._at if has_bound else len(self._block)
            run, self._block = self._block[:length], self._block[length:]
            self._at += len(run)
            if has_bound and self._at == self._left_out[self._next]:
                self._next += 1
            if is_kept:
                return run

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def _latest(sources: Sequence[SourceFile]) -> float | None:
    times = [source.look.written for source in sources]
    known = [time for time in times if time is not None]
    return max(known, default=None) if len(known) == len(times) else None
