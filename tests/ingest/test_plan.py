"""How files become what is uploaded, decided before the first byte moves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_catalog.api.errors import FileChangedError, InvalidInputError
from airflow_provider_catalog.ingest import guardrails, plan
from airflow_provider_catalog.ingest.files import find_files
from airflow_provider_catalog.ingest.parts import LargeFile, Part, Piece
from airflow_provider_catalog.ingest.plan import LINES, UploadPlan, check_size, needs_format, plan_upload

MULTI_LINE = {"format": "json", "isMultiLineJson": True}
PARQUET = {"format": "parquet"}
CSV = {"format": "csv"}


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One upload has at most 100 bytes, so that small files are large ones."""
    monkeypatch.setattr(plan, "SMALL_FILE_LIMIT", 100)


def planned(files: Any, input_format: Mapping[str, Any] | None = LINES, **options: Any) -> UploadPlan:
    return plan_upload(find_files(files), input_format, **options)


def contents(found: UploadPlan) -> dict[str, bytes]:
    """Give what would be sent, by name."""
    return {each.remote_name: sent(each) for each in found.uploads if isinstance(each, Part)}


def sent(part: Part, block: int = 7) -> bytes:
    with contextlib.closing(part.open()) as reader:
        content = b"".join(map(bytes, iter(lambda: reader.read(block), b"")))
        assert len(reader) == part.size == len(content)
    return content


def lines(count: int, start: int = 0) -> bytes:
    return b"".join(b'{"n": %03d}\n' % number for number in range(start, start + count))


class TestFilesWithinTheLimit:
    @pytest.mark.parametrize("input_format", [LINES, MULTI_LINE, PARQUET, CSV, None], ids=str)
    def test_go_as_they_are(self, folder: Path, input_format: Mapping[str, Any] | None) -> None:
        (folder / "a").write_bytes(b"x" * 100)
        (folder / "b").write_bytes(b"y")
        assert contents(planned("*", input_format)) == {"a": b"x" * 100, "b": b"y"}

    def test_do_not_need_to_be_read(self, folder: Path) -> None:
        (folder / "a").write_bytes(b"x" * 100)
        files = find_files("a")
        (folder / "a").unlink()
        assert plan_upload(files, LINES).names == ["a"]


class TestLargerFiles:
    def test_of_json_lines_are_cut_at_line_ends(self, folder: Path) -> None:
        (folder / "rows.json").write_bytes(lines(25))
        assert contents(planned("rows.json")) == {
            "rows.part-00001-of-00003.json": lines(9),
            "rows.part-00002-of-00003.json": lines(9, 9),
            "rows.part-00003-of-00003.json": lines(7, 18),
        }

    def test_keep_their_partition_folders(self, folder: Path) -> None:
        (folder / "day=1").mkdir()
        (folder / "day=1" / "rows").write_bytes(lines(10))
        assert planned("day=1/rows").names == [
            "day=1/rows.part-00001-of-00002",
            "day=1/rows.part-00002-of-00002",
        ]

    def test_of_csv_repeat_their_header(self, folder: Path) -> None:
        (folder / "a.csv").write_bytes(b"n,text\n" + b'1,"a\nb"\n' * 20)
        found = contents(planned("a.csv", CSV))
        assert list(found) == ["a.part-00001-of-00002.csv", "a.part-00002-of-00002.csv"]
        assert found["a.part-00001-of-00002.csv"] == b"n,text\n" + b'1,"a\nb"\n' * 11
        assert found["a.part-00002-of-00002.csv"] == b"n,text\n" + b'1,"a\nb"\n' * 9

    def test_of_csv_without_a_header_repeat_nothing(self, folder: Path) -> None:
        (folder / "a.csv").write_bytes(b"1,2\n" * 30)
        found = contents(planned("a.csv", {"format": "csv", "header": False}))
        assert list(found.values()) == [b"1,2\n" * 25, b"1,2\n" * 5]

    @pytest.mark.parametrize("input_format", [PARQUET, MULTI_LINE], ids=["parquet", "multi-line"])
    def test_that_cannot_be_cut_go_in_chunks(self, folder: Path, input_format: Mapping[str, Any]) -> None:
        (folder / "a").write_bytes(b"x" * 101)
        (upload,) = planned("a", input_format).uploads
        assert isinstance(upload, LargeFile)
        assert (upload.remote_name, upload.size) == ("a", 101)

    def test_of_an_unknown_format_are_refused(self, folder: Path) -> None:
        (folder / "a").write_bytes(b"x" * 101)
        with pytest.raises(
            InvalidInputError, match="'a', expected files of at most 100 bytes, since the Catalog"
        ):
            planned("a", None)

    def test_are_refused_where_a_line_is_longer_than_a_part_may_be(self, folder: Path) -> None:
        (folder / "a").write_bytes(b"x" * 101 + b"\n")
        with pytest.raises(InvalidInputError, match=r"files: got 'a', expected .*lines.* 100 bytes"):
            planned("a")

    def test_must_not_get_the_name_of_another_file(self, folder: Path) -> None:
        (folder / "a.json").write_bytes(lines(10))
        (folder / "a.part-00002-of-00002.json").write_bytes(lines(1))
        with pytest.raises(
            InvalidInputError, match=r"part-00002-of-00002.json', expected files with different names"
        ):
            planned("*")

    def test_that_change_after_the_plan_was_made_are_noticed(self, folder: Path) -> None:
        (folder / "a").write_bytes(lines(20))
        first = planned("a").uploads[0]
        (folder / "a").write_bytes(lines(20, 1))
        os.utime("a", (1, 1))
        assert isinstance(first, Part)
        with pytest.raises(FileChangedError, match="a was written to"):
            sent(first)


class TestJoining:
    @pytest.fixture
    def files(self, folder: Path) -> list[str]:
        """Small files, of which some lack a line break at their end or begin with a byte-order mark."""
        parts = {
            "a": lines(3),
            "b": lines(2, 3)[:-1],
            "c": b"\xef\xbb\xbf" + lines(3, 5),
            "d": lines(3, 8),
            "e": b"\xef\xbb\xbf",
        }
        for name, content in parts.items():
            (folder / name).write_bytes(content)
        return sorted(parts)

    def test_fills_parts_in_order(self, files: list[str]) -> None:
        assert contents(planned(files, coalesce=True)) == {
            "joined-00001-of-00002.json": lines(8),
            "joined-00002-of-00002.json": lines(3, 8),
        }

    def test_leaves_a_file_that_stays_alone_as_it_is(self, folder: Path) -> None:
        (folder / "a").write_bytes(lines(9))
        (folder / "b").write_bytes(lines(9)[:-1])
        assert contents(planned("*", coalesce=True)) == {"a": lines(9), "b": lines(9)[:-1]}

    def test_cuts_larger_files_all_the_same(self, folder: Path) -> None:
        (folder / "a").write_bytes(lines(10))
        (folder / "b").write_bytes(lines(1))
        (folder / "c").write_bytes(lines(1))
        assert planned("*", coalesce=True).names == [
            "a.part-00001-of-00002",
            "a.part-00002-of-00002",
            "joined-00001-of-00001.json",
        ]

    def test_keeps_partitions_apart(self, folder: Path) -> None:
        for name in ("day=1/a", "day=1/b", "day=2/a", "day=2/b"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(lines(1))
        assert planned("*/*", coalesce=True).names == [
            "day=1/joined-00001-of-00002.json",
            "day=2/joined-00002-of-00002.json",
        ]

    @pytest.mark.parametrize("input_format", [MULTI_LINE, PARQUET, CSV, None], ids=str)
    def test_is_for_json_lines_only(self, files: list[str], input_format: Mapping[str, Any] | None) -> None:
        with pytest.raises(InvalidInputError, match="coalesce: got True, expected False, unless"):
            planned(files, input_format, coalesce=True)

    def test_needs_to_know_the_format(self, files: list[str]) -> None:
        assert not needs_format(find_files(files))
        assert needs_format(find_files(files), coalesce=True)


class TestGuardrails:
    def test_refuse_more_files_than_a_batch_may_have(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plan, "FILES_LIMIT", 2)
        for name in ("a", "b", "c"):
            (folder / name).write_bytes(lines(1))
        with pytest.raises(
            InvalidInputError, match=r"'3 files', expected at most 2 files in a batch; .*coalesce"
        ):
            planned("*")
        assert len(planned("*", coalesce=True).uploads) == 1

    def test_count_files_after_they_were_cut(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plan, "FILES_LIMIT", 2)
        (folder / "a").write_bytes(lines(20))
        with pytest.raises(InvalidInputError, match="'3 files'"):
            planned("a")

    def test_refuse_more_bytes_than_a_batch_may_have_before_anything_is_read(self, folder: Path) -> None:
        (folder / "a").touch()
        (file,) = find_files_of(folder, guardrails.BATCH_LIMIT + 1)
        with pytest.raises(
            InvalidInputError, match="'1,099,511,627,777 bytes', expected at most 1,099,511,627,776 bytes"
        ):
            check_size([file])

    def test_warn_of_what_the_platform_does_not_recommend(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(plan, "FILES_RECOMMENDED", 1)
        monkeypatch.setattr(plan, "BATCH_RECOMMENDED", 15)
        for name in ("a", "b"):
            (folder / name).write_bytes(lines(1))
        planned("*")
        assert "The batch gets 2 files; the platform slows down with more than 1." in caplog.text
        assert "The batch gets 22 bytes; the platform recommends at most 15." in caplog.text

    def test_have_the_documented_numbers(self) -> None:
        assert (guardrails.SMALL_FILE_LIMIT, guardrails.CHUNK_LIMIT) == (256_000_000, 512_000_000)
        assert (guardrails.FILES_LIMIT, guardrails.FILES_RECOMMENDED) == (25_000, 10_000)
        assert (guardrails.BATCH_LIMIT, guardrails.BATCH_RECOMMENDED) == (2**40, 10**11)


def find_files_of(folder: Path, size: int) -> list[Any]:
    """Find a file as if it were larger than any disk."""
    (folder / "a").write_bytes(b"x")
    (file,) = find_files("a")
    return [replace(file, look=replace(file.look, size=size))]


class TestIdentity:
    """A batch that was opened for something else is not gone on with."""

    def test_of_whole_files_is_their_names(self, folder: Path) -> None:
        (folder / "a").write_bytes(lines(1))
        before = planned("a").identity
        (folder / "a").write_bytes(lines(2))
        assert planned("a").identity == before

    @pytest.mark.parametrize("input_format", [LINES, PARQUET], ids=["lines", "parquet"])
    def test_of_larger_files_follows_their_bytes(self, folder: Path, input_format: Mapping[str, Any]) -> None:
        (folder / "a").write_bytes(lines(20))
        before = planned("a", input_format).identity
        assert planned("a", input_format).identity == before
        (folder / "a").write_bytes(lines(10) + b"\n" + lines(10))
        assert planned("a", input_format).identity != before

    def test_of_joined_files_follows_which_they_are(self, folder: Path) -> None:
        for name in ("a", "b", "c"):
            (folder / name).write_bytes(lines(1))
        assert planned(["a", "b"], coalesce=True).identity != planned(["a", "c"], coalesce=True).identity


class TestAsText:
    def test_is_a_table(self, folder: Path) -> None:
        (folder / "a").write_bytes(lines(10))
        (folder / "b").write_bytes(lines(1))
        assert str(planned("*")) == (
            "3 file(s) for the batch, 121 bytes\n"
            "               99  a.part-00001-of-00002  bytes 0 to 98 of 110\n"
            "               11  a.part-00002-of-00002  bytes 99 to 109 of 110\n"
            "               11  b"
        )

    def test_is_not_endless(self, folder: Path) -> None:
        for number in range(30):
            (folder / f"{number:02}").write_bytes(lines(1))
        text = str(planned("*")).splitlines()
        assert (len(text), text[-1]) == (22, "                …  and 10 more")


def test_a_part_holds_one_file_open_at_a_time(folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(lines(1))
    (part,) = planned("*", coalesce=True).uploads
    assert isinstance(part, Part)
    opened = []

    class Watched(Piece):
        def open(self) -> Any:
            opened.append(super().open())
            assert [each._file.closed for each in opened] == [*[True] * (len(opened) - 1), False]
            return opened[-1]

    watched = [Watched(each.source, each.range) for each in part.content if isinstance(each, Piece)]
    assert sent(replace(part, content=tuple(watched))) == lines(1) * 3
    assert all(each._file.closed for each in opened)


class TestLinesThatAreLeftOut:
    """What is uploaded is what is left, byte for byte."""

    @given(
        kept=st.lists(st.booleans(), min_size=1, max_size=40),
        limit=st.integers(11, 120),
        block=st.integers(1, 50),
        coalesce=st.booleans(),
    )
    def test_are_not_sent(
        self,
        kept: list[bool],
        limit: int,
        block: int,
        coalesce: bool,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        folder = tmp_path_factory.mktemp("rows")
        (folder / "a").write_bytes(lines(len(kept)))
        (folder / "b").write_bytes(lines(2, 500))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan, "SMALL_FILE_LIMIT", limit)
            found = planned([folder / "a", folder / "b"], left_out={"a": bounds(kept)}, coalesce=coalesce)
        uploaded = b"".join(sent(each, block) for each in found.uploads if isinstance(each, Part))
        left = b"".join(lines(1, number) for number, is_kept in enumerate(kept) if is_kept)
        assert uploaded == left + lines(2, 500)
        assert found.size == len(uploaded)
        assert all(0 < each.size <= limit for each in found.uploads)

    def test_make_another_batch_of_it(self, folder: Path) -> None:
        (folder / "a").write_bytes(lines(3))
        assert planned("a", left_out={"a": (0, 11)}).identity != planned("a").identity


def bounds(kept: list[bool]) -> tuple[int, ...]:
    """Give where the lines that are not kept begin and end, neighbours as one range."""
    found: list[int] = []
    for number, is_kept in enumerate(kept):
        start, end = number * 11, number * 11 + 11
        if not is_kept and found and found[-1] == start:
            found[-1] = end
        elif not is_kept:
            found += [start, end]
    return tuple(found)
