"""Reading records out of files: which, from where, and in how much memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemas import MakeSource, lines, source_of

from airflow_provider_catalog.api.errors import FileChangedError, InvalidInputError
from airflow_provider_catalog.ingest.preflight import records
from airflow_provider_catalog.ingest.preflight.records import Record, json_lines, multiline_json
from airflow_provider_catalog.ingest.sources import SourceFile

Reader = Callable[..., Iterator[Record]]
BOM = b"\xef\xbb\xbf"


def read(reader: Reader, source: SourceFile) -> list[Record]:
    return list(reader(source, lambda size: None, lambda number: True))


def found(reader: Reader, source: SourceFile) -> list[tuple[int, Any]]:
    """Each record by its line: what was read, or why it can't be."""
    return [
        (record.line, record.flaw.message if record.flaw else record.value) for record in read(reader, source)
    ]


@pytest.fixture(params=[1, 2, 7, 1024 * 1024])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of all kinds of sizes."""
    monkeypatch.setattr(records, "BLOCK_BYTES", request.param)


@pytest.mark.usefixtures("_blocks")
class TestJsonLines:
    def test_are_counted_and_placed_by_their_bytes(self, make_source: MakeSource) -> None:
        content = BOM + b'{"a": 1}\r\n\n  \n{"b": "\xc3\xa9"}\n[3]\n{"c"'
        source = make_source(content)
        assert found(json_lines, source) == [
            (1, {"a": 1}),
            (4, {"b": "é"}),
            (5, [3]),
            (6, "is not JSON (Expecting ':' delimiter)"),
        ]
        pieces = [content[record.start : record.end] for record in read(json_lines, source)]
        assert pieces == [BOM + b'{"a": 1}\r\n', b'{"b": "\xc3\xa9"}\n', b"[3]\n", b'{"c"']
        assert read(json_lines, source)[-1].end == source.size

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b"{", "is not JSON (Expecting property name enclosed in double quotes)"),
            (b"{} {}", "is not JSON (Extra data)"),
            (b'{"a": NaN}', "is not JSON (NaN and Infinity are no numbers)"),
            (b'{"a": -Infinity}', "is not JSON (NaN and Infinity are no numbers)"),
            (b'{"a": 1e999}', "has a number that is too large for a double"),
            (b'{"a": "\xff"}', "is not UTF-8"),
            (BOM + b"{}", "is not JSON (Expecting value)"),
            (b"[" * 100_000, "is not readable (too many levels, or a number with too many digits)"),
            (b"1" * 5000, "is not readable (too many levels, or a number with too many digits)"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_that_are_no_json_are_records_with_a_flaw(
        self, make_source: MakeSource, line: bytes, message: str
    ) -> None:
        assert found(json_lines, make_source(b"{}\n" + line + b"\n{}\n")) == [(1, {}), (2, message), (3, {})]

    def test_that_are_too_long_are_refused(
        self, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(records, "LONGEST_RECORD", 100)
        monkeypatch.setattr(records, "BLOCK_BYTES", min(records.BLOCK_BYTES, 10))
        assert found(json_lines, make_source(b'{"a": "' + b"x" * 91 + b'"}\n{}')) == [
            (1, {"a": "x" * 91}),
            (2, {}),
        ]
        with pytest.raises(InvalidInputError, match=r"at most 100 bytes \(line 2 is longer"):
            read(json_lines, make_source(b"{}\n" + b" " * 200))

    def test_are_chosen_by_their_number(self, make_source: MakeSource) -> None:
        source = make_source(b"{}\n\n{oops\n{}\n")
        assert [
            record.line for record in json_lines(source, lambda size: None, lambda number: number != 1)
        ] == [1, 4]


@pytest.mark.usefixtures("_blocks")
class TestMultilineJson:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"[]", []),
            (b" \n", []),
            (b'[{"a": 1}, {"b":\n 2},\n\n{"c": [{}]}]\n', [(1, {"a": 1}), (1, {"b": 2}), (4, {"c": [{}]})]),
            (BOM + b'\n{"a":\n"\xc3\xa9"}{"b": 12}\n\n{}', [(2, {"a": "é"}), (3, {"b": 12}), (5, {})]),
            (b'[\n{"a": "\\u00e9\\ud83d\\ude00"}, null, 1234567, true]', [(2, {"a": "é😀"}), (2, None), (2, 1234567), (2, True)]),
            (b"[" + b"7" * 50 + b", {}]", [(1, int("7" * 50)), (1, {})]),
            (b'{"a": 1}\n,{}', [(1, {"a": 1}), (2, "is not JSON (Expecting value)")]),
            (b'[{}\n,{"a" 1}, {}]', [(1, {}), (2, "is not JSON (Expecting ':' delimiter)")]),
            (b"[{}\n {}]", [(1, {}), (2, "is not JSON (Expecting ']')")]),
            (b"[{},\n]", [(1, {}), (2, "is not JSON (Expecting value)")]),
            (b"[{}]\n{}", [(1, {}), (2, "is not JSON (Extra data)")]),
            (b"[\n{}, {", [(2, {}), (2, "is not JSON (Expecting property name enclosed in double quotes)")]),
            (b"[", [(1, "is not JSON (Expecting value)")]),
            (b'{}\n{"a": "b', [(1, {}), (2, "is not JSON (Unterminated string starting at)")]),
            (b'{}\n{"a": NaN}', [(1, {}), (2, "is not JSON (NaN and Infinity are no numbers)")]),
            (b'{}\n{"a": "\xff"}', [(1, {}), (2, "is not UTF-8")]),
            (b"\xff", [(1, "is not UTF-8")]),
            (b"{}\n" + b"[" * 10_000, [(1, {}), (2, "is not readable (too many levels, or a number with too many digits)")]),
        ],
        ids=lambda value: repr(value)[:40],
    )  # fmt: skip
    def test_is_an_array_or_one_object_after_the_other(
        self, make_source: MakeSource, content: bytes, expected: list[Any]
    ) -> None:
        result = found(multiline_json, make_source(content))
        # How much of a file is read before a byte that is no UTF-8 is met depends on the blocks.
        assert result == expected or (b"\xff" in content and result[-1][1] == "is not UTF-8")

    def test_refuses_an_object_that_is_too_long(
        self, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(records, "LONGEST_RECORD", 100)
        monkeypatch.setattr(records, "BLOCK_BYTES", min(records.BLOCK_BYTES, 10))
        with pytest.raises(InvalidInputError, match="the one that begins on line 2 is longer"):
            read(multiline_json, make_source(b'[\n{"a": "' + b"x" * 500 + b'"}]'))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.text(), VALUES, max_size=4), min_size=1, max_size=5),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
    st.booleans(),
    st.booleans(),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    objects: list[dict[str, Any]],
    block: int,
    indent: int | None,
    ascii_only: bool,
    in_array: bool,
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", block)
        texts = [json.dumps(each, indent=indent, ensure_ascii=ascii_only) for each in objects]
        text = f"[{','.join(texts)}]" if in_array else "\n".join(texts)
        path.write_text(text, "utf-8", newline="")
        assert [record.value for record in read(multiline_json, source_of(path))] == objects
        if not in_array and indent is None:
            assert [record.value for record in read(json_lines, source_of(path))] == objects


@pytest.mark.parametrize("reader", [json_lines, multiline_json])
def test_a_file_that_changes_meanwhile_is_noticed(make_source: MakeSource, reader: Reader) -> None:
    source = make_source(lines({"a": 1}, {"b": 2}))
    Path(source.path).write_bytes(lines({"a": 1}, {"b": 2}, {"c": 3}))
    with pytest.raises(FileChangedError, match="grew"):
        read(reader, source)


def test_a_file_that_changes_behind_a_syntax_error_is_noticed(make_source: MakeSource) -> None:
    source = make_source(b"[oops" + b" " * 3 * records.BLOCK_BYTES)
    Path(source.path).write_bytes(b"[oops" + b"x" * 3 * records.BLOCK_BYTES)
    with pytest.raises(FileChangedError, match="was written to"):
        read(multiline_json, source)


@pytest.mark.parametrize("reader", [json_lines, multiline_json])
def test_large_files_take_little_memory(make_source: MakeSource, reader: Reader) -> None:
    row = json.dumps({"text": "x" * 20_000}).encode() + b"\n"
    source = make_source(row * 1_500)
    assert source.size > 30_000_000
    tracemalloc.start()
    count = sum(1 for _ in reader(source, lambda size: None, lambda number: True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 8_000_000) == (1_500, True), peak


@pytest.mark.parametrize("reader", [json_lines, multiline_json])
def test_each_block_can_be_the_last(make_source: MakeSource, reader: Reader) -> None:
    class StopIt(ValueError):
        pass

    def tick(size: int) -> None:
        blocks.append(size)
        if len(blocks) == 3:
            raise StopIt

    blocks: list[int] = []
    with pytest.raises(StopIt):
        list(reader(make_source((b"{}" + b" " * 998 + b"\n") * 5_000), tick, lambda number: True))
    assert blocks == [records.BLOCK_BYTES] * 3
