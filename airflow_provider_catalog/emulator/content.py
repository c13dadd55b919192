"""Reading the records of an uploaded file, in each of the formats that a batch can have.

A reader yields one item per row: the record, or a `BadRow` where the row cannot be read. What ails the file as a
whole is raised as `BadFile`. Readers hold one row at a time, of Parquet a thousand; a file may be larger than the memory.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

Json = dict[str, Any]

EMPTY_FILE = "106"
EMPTY_HEADER = "118"
UNREADABLE_FILE = "200"

_CHUNK = 256 * 1024
_EXCERPT = 64 * 1024  # characters kept of the rest of a file that cannot be read on
_CUT = 16  # characters from the end of what was read, within which a syntax error may be a token cut in two
_PARQUET_MAGIC = b"PAR1"
_PARQUET_BUFFER = 1024 * 1024  # bytes read ahead of each column
_PARQUET_ROWS = 1000  # that are in memory at once
_SPACE = re.compile(r"[ \t\r\n]*")


def _no_constant(name: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be parsed, as it stands in the file."""

    text: str = field(repr=False)


class BadFile(Exception):
    """A file of which no row can be read; `code` is the platform's."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


Row = Json | BadRow
Reader = Callable[[Path, Json], Iterator[Row]]


def reader_for(input_format: Json) -> Reader:
    """Return the reader for a batch's ``inputFormat``."""
    name = str(input_format.get("format", "parquet")).lower()
    if name == "json":
        return multi_line_json if input_format.get("isMultiLineJson") else json_lines
    return {"csv": csv_rows, "parquet": parquet_rows}[name]


def json_lines(path: Path, input_format: Json) -> Iterator[Row]:
    """Yield the objects of a file that has one on each line; empty lines do not count."""
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield _parsed_line(line)


def multi_line_json(path: Path, input_format: Json) -> Iterator[Row]:
    """Yield the objects of one JSON array, or of objects that follow one another, over any number of lines.

    The platform cannot resume after a syntax error, so the rest of such a file counts as one bad row.
    """
    with path.open(encoding="utf-8-sig") as text:
        values = _Values(text)
        try:
            yield from map(_as_row, values)
        except (ValueError, RecursionError):
            yield BadRow(values.rest[:_EXCERPT])


def csv_rows(path: Path, input_format: Json) -> Iterator[Row]:
    """Yield the rows of a CSV file as objects of strings, named by its header or, without one, by position."""
    charset = str(input_format.get("charset", "UTF-8"))
    # A byte-order mark is no part of the first column's name.
    encoding = "utf-8-sig" if charset.upper() == "UTF-8" else charset
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding=encoding, newline="", errors="replace") as text:
        rows = csv.reader(text, **_csv_dialect(input_format))
        try:
            names = _csv_header(rows) if _has_header(input_format) else None
            for values in filter(None, rows):
                yield dict(zip(names or map(str, range(len(values))), values, strict=False))
        except csv.Error as error:
            yield BadRow(str(error))


def parquet_rows(path: Path, input_format: Json) -> Iterator[Row]:
    """Yield an empty record for each row of a Parquet file, since nobody looks at more. Needs pyarrow: see `has_rows`.

    Many values that Parquet can hold, such as dates after the year 9999, Python cannot.
    """
    parquet: Any = importlib.import_module("pyarrow.parquet")
    try:
        # Left to itself pyarrow reads far ahead, and keeps as much as the whole file in memory.
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=_PARQUET_BUFFER) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                yield from ({} for _ in range(batch.num_rows))
    except (OSError, ValueError) as error:  # so are pyarrow's own for a file that is damaged
        raise BadFile(UNREADABLE_FILE, "The file is not a readable Parquet file.") from error


def check_file(path: Path, input_format: Json) -> None:
    """Refuse a file that cannot be of the batch's format, by its first look. Raises BadFile."""
    size = path.stat().st_size
    if size == 0:
        raise BadFile(EMPTY_FILE, "The file is empty.")
    if reader_for(input_format) is parquet_rows and not _has_parquet_magic(path, size):
        raise BadFile(UNREADABLE_FILE, "The file is not a Parquet file.")


def has_rows(input_format: Json) -> bool:
    """Say whether rows of this format can be read here: Parquet's only where pyarrow is installed."""
    return reader_for(input_format) is not parquet_rows or importlib.util.find_spec("pyarrow") is not None


class _Values:
    """Iterates over the JSON values in a text, reading no further ahead than it must."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer = ""
        self._at = 0

    @property
    def rest(self) -> str:
        """What was read and not taken."""
        return self._buffer[self._at :]

    def __iter__(self) -> Iterator[Any]:
        if self._next_character() == "[":
            self._at += 1
            return self._members()
        return self._sequence()

    def _sequence(self) -> Iterator[Any]:
        while self._next_character():
            yield self._next_value()

    def _members(self) -> Iterator[Any]:
        if self._next_character() != "]":
            yield self._next_value()
            while self._next_character() == ",":
                self._at += 1
                self._next_character()
                yield self._next_value()
        if self._next_character() != "]":
            raise ValueError
        self._at += 1
        if self._next_character():
            raise ValueError

    def _next_character(self) -> str:
        """Return the next character that is not white space, without taking it; "" at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer) or not self._read(_CHUNK):
                return self._buffer[self._at : self._at + 1]

    def _next_value(self) -> Any:
        want = _CHUNK
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if not self._is_cut(error) or not self._read(want):
                    raise
                want *= 2  # so that one huge object is not parsed again for every chunk of it
            else:
                return value

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Say whether a syntax error may come from the buffer's end: else no more of the file need be read."""
        return error.msg.startswith("Unterminated string") or error.pos > len(self._buffer) - _CUT

    def _read(self, size: int) -> bool:
        more = self._text.read(size)
        self._buffer = self._buffer[self._at :] + more
        self._at = 0
        return bool(more)


def _parsed_line(line: bytes) -> Row:
    try:
        return _as_row(_DECODER.decode(line.decode("utf-8-sig")))
    except (ValueError, RecursionError):
        return BadRow(line.decode(errors="replace").rstrip("\r\n"))


def _as_row(value: Any) -> Row:
    return value if isinstance(value, dict) else BadRow(json.dumps(value))


def _has_header(input_format: Json) -> bool:
    return str(input_format.get("header", True)).lower() == "true"


def _csv_header(rows: Iterator[list[str]]) -> list[str]:
    names = next(rows, [])
    if not any(name.strip() for name in names):
        raise BadFile(EMPTY_HEADER, "The header row of the CSV file is empty.")
    return names


def _csv_dialect(input_format: Json) -> dict[str, Any]:
    quote, escape = input_format.get("quote", '"'), input_format.get("escape", "\\")
    return {
        "delimiter": input_format.get("delimiter", ","),
        "quotechar": quote,
        # A quote that is escaped by a quote is a doubled one, which a reader understands anyhow.
        "escapechar": None if escape == quote else escape,
    }


def _has_parquet_magic(path: Path, size: int) -> bool:
    if size < 2 * len(_PARQUET_MAGIC):
        return False
    with path.open("rb") as file:
        head = file.read(len(_PARQUET_MAGIC))
        file.seek(-len(_PARQUET_MAGIC), 2)
        return head == file.read() == _PARQUET_MAGIC
