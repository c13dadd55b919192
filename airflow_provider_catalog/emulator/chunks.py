"""The chunks in which a large file arrives: how a request names one, what they make up, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})(?:/(\d{1,18}|\*))?", re.ASCII)


class BadRange(ValueError):
    """A ``Content-Range`` that is not understood, or not accepted."""


@dataclass(frozen=True)
class Chunk:
    """Bytes of a file, both ends included, and the size of the whole file if the client has said it."""

    first: int
    last: int
    total: int | None = None

    @property
    def size(self) -> int:
        """How many bytes it is."""
        return self.last - self.first + 1

    @property
    def range(self) -> tuple[int, int]:
        """Its ends."""
        return self.first, self.last

    def overlaps(self, other: Chunk) -> bool:
        """Say whether both have a byte in common."""
        return self.first <= other.last and other.first <= self.last


def named_chunk(header: str | None, total: str) -> Chunk:
    """Return the chunk that a ``Content-Range`` names; `total` is the setting ``chunk_total``. Raises BadRange."""
    match = _CONTENT_RANGE.fullmatch(header or "")
    if not match:
        raise BadRange(
            "The Content-Range must be: bytes FIRST-LAST, bytes FIRST-LAST/* or bytes FIRST-LAST/TOTAL."
        )
    if total == "required" and match[3] in (None, "*"):
        raise BadRange("The Content-Range must end with the size of the whole file: bytes FIRST-LAST/TOTAL.")
    if total == "refused" and match[3] is not None:
        raise BadRange("The Content-Range must be: bytes FIRST-LAST.")
    whole = int(match[3]) if match[3] not in (None, "*") else None
    chunk = Chunk(int(match[1]), int(match[2]), whole)
    if chunk.size < 1:
        raise BadRange("The Content-Range ends before it begins.")
    return chunk


def merged(chunks: Iterable[Chunk]) -> list[tuple[int, int]]:
    """Return the ranges, in order and none touching another, that the chunks make up together."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted(chunk.range for chunk in chunks):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
        else:
            ranges.append((first, last))
    return ranges


def defect(chunks: Sequence[Chunk], total: int | None) -> str | None:
    """Say why the chunks are no whole file, of a size if that is known; None if they are."""
    end = 0
    for first, last in sorted(chunk.range for chunk in chunks):
        if first != end:
            return f"Chunks overlap at byte {first}." if first < end else _missing(end, first - 1)
        end = last + 1
    if total is not None and end > total:
        return f"There are {end} bytes, not {total} as was said."
    if end == 0 or (total is not None and end < total):
        return _missing(end, total - 1) if total else "No chunk has arrived."
    return None


def _missing(first: int, last: int) -> str:
    return f"A chunk is missing: nothing has arrived of the bytes {first}-{last}."
