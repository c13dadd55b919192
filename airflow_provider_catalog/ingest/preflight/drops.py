"""Records that are left out: the byte ranges of their lines, and a file of the user's that keeps them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import IO

from airflow_provider_catalog.ingest.preflight.flaws import Flaw
from airflow_provider_catalog.ingest.preflight.records import Record


def leave_out(bounds: array[int], start: int, end: int) -> None:
    """Add a range to those that are left out of a file, sixteen bytes of memory for each; ranges that meet become one.

    :param bounds: where the ranges begin and end, as :data:`~airflow_provider_catalog.ingest.parts.Bounds`.
    :param start: its first byte, at or after the end of the last one.
    :param end: the byte after its last one.
    """
    if bounds and bounds[-1] == start:
        bounds[-1] = end
    else:
        bounds.extend((start, end))


def write_down(file: IO[bytes], address: str, record: Record, flaws: Sequence[Flaw]) -> None:
    """Write a record that is left out and why as one line of JSON. JSON is kept as it stands; what is none, as a text."""
    errors = [{"pointer": flaw.pointer, "message": flaw.message} for flaw in flaws]
    head = json.dumps({"_file": address, "_line": record.line, "_errors": errors})
    line = record.raw.strip().removeprefix(b"\xef\xbb\xbf")
    content = json.dumps(line.decode(errors="replace")).encode() if record.flaw else line
    file.write(head[:-1].encode() + b', "record": ' + content + b"}\n")
