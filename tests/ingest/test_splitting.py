"""Where files are cut: never inside a line or a row, always at the same places."""

from __future__ import annotations

import codecs
import csv
import itertools
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.api.errors import FileChangedError, InvalidInputError
from airflow_provider_catalog.api.large_files import ByteRange
from airflow_provider_catalog.ingest import splitting
from airflow_provider_catalog.ingest.csv_records import CsvDialect
from airflow_provider_catalog.ingest.sources import LOCAL, Look, SourceFile
from airflow_provider_catalog.ingest.splitting import (
    BLOCK,
    EDGE_BLOCK,
    line_edges,
    split_csv,
    split_json_lines,
)

MEGABYTE = 1 << 20
BOM = codecs.BOM_UTF8
HEADLESS = CsvDialect(header=False)
DIALECTS = [
    HEADLESS,
    CsvDialect(escape=b'"', header=False),
    CsvDialect(delimiter=b"^", quote=b"]", escape=b"-", header=False),
    CsvDialect(delimiter=b"\xa7", quote=b"'", escape=b"%", header=False),
]

steady = settings(deadline=None, derandomize=True)


@dataclass
class Memory:
    """A store of one file; counts what is read of it."""

    content: bytes
    taken: int = 0
    version: int = 0
    files: list[BinaryIO] = field(default_factory=list)

    def look(self, path: str) -> Look:
        return Look(len(self.content), None, self.version)

    def open(self, path: str, start: int) -> BinaryIO:
        self.files.append(_Counted(self, start))
        return self.files[-1]

    @property
    def reads(self) -> int:
        """How often it was opened; whoever did that has closed it."""
        assert all(file.closed for file in self.files)
        return len(self.files)

    def source(self) -> SourceFile:
        return SourceFile(self, "rows", "memory://rows", "rows", self.look("rows"))


class _Counted(BytesIO):
    def __init__(self, store: Memory, start: int) -> None:
        super().__init__(store.content)
        self.seek(start)
        self.store = store

    def readinto(self, buffer: Any) -> int:
        size = super().readinto(buffer)
        self.store.taken += size
        return size


def source(content: bytes) -> SourceFile:
    return Memory(content).source()


def parts(content: bytes, ranges: Iterable[ByteRange]) -> list[bytes]:
    return [content[each.start : each.end] for each in ranges]


def greedy(ends: list[int], start: int, size: int, room: int) -> list[tuple[int, int]] | int:
    """Cut by hand where records end; where a record is too long, give its beginning instead."""
    ranges = []
    while size - start > room:
        cut = max((end for end in ends if start < end <= start + room), default=None)
        if cut is None:
            return start
        ranges.append((start, cut))
        start = cut
    return [*ranges, *([(start, size)] if start < size else [])]


def expect(ranges: list[tuple[int, int]] | int, split: Any, what: str, room: int) -> None:
    """Make sure that a file is cut as it was by hand, or refused."""
    if isinstance(ranges, int):
        with pytest.raises(InvalidInputError) as refusal:
            split()
        allowed = f"{what} of at most {room:,} bytes (the one that begins at byte {ranges:,} is longer)"
        assert refusal.value.args == ("files", "memory://rows", allowed)
    else:
        assert list(split()) == ranges


class TestJsonLines:
    @steady
    @given(
        st.lists(st.sampled_from([b"\n", b"\r", b"{", b'"\\n"', b"\x00", b"\xff"])).map(b"".join),
        st.integers(1, 12),
        st.integers(1, 5),
    )
    def test_any_bytes_are_cut_behind_the_last_newline_of_each_part(
        self, content: bytes, limit: int, block: int
    ) -> None:
        ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
        by_hand = greedy(ends, 0, len(content), limit)
        with patch.object(splitting, "EDGE_BLOCK", block), patch.object(splitting, "BLOCK", 2 * block):
            for _ in range(2):
                expect(by_hand, lambda: split_json_lines(source(content), limit), "lines", limit)

    @steady
    @given(st.binary(max_size=40).map(b"{".__add__), st.integers(1, 50))
    def test_the_parts_are_the_file(self, content: bytes, limit: int) -> None:
        longest = max(map(len, BytesIO(content)))
        cut = parts(content, split_json_lines(source(content), max(limit, longest)))
        assert b"".join(cut) == content
        assert all(0 < len(part) <= max(limit, longest) for part in cut)
        assert all(part.endswith(b"\n") for part in cut[:-1])

    def test_a_file_on_the_disk_is_cut(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.json"
        path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a": 3}')
        file = SourceFile(LOCAL, str(path), str(path), "rows.json", LOCAL.look(str(path)))
        assert split_json_lines(file, 20) == ((0, 18), (18, 26))

    def test_little_is_read_around_each_cut(self) -> None:
        line = b'{"text": "' + b"x" * 990 + b'"}\n'
        store = Memory(line * 20_000)
        ranges = split_json_lines(store.source(), 2 * MEGABYTE)
        assert len(ranges) == 10
        assert store.taken <= len(ranges) * EDGE_BLOCK
        assert store.reads <= len(ranges) + 1

    def test_of_lines_longer_than_a_block_little_more_is_read(self) -> None:
        line = b"x" * (95 * EDGE_BLOCK) + b"\n"
        store = Memory(line * 3)
        ranges = split_json_lines(store.source(), 160 * EDGE_BLOCK)
        assert [each.size for each in ranges] == [len(line)] * 3
        blocks = [1, 2, 4, 8, 16, 16, 16, 16]
        assert store.taken == 4 + 2 * sum(blocks) * EDGE_BLOCK
        assert store.reads == 1 + 2 * len(blocks)

    def test_a_file_of_the_limit_is_one_part_of_which_only_the_beginning_is_read(self) -> None:
        store = Memory(b"x" * 1000)
        assert split_json_lines(store.source(), 1000) == ((0, 1000),)
        assert store.taken == 4

    def test_a_line_that_is_too_long_is_refused_without_showing_it(self) -> None:
        content = b'{"a": 1}\n{"secret": "rosebud"}\n{"a": 2}\n'
        with pytest.raises(InvalidInputError) as refusal:
            split_json_lines(source(content), 15)
        message = "lines of at most 15 bytes (the one that begins at byte 9 is longer)"
        assert str(refusal.value) == f"files: got 'memory://rows', expected {message}"

    def test_a_file_that_changed_is_noticed(self) -> None:
        store = Memory(b"{}\n" * 10)
        file = store.source()
        store.content, store.version = b"{}\n" * 5, 1
        with pytest.raises(FileChangedError):
            split_json_lines(file, 12)


class TestLineEdges:
    @pytest.mark.parametrize(
        ("content", "edges"),
        [
            (b"", (0, False)),
            (b"{}", (0, False)),
            (b"{}\n", (0, True)),
            (b"{}\r\n", (0, True)),
            (BOM, (3, False)),
            (BOM + b"{}\n", (3, True)),
            (BOM + b"x" * EDGE_BLOCK, (3, False)),
            (BOM + b"x" * EDGE_BLOCK + b"\n", (3, True)),
        ],
    )
    def test_both_ends_of_a_file_are_told(self, content: bytes, edges: tuple[int, bool]) -> None:
        assert line_edges(source(content)) == edges

    def test_little_is_read_for_that(self) -> None:
        small, large = Memory(b"{}\n"), Memory(b"{}\n" * EDGE_BLOCK)
        assert line_edges(small.source()) == line_edges(large.source()) == (0, True)
        assert (small.reads, large.reads) == (1, 2)
        assert large.taken == EDGE_BLOCK + 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
class TestWideEncodings:
    def test_are_refused(self, encoding: str) -> None:
        content = "\ufeffa,b\n1,2\n".encode(encoding)
        for attempt in (
            lambda: split_json_lines(source(content), 20),
            lambda: split_csv(source(content), 20, CsvDialect()),
            lambda: split_csv(source(content), 20, HEADLESS),
            lambda: line_edges(source(content)),
        ):
            with pytest.raises(InvalidInputError, match="the byte-order mark of UTF-16 or UTF-32"):
                attempt()


def record_ends(content: bytes, dialect: CsvDialect, *, escapes_everywhere: bool) -> tuple[set[int], bool]:
    """Read a CSV byte by byte: where a line feed ends a record, and whether a quote is open at the end."""
    ends, state = set(), "start"
    escape = dialect.escape if dialect.escape != dialect.quote else None
    for index in range(len(content)):
        byte = content[index : index + 1]
        outside = state in ("start", "field", "closed")
        if state.startswith("escaped"):
            state = state.removeprefix("escaped ")
        elif state == "closed" and byte == dialect.quote:
            state = "quoted"
        elif outside and byte in (b"\n", b"\r", dialect.delimiter):
            state = "start"
            if byte == b"\n":
                ends.add(index + 1)
        elif state == "quoted":
            state = {dialect.quote: "closed", escape: "escaped quoted"}.get(byte, "quoted")
        elif state == "start" and byte == dialect.quote:
            state = "quoted"
        elif state in ("start", "field") and byte == escape and escapes_everywhere:
            state = "escaped field"
        else:
            state = "field"
    return ends, state.endswith("quoted")


def rows(content: bytes, dialect: CsvDialect) -> Iterator[list[str]]:
    """Read a CSV as Python does."""
    return csv.reader(
        StringIO(content.decode("latin-1"), newline=""),
        delimiter=dialect.delimiter.decode("latin-1"),
        quotechar=dialect.quote.decode("latin-1"),
        escapechar=None if dialect.escape == dialect.quote else dialect.escape.decode("latin-1"),
    )


def contents(dialect: CsvDialect) -> st.SearchStrategy[bytes]:
    """Give texts that are mostly punctuation."""
    delimiter, quote, escape = dialect.delimiter, dialect.quote, dialect.escape
    marks = [b"x", b" ", delimiter, quote, escape, b"\n", b"\r"]
    turns = [b"\r\n", b"\r" + quote, quote + b"\n", quote + delimiter + quote, escape + delimiter + quote]
    return st.lists(st.sampled_from([*marks, *turns]), max_size=30).map(b"".join)


dialects_and_contents = st.sampled_from(DIALECTS).flatmap(
    lambda dialect: st.tuples(st.just(dialect), contents(dialect))
)


class TestCsv:
    @settings(steady, max_examples=800)
    @given(dialects_and_contents, st.integers(1, 12), st.sampled_from([1, 2, 3, MEGABYTE]))
    @example((HEADLESS, b'C:\\,"a\n"\nx\n'), 10, 1)
    @example((HEADLESS, b'"a"\\,"b\n"\nx\n'), 10, 1)
    @example((HEADLESS, b'a\\\n"b\nc"\nx\n'), 12, 2)
    @example((HEADLESS, b'"a""\n""",b\nx\n'), 10, 3)
    @example((HEADLESS, b'a\r"\n"b\nx\n'), 7, MEGABYTE)
    @example((HEADLESS, b'a\r"\n"b\nx\n'), 4, MEGABYTE)
    @example((HEADLESS, b'x\na\\\nC:\\,"a\n"\nx\n'), 13, MEGABYTE)
    @example((HEADLESS, b'long-long-long\nx\na\\\nC:\\,"a\n"\nx\n'), 28, MEGABYTE)
    @example((HEADLESS, b'x\na\\\nx\nC:\\,"a\n"\nx\n'), 15, MEGABYTE)
    def test_a_part_ends_with_the_last_record_that_has_room_and_ends_for_all_readers(
        self, given_file: tuple[CsvDialect, bytes], limit: int, block: int
    ) -> None:
        dialect, content = given_file
        readings = [record_ends(content, dialect, escapes_everywhere=each) for each in (False, True)]
        common = sorted(set.intersection(*(ends for ends, _ in readings)))
        by_hand = greedy(common, 0, len(content), limit)
        with patch.object(splitting, "BLOCK", block):
            if not isinstance(by_hand, int) and any(is_open for _, is_open in readings):
                last = max(common, default=0)
                with pytest.raises(InvalidInputError, match=rf"begins at byte {last} a quote is open"):
                    split_csv(source(content), limit, dialect)
                return
            what = "rows that end in a line feed,"
            expect(by_hand, lambda: split_csv(source(content), limit, dialect).ranges, what, limit)

    @settings(steady, max_examples=400)
    @given(dialects_and_contents, st.integers(1, 12), st.sampled_from([3, MEGABYTE]))
    def test_python_reads_from_the_parts_what_it_reads_from_the_file(
        self, given_file: tuple[CsvDialect, bytes], limit: int, block: int
    ) -> None:
        dialect, content = given_file
        try:
            with patch.object(splitting, "BLOCK", block):
                cut = parts(content, split_csv(source(content), limit, dialect).ranges)
        except InvalidInputError:
            return
        assert b"".join(cut) == content
        assert all(0 < len(part) <= limit for part in cut)
        read = itertools.chain.from_iterable(rows(part, dialect) for part in cut)
        assert list(read) == list(rows(content, dialect))

    @settings(steady, max_examples=200)
    @given(
        st.lists(
            st.lists(st.text(' ,"\n\r\\xü', max_size=6), min_size=3, max_size=3), min_size=1, max_size=12
        ),
        st.sampled_from(["\n", "\r\n"]),
        st.booleans(),
        st.sampled_from([b"", BOM]),
        st.integers(1, 9),
    )
    def test_each_part_of_a_well_written_file_has_the_header(
        self, table: list[list[str]], line_end: str, doubled: bool, mark: bytes, block: int
    ) -> None:
        escape = '"' if doubled else "\\"
        text = StringIO(newline="")
        writer = csv.writer(
            text,
            quoting=csv.QUOTE_ALL,
            doublequote=doubled,
            escapechar=None if doubled else escape,
            lineterminator=line_end,
        )
        writer.writerows([["id", 'the "long"\nname', "c"], *table])
        content = mark + text.getvalue().encode()
        dialect = CsvDialect(escape=escape.encode())
        with patch.object(splitting, "BLOCK", block):
            header, ranges = split_csv(source(content), 110, dialect)
        assert header + b"".join(parts(content, ranges)) == content
        read = []
        for part in parts(content, ranges):
            assert len(header + part) <= 110
            names, *values = rows((header + part).removeprefix(mark), dialect)
            assert names == ["id", 'the "long"\nname', "c"]
            read += values
        assert read == list(rows(content.removeprefix(mark), dialect))[1:]

    def test_a_small_example(self) -> None:
        content = b'a,b\n1,"x\ny"\n2,z\n3,z\n'
        header, ranges = split_csv(source(content), 16, CsvDialect())
        assert header == b"a,b\n"
        assert parts(content, ranges) == [b'1,"x\ny"\n2,z\n', b"3,z\n"]

    def test_without_a_header_only_a_byte_order_mark_is_repeated(self) -> None:
        content = BOM + b'"1\n",2\n3,4\n5,6\n'
        assert split_csv(source(content), 11, HEADLESS) == (BOM, ((3, 10), (10, 18)))

    @pytest.mark.parametrize(
        "content",
        [
            b"a,b",
            b"\na,b\n1,2\n",
            b" \r\na,b\n1,2\n",
            BOM + b"\na,b\n1,2\n",
            b"a,b\r1,2\n3,4\n",
            b'a,"b\n1,2\n',
            b'a\\,"b\n"\n1,2\n',
            b"a\\\nb\n1,2\n",
        ],
        ids=str,
    )
    def test_a_header_that_cannot_be_told_from_the_rows_is_refused(self, content: bytes) -> None:
        allowed = (
            "a header row of 1 to 1,048,576 bytes, with a line feed where it ends for all readers of CSV"
        )
        with pytest.raises(InvalidInputError) as refusal:
            split_csv(source(content), 1000, CsvDialect())
        assert refusal.value.args == ("files", "memory://rows", allowed)

    def test_a_header_that_leaves_no_room_is_refused(self) -> None:
        with pytest.raises(InvalidInputError, match=r"at most 4 bytes .* begins at byte 0 is longer"):
            split_csv(source(b"a,b\n1\n"), 4, CsvDialect())

    def test_a_row_that_is_too_long_behind_the_header_is_refused_without_showing_it(self) -> None:
        with pytest.raises(InvalidInputError) as refusal:
            split_csv(source(b"a,b\n1,2\n3,rosebud\n"), 12, CsvDialect())
        allowed = "rows that end in a line feed, of at most 8 bytes (the one that begins at byte 8 is longer)"
        assert refusal.value.args == ("files", "memory://rows", allowed)

    def test_a_quote_that_stays_open_is_refused_without_showing_it(self) -> None:
        with pytest.raises(InvalidInputError) as refusal:
            split_csv(source(b'a,b\n1,2\n3,"rosebud\n4,5\n'), 100, CsvDialect())
        allowed = (
            "rows whose quotes are closed (in the one that begins at byte 8 a quote is open up to the end)"
        )
        assert refusal.value.args == ("files", "memory://rows", allowed)

    def test_a_quote_that_is_closed_by_the_last_byte_is_closed(self) -> None:
        assert split_csv(source(b'a,b\n1,"2"'), 100, CsvDialect()).ranges == ((4, 9),)

    def test_a_file_is_read_once_in_little_memory(self) -> None:
        content = b"a,b\n" + b'"1\n,""",2\n' * 1_500_000
        store = Memory(content)
        file = store.source()
        tracemalloc.start()
        try:
            _, ranges = split_csv(file, 4 * MEGABYTE, CsvDialect())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(ranges) == 4
        assert store.taken <= len(content) + BLOCK
        assert store.reads == 2
        assert peak < 8 * MEGABYTE

    def test_a_row_larger_than_many_blocks_needs_no_more_memory(self) -> None:
        row, last = b'"' + b'x\n""' * 5 * MEGABYTE + b'"\n', b"1\n"
        file = source(b"a\n" + row + last)
        tracemalloc.start()
        try:
            _, ranges = split_csv(file, file.size - len(last), CsvDialect())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert [each.size for each in ranges] == [len(row), len(last)]
        assert peak < 8 * MEGABYTE


class TestDialects:
    @pytest.mark.parametrize(
        ("options", "dialect"),
        [
            ({}, CsvDialect(b",", b'"', b"\\", header=True)),
            ({"header": "true"}, CsvDialect()),
            ({"header": "False"}, HEADLESS),
            ({"header": False}, HEADLESS),
            ({"delimiter": "\t", "quote": "'", "escape": "'"}, CsvDialect(b"\t", b"'", b"'")),
            ({"delimiter": "§", "charset": "ISO-8859-1"}, CsvDialect(b"\xa7")),
        ],
        ids=str,
    )
    def test_come_from_the_format_of_the_batch(self, options: Mapping[str, Any], dialect: CsvDialect) -> None:
        assert CsvDialect.of({"format": "csv", **options}) == dialect

    @pytest.mark.parametrize(
        "options",
        [
            {"delimiter": "§"},
            {"delimiter": "§", "charset": "US-ASCII"},
            {"delimiter": "\n"},
            {"quote": "\r"},
            {"escape": ""},
            {"delimiter": "||"},
            {"quote": ","},
            {"delimiter": "\\"},
            {"charset": "UTF-16"},
            {"charset": "cp037"},
        ],
        ids=str,
    )
    def test_in_which_records_cannot_be_found_are_refused(self, options: Mapping[str, Any]) -> None:
        given_format = {"format": "csv", **options}
        with pytest.raises(InvalidInputError, match="of one byte each") as refusal:
            CsvDialect.of(given_format)
        assert (refusal.value.argument, refusal.value.given) == ("input_format", given_format)
