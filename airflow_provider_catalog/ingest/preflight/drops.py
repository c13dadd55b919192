"""Records that are left out: the byte ranges of their lines, and a file of the user's that keeps them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from airflow_provider_catalog.ingest.preflight.flaws import Flaw
from airflow_provider_catalog.ingest.preflight.records import Record


class ByteRanges:
    """Ranges of bytes in ascending order, sixteen bytes for each; ranges that meet become one."""

    def __init__(self) -> None:
        self._bounds = array("Q")

    def add(self, start: int, end: int) -> None:
        """Add a range that begins at or after the end of the last one.

        :param start: its first byte.
        :param end: the byte after its last one.
        """
        if self._bounds and self._bounds[-1] == start:
            self._bounds[-1] = end
        else:
            self._bounds.extend((start, end))

    def __len__(self) -> int:
        return len(self._bounds) // 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        bounds = iter(self._bounds)
        return zip(bounds, bounds, strict=True)


def write_down(file: BinaryIO, address: str, record: Record, flaws: Sequence[Flaw]) -> None:
    """Write a record that is left out and why as one line of JSON. JSON is kept as it stands; what is none, as a text."""
    errors = [{"pointer": flaw.pointer, "message": flaw.message} for flaw in flaws]
    head = json.dumps({"_file": address, "_line": record.line, "_errors": errors})
    line = record.raw.strip().removeprefix(b"\xef\xbb\xbf")
    content = json.dumps(line.decode(errors="replace")).encode() if record.flaw else line
    file.write(head[:-1].encode() + b', "record": ' + content + b"}\n")
