"""Where a large file may be cut into parts that the platform reads as files of their own: at the ends of its records.

Each part is as large as it can be, from the front, so that the same bytes are always cut at the same places.
"""

from __future__ import annotations

import codecs
import re
from contextlib import closing
from typing import NamedTuple

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.ingest.csv_records import CsvDialect, CsvRecords
from airflow_provider_catalog.ingest.sources import SourceFile

BLOCK = 1 << 20
"""Bytes that are read at once where all of a file is read."""

EDGE_BLOCK = 1 << 16
"""Bytes that are read at once where only a line's end is looked for."""

HEADER_LIMIT = 1 << 20
"""Bytes of a header row, at most: it is kept, and repeated in each part."""

NEWLINE = b"\n"
CSV_ROWS = "rows that end in a line feed,"
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
LONE_CARRIAGE_RETURN = re.compile(rb"\r(?!\n)")


class ByteRange(NamedTuple):
    """A range of bytes, from ``start`` up to, not including, ``end``."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Its number of bytes."""
        return self.end - self.start


class CsvSplit(NamedTuple):
    """How a CSV file is cut.

    :param header: what each part begins with: the file's byte-order mark and its header row, if it has them.
    :param ranges: the rest of the file, in order.
    """

    header: bytes
    ranges: tuple[ByteRange, ...]


class LineEdges(NamedTuple):
    """Where the lines of a file lie.

    :param first: where the first one begins: after a byte-order mark.
    :param ends_with_newline: whether the last one has a newline at its end.
    """

    first: int
    ends_with_newline: bool


def line_edges(source: SourceFile) -> LineEdges:
    """Look at both ends of a file of JSON lines, for joining it with others. A small file costs one read, others two.

    :raises InvalidInputError: it is not in UTF-8.
    """
    head = _read(source, 0, min(source.size, EDGE_BLOCK))
    last = head[-1:] if source.size <= EDGE_BLOCK else _read(source, source.size - 1, source.size)
    return LineEdges(len(_byte_order_mark(source, head)), last == NEWLINE)


def split_json_lines(source: SourceFile, limit: int) -> tuple[ByteRange, ...]:
    """Cut a file of JSON lines, of which only a little around each cut is read.

    A newline is always the end of a line: inside a text of JSON it is written as an escape.

    :param limit: bytes of a part, at most.
    :raises InvalidInputError: a line is longer than that, or the file is not in UTF-8.
    """
    _byte_order_mark(source, _read(source, 0, min(source.size, len(codecs.BOM_UTF32_LE))))
    ranges: list[ByteRange] = []
    start = 0
    while source.size - start > limit:
        end = _last_line_end(source, start, start + limit)
        if end == start:
            raise _too_long(source, "lines", limit, start)
        ranges.append(ByteRange(start, end))
        start = end
    return (*ranges, *_remaining(start, source.size))


def _last_line_end(source: SourceFile, start: int, end: int) -> int:
    """Look from ``end`` backwards for the end of a line; ``start`` if there is none between them."""
    block = EDGE_BLOCK
    while end > start:
        low = max(start, end - block)
        found = _read(source, low, end).rfind(NEWLINE)
        if found >= 0:
            return low + found + 1
        end = low
        block = min(2 * block, BLOCK)
    return start


def split_csv(source: SourceFile, limit: int, dialect: CsvDialect) -> CsvSplit:
    """Cut a CSV file, all of which is read, since only from its beginning can be told which line breaks are quoted.

    :param limit: bytes of a part with its header, at most.
    :raises InvalidInputError: a row is longer than that, a quote is not closed, the header row can't be told from the rest,
        or the file is in UTF-16 or UTF-32.
    """
    records = CsvRecords(dialect)
    header = _header(source, dialect, records)
    room = limit - len(header)
    if room <= 0:
        raise _too_long(source, CSV_ROWS, limit, 0)
    ranges: list[ByteRange] = []
    start = record = at = len(header)
    with closing(source.open(at)) as reader:
        # A block ends where a part must at the latest, so that the last end of a record up to there is always known.
        while block := reader.read(min(BLOCK, start + room - at)):
            if end := records.read(block):
                record = at + end
            at += len(block)
            if at == start + room and at < source.size:
                if record == start:
                    raise _too_long(source, CSV_ROWS, room, start)
                ranges.append(ByteRange(start, record))
                start = record
    if records.quote_is_open:
        allowed = f"rows whose quotes are closed (in the one that begins at byte {record:,} a quote is open up to the end)"
        raise InvalidInputError("files", source.address, allowed)
    return CsvSplit(header, (*ranges, *_remaining(start, source.size)))


def _header(source: SourceFile, dialect: CsvDialect, records: CsvRecords) -> bytes:
    head = _read(source, 0, min(source.size, HEADER_LIMIT))
    mark = _byte_order_mark(source, head)
    if not dialect.header:
        return mark
    head = head.removeprefix(mark)
    end = records.first_end(head)
    row = head[:end]
    # A row of values would be taken for names behind an empty one, and be repeated in one that ends sooner for some readers.
    if end is None or not row.strip() or LONE_CARRIAGE_RETURN.search(row):
        allowed = f"a header row of 1 to {HEADER_LIMIT:,} bytes, with a line feed where it ends for all readers of CSV"
        raise InvalidInputError("files", source.address, allowed)
    return mark + row


def _byte_order_mark(source: SourceFile, head: bytes) -> bytes:
    """Give the mark with which a file begins, empty if there is none."""
    if head.startswith(WIDE_MARKS):
        # A byte that looks like a line break may be half of another character there.
        allowed = "a text without the byte-order mark of UTF-16 or UTF-32, to be cut or joined at line breaks"
        raise InvalidInputError("files", source.address, allowed)
    return codecs.BOM_UTF8 if head.startswith(codecs.BOM_UTF8) else b""


def _too_long(source: SourceFile, what: str, limit: int, start: int) -> InvalidInputError:
    allowed = f"{what} of at most {limit:,} bytes (the one that begins at byte {start:,} is longer)"
    return InvalidInputError("files", source.address, allowed)


def _remaining(start: int, end: int) -> list[ByteRange]:
    return [ByteRange(start, end)] if start < end else []


def _read(source: SourceFile, start: int, end: int) -> bytes:
    with closing(source.open(start, end)) as reader:
        return b"".join(iter(lambda: reader.read(end - start), b""))
