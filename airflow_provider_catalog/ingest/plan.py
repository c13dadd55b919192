"""From files to what is uploaded, decided before the first byte moves.

- A file within the limit of one upload is one part.
- A larger one of JSON lines or CSV is cut at record ends into parts within that limit; of CSV, each part repeats the header.
- A larger one of Parquet or multi-line JSON can't be cut, and is sent in chunks through the large-file protocol.
- Many small files of JSON lines may be joined, since the platform slows down with many files.

The names of parts follow from those of the files and the number of parts, so that a retry replaces and never adds.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.large_files import ByteRange
from airflow_provider_catalog.ingest.csv_records import CsvDialect
from airflow_provider_catalog.ingest.guardrails import (
    BATCH_LIMIT,
    BATCH_RECOMMENDED,
    FILES_LIMIT,
    FILES_RECOMMENDED,
    SMALL_FILE_LIMIT,
)
from airflow_provider_catalog.ingest.parts import Bounds, LargeFile, Part, Piece
from airflow_provider_catalog.ingest.sources import SourceFile
from airflow_provider_catalog.ingest.splitting import (
    LineEdges,
    line_edges,
    split_csv,
    split_json_lines,
)

log = logging.getLogger(__name__)

SHOWN = 20
NEWLINE = b"\n"
LINES = {"format": "json"}
EDGE_READERS = 8

LeftOut = Mapping[str, Bounds]
NOTHING: LeftOut = {}


@dataclass(frozen=True)
class UploadPlan:
    """All that is uploaded into a batch. As text, a table of it.

    :param uploads: in order.
    """

    uploads: tuple[Part | LargeFile, ...]

    @cached_property
    def size(self) -> int:
        """Its number of bytes."""
        return sum(each.size for each in self.uploads)

    @property
    def names(self) -> list[str]:
        """The files that the batch will have."""
        return [each.remote_name for each in self.uploads]

    @property
    def identity(self) -> list[str]:
        """What the batch will hold. A batch that was opened for something else is of no use."""
        return [each.identity for each in self.uploads]

    def __str__(self) -> str:
        lines = [
            f"{each.size:>17,}  {each.remote_name}  {each.how}".rstrip() for each in self.uploads[:SHOWN]
        ]
        if len(self.uploads) > SHOWN:
            lines.append(f"{'…':>17}  and {len(self.uploads) - SHOWN:,} more")
        return "\n".join([f"{len(self.uploads):,} file(s) for the batch, {self.size:,} bytes", *lines])


def check_size(files: Sequence[SourceFile], *, coalesce: bool = False) -> None:
    """Refuse more than the platform takes in one batch, as far as that can be told before anything is read.

    :param files: what was found.
    :param coalesce: whether there will be fewer.
    :raises InvalidInputError: it is more.
    """
    _check_limits(files=0 if coalesce else len(files), size=sum(file.size for file in files))


def needs_format(files: Sequence[SourceFile], *, coalesce: bool = False) -> bool:
    """Whether the plan depends on the batch's format: files of any format go as they are, if they are small."""
    return coalesce or any(file.size > SMALL_FILE_LIMIT for file in files)


def plan_upload(
    files: Sequence[SourceFile],
    input_format: Mapping[str, Any] | None,
    *,
    coalesce: bool = False,
    left_out: LeftOut = NOTHING,
) -> UploadPlan:
    """Decide how files are uploaded.

    :param files: what was found.
    :param input_format: the batch's ``inputFormat``, in Adobe's names; None if it is not known.
    :param coalesce: whether small files of JSON lines are joined, those in one partition folder with each other.
    :param left_out: by the remote names of files of JSON lines, the lines that are not uploaded. A part without any line is none.
    :raises InvalidInputError: the batch would be larger than the platform takes, or a file can't be cut.
    """
    if coalesce and not _is_lines(input_format):
        raise InvalidInputError("coalesce", coalesce, "False, unless the files are JSON lines")
    check_size(files, coalesce=coalesce)
    planned = _joined(files, left_out) if coalesce else _planned(files, input_format, left_out)
    uploads = [each for each in planned if each.size > 0]
    _refuse_clashes(uploads)
    plan = UploadPlan(tuple(uploads))
    _check_limits(files=len(uploads), size=plan.size)
    _recommend(plan)
    return plan


def _is_lines(input_format: Mapping[str, Any] | None) -> bool:
    return (
        input_format is not None
        and input_format["format"] == "json"
        and not input_format.get("isMultiLineJson")
    )


def _planned(
    files: Sequence[SourceFile], input_format: Mapping[str, Any] | None, left_out: LeftOut
) -> Iterator[Part | LargeFile]:
    for file in files:
        if file.size <= SMALL_FILE_LIMIT:
            yield _whole(file, left_out)
        elif input_format is None:
            allowed = f"files of at most {SMALL_FILE_LIMIT:,} bytes, since the Catalog does not tell the batch's format"
            raise InvalidInputError("files", file.address, allowed)
        elif _is_lines(input_format):
            yield from _line_parts(file, left_out)
        elif input_format["format"] == "csv":
            yield from _csv_parts(file, CsvDialect.of(input_format))
        else:
            yield LargeFile(file.remote_name, file)


def _whole(file: SourceFile, left_out: LeftOut) -> Part:
    bounds = left_out.get(file.remote_name, ())
    how = f"without {len(bounds) // 2:,} range(s) of lines" if bounds else ""
    return Part(file.remote_name, (Piece(file, ByteRange(0, file.size), bounds),), how)


def _line_parts(file: SourceFile, left_out: LeftOut) -> Iterator[Part]:
    ranges = split_json_lines(file, SMALL_FILE_LIMIT)
    bounds = left_out.get(file.remote_name, ())
    for name, each in zip(_part_names(file.remote_name, len(ranges)), ranges, strict=True):
        yield Part(name, (Piece(file, each, bounds),), how=_cut(file, each))


def _csv_parts(file: SourceFile, dialect: CsvDialect) -> Iterator[Part]:
    header, ranges = split_csv(file, SMALL_FILE_LIMIT, dialect)
    for name, each in zip(_part_names(file.remote_name, len(ranges)), ranges, strict=True):
        yield Part(
            name, (header, Piece(file, each)) if header else (Piece(file, each),), how=_cut(file, each)
        )


def _cut(file: SourceFile, each: ByteRange) -> str:
    return f"bytes {each.start:,} to {each.end - 1:,} of {file.size:,}"


def _part_names(name: str, count: int) -> Iterator[str]:
    path = PurePosixPath(name)
    for number in range(1, count + 1):
        yield str(path.with_name(f"{path.stem}.part-{number:05}-of-{count:05}{path.suffix}"))


def _joined(files: Sequence[SourceFile], left_out: LeftOut) -> Iterator[Part | LargeFile]:
    """Join small files of JSON lines in their order, those of one partition folder with each other."""
    bundles = list(_bundles(files))
    count = sum(len(bundle) > 1 for bundle in bundles)
    numbers = iter(range(1, count + 1))
    for bundle in bundles:
        if len(bundle) == 1:
            yield from _planned(bundle, LINES, left_out)
        else:
            name = f"joined-{next(numbers):05}-of-{count:05}.json"
            yield _bundle_part(str(PurePosixPath(bundle[0].remote_name).with_name(name)), bundle, left_out)


def _bundles(files: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    bundle: list[SourceFile] = []
    room = 0
    for file in sorted(files, key=_folder):
        # A line break is added where a file lacks one at its end.
        need = file.size + len(NEWLINE)
        if bundle and (need > room or _folder(file) != _folder(bundle[0])):
            yield bundle
            bundle = []
        if not bundle:
            room = SMALL_FILE_LIMIT
        bundle.append(file)
        room -= need
    if bundle:
        yield bundle


def _bundle_part(name: str, bundle: Sequence[SourceFile], left_out: LeftOut) -> Part:
    with ThreadPoolExecutor(EDGE_READERS) as readers:
        edges = readers.map(line_edges, bundle)
        lines = (_lines(file, edge, left_out) for file, edge in zip(bundle, edges, strict=True))
        content = tuple(itertools.chain.from_iterable(lines))
    return Part(name, content, how=f"{len(bundle):,} files joined")


def _lines(file: SourceFile, edges: LineEdges, left_out: LeftOut) -> Iterator[Piece | bytes]:
    """Give a file's lines, without a byte-order mark, which may stand at a file's beginning only, and each with an end."""
    piece = Piece(file, ByteRange(edges.first, file.size), left_out.get(file.remote_name, ()))
    if piece.size > 0:
        yield piece
        if not edges.ends_with_newline:
            yield NEWLINE


def _folder(file: SourceFile) -> str:
    return str(PurePosixPath(file.remote_name).parent)


def _refuse_clashes(uploads: Sequence[Part | LargeFile]) -> None:
    seen: set[str] = set()
    for each in uploads:
        if each.remote_name in seen:
            allowed = "files with different names in the batch, after they were cut or joined"
            raise InvalidInputError("files", each.remote_name, allowed)
        seen.add(each.remote_name)


def _check_limits(*, files: int, size: int) -> None:
    if files > FILES_LIMIT:
        allowed = f"at most {FILES_LIMIT:,} files in a batch; JSON lines can be joined with coalesce=True"
        raise InvalidInputError("files", f"{files:,} files", allowed)
    if size > BATCH_LIMIT:
        allowed = f"at most {BATCH_LIMIT:,} bytes in a batch; use several batches"
        raise InvalidInputError("files", f"{size:,} bytes", allowed)


def _recommend(plan: UploadPlan) -> None:
    if len(plan.uploads) > FILES_RECOMMENDED:
        log.warning(
            "The batch gets %s files; the platform slows down with more than %s.",
            f"{len(plan.uploads):,}",
            f"{FILES_RECOMMENDED:,}",
        )
    if plan.size > BATCH_RECOMMENDED:
        log.warning(
            "The batch gets %s bytes; the platform recommends at most %s.",
            f"{plan.size:,}",
            f"{BATCH_RECOMMENDED:,}",
        )
