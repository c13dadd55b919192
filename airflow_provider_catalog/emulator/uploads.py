"""A file that arrives in chunks, in any order and several at a time.

The chunks are written where they belong in one sparse file, so that nothing is left to do once they are all there. A chunk
that has the bytes of another waits beside it: should either break off, the other one's bytes are whole.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .chunks import Chunk, merged
from .store import Store

_COPY = 1024 * 1024


class Arrival:
    """A chunk on its way: where its bytes go. `apart` is the file it has for itself, None if it is written in place."""

    def __init__(self, chunk: Chunk, target: IO[bytes], apart: Path | None) -> None:
        self.chunk = chunk
        self.apart = apart
        self.size = 0
        self._target = target

    def write(self, data: bytes) -> None:
        """Take in more of its bytes; they go nowhere if they are too many, or another chunk has taken the place."""
        self.size += len(data)
        if self.size <= self.chunk.size and not self._target.closed:
            self._target.write(data)

    def close(self) -> None:
        """Write no more."""
        self._target.close()


@dataclass
class Upload:
    """A large file that was initialised and not completed: the chunks that it has, and those on their way."""

    path: str
    stored_as: str
    chunks: list[Chunk] = field(default_factory=list)
    arriving: list[Arrival] = field(default_factory=list)

    @property
    def total(self) -> int | None:
        """How large the whole file is, if a chunk has said it."""
        return next((chunk.total for chunk in self.chunks if chunk.total is not None), None)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The bytes that are there, in ranges that do not touch."""
        return merged(self.chunks)

    @property
    def received(self) -> int:
        """How many bytes are there."""
        return sum(last - first + 1 for first, last in self.ranges)

    def has(self, chunk: Chunk) -> bool:
        """Say whether a chunk of this very range is there."""
        return any(each.range == chunk.range for each in self.chunks)

    @contextlib.contextmanager
    def arrival(self, chunk: Chunk, store: Store) -> Iterator[Arrival]:
        """Give a chunk a place to be written to. Unless `settle` is called in the block, it counts for nothing."""
        others = (*self.chunks, *(each.chunk for each in self.arriving))
        apart = store.new_file() if any(chunk.overlaps(other) for other in others) else None
        with contextlib.ExitStack() as stack:
            if apart:
                stack.callback(apart.unlink, missing_ok=True)
            target = (apart or store.file(self.stored_as)).open("wb" if apart else "r+b")
            target.seek(0 if apart else chunk.first)
            arrival = Arrival(chunk, target, apart)
            self.arriving.append(arrival)
            stack.callback(self.arriving.remove, arrival)
            stack.callback(arrival.close)
            yield arrival

    def settle(self, arrival: Arrival, store: Store) -> None:
        """Put the bytes of a whole chunk into their place, and count it."""
        arrival.close()
        chunk = arrival.chunk
        if arrival.apart:
            self._take_place(chunk)
            with arrival.apart.open("rb") as source, store.file(self.stored_as).open("r+b") as target:
                target.seek(chunk.first)
                shutil.copyfileobj(source, target, _COPY)
        self.chunks.append(chunk)

    def stop(self) -> None:
        """Let no chunk that is on its way write any more."""
        for each in self.arriving:
            each.close()

    def _take_place(self, chunk: Chunk) -> None:
        for each in self.arriving:
            if each.apart is None and each.chunk.overlaps(chunk):
                each.close()
