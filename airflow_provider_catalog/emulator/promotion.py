"""What the platform does between COMPLETE and the end: it reads the files, validates, counts, and decides.

Per batch the platform allows a percentage of bad rows (0 unless the client asked for partial ingestion). Within
it the good rows are ingested, above it the batch fails. A file of JSON of which only a part is ingested is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .batches import Json, Opening, Outcome, StoredFile
from .content import EMPTY_FILE, UNREADABLE_FILE, BadFile, BadRow, Row, check_file, has_rows, reader_for
from .diagnostics import Reports
from .flaws import Flaw, Kind
from .row_schema import Check, row_check
from .settings import Settings
from .store import Store

DIAGNOSTICS_WERE_OFF = "INGEST-1211-400"
PARTLY_INGESTED = "INGEST-1212-400"
GUARDRAILS = "EMU-GUARDRAILS-400"
UNFINISHED_FILES = "EMU-UNFINISHED-400"
UNREAD = "EMU-UNREAD-500"

_MAX_RANGES = 100  # of row numbers, for one code
_CORRUPT = (Flaw(Kind.UNPARSABLE, "The row is corrupt and cannot be parsed.", "parse"),)


class Stopped(Exception):
    """The emulator stops, and gives up reading."""


@dataclass(frozen=True)
class Job:
    """A batch to read: what the client asked for, its files, and the schema of its dataset."""

    opening: Opening
    files: Sequence[StoredFile]
    schema: Json
    settings: Settings
    store: Store
    stopped: Callable[[], bool]


@dataclass
class _Rows:
    """The rows in which one kind of flaw was found. They are numbered over all files of a batch, from 1."""

    count: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def add(self, number: int) -> None:
        self.count += 1
        if self.ranges and self.ranges[-1][1] == number - 1:
            self.ranges[-1] = (self.ranges[-1][0], number)
        elif len(self.ranges) < _MAX_RANGES:
            self.ranges.append((number, number))

    @property
    def texts(self) -> list[str]:
        """The numbers as the Catalog writes them: ``13``, ``3-5``."""
        return [f"{first}-{last}" if first < last else str(first) for first, last in self.ranges]


@dataclass
class _Tally:
    """Counts over all files of a batch."""

    files: int = 0
    size: int = 0
    rows: int = 0
    failed: int = 0
    bad_rows: dict[Kind, _Rows] = field(default_factory=dict)
    file_errors: list[Json] = field(default_factory=list)
    flawed_files: list[StoredFile] = field(default_factory=list)

    def reject(self, flaws: Sequence[Flaw]) -> None:
        """Count the newest row as failed, once for each kind of flaw that it has."""
        self.failed += 1
        for kind in {flaw.kind: None for flaw in flaws}:
            self.bad_rows.setdefault(kind, _Rows()).add(self.rows)

    @property
    def failed_percent(self) -> float:
        return 100 * self.failed / self.rows if self.rows else 0.0


def ingest(job: Job) -> Outcome:
    """Read the files of a batch and return how its ingestion ends. Raises Stopped as soon as the job says so."""
    opening = job.opening
    tally, reports, check = _Tally(), Reports(job.store, job.settings, opening.diagnostics), _check(job)
    try:
        reports.list_inputs(file.path for file in job.files)
        _read_all(job, check, tally, reports)
        succeeded = not tally.file_errors and tally.failed_percent <= opening.allowed_percent
        files = reports.close(succeeded)
        rewritten = tuple(_rewritten(job, file, check) for file in _partly_ingested(job, tally, succeeded))
    except BaseException:
        reports.discard()
        raise
    parts = {file.path: file.size for file in (*job.files, *rewritten)}
    metrics = _metrics(tally, opening, sum(parts.values()) if succeeded else None, job.settings.csv_metrics)
    return Outcome(succeeded, tuple(_errors(tally, opening, succeeded)), metrics, files, rewritten)


def obstacle(files: Sequence[StoredFile], unfinished: Collection[str], settings: Settings) -> Outcome | None:
    """Return the failure of a batch whose files need not be read: too many or too large ones, or some that are not whole."""
    amounts = (
        (len(files), "files", settings.max_batch_files),
        (sum(file.size for file in files), "bytes", settings.max_batch_bytes),
    )
    hits = [f"{amount} {unit} (over the {most} threshold)" for amount, unit, most in amounts if amount > most]
    if hits:
        return _failure(GUARDRAILS, f"Batch ingestion guardrails hit: {'; '.join(hits)}")
    if unfinished:
        return _failure(UNFINISHED_FILES, f"{len(unfinished)} large files were not completed.")
    return None


def without_files(accepted: bool) -> Outcome:
    """Return how a batch without any file ends."""
    return Outcome(succeeded=True) if accepted else _failure(EMPTY_FILE, "The batch has no files.")


def unread() -> Outcome:
    """Return the failure of a batch on whose files the emulator itself stumbled."""
    return _failure(UNREAD, "The emulator could not read the files: see its log.")


def _failure(code: str, description: str) -> Outcome:
    return Outcome(succeeded=False, errors=({"code": code, "description": description},))


def is_nested(schema: Json) -> bool:
    """Say whether a schema has fields within fields, which CSV cannot express."""
    fields: Iterable[Any] = schema.get("properties", {}).values()
    return any(each.get("type") in ("object", "array") for each in fields)


def _format(opening: Opening) -> str:
    return str(opening.input_format.get("format")).lower()


def _read_all(job: Job, check: Check, tally: _Tally, reports: Reports) -> None:
    if _format(job.opening) == "csv" and is_nested(job.schema):
        error = {"code": UNREADABLE_FILE, "description": "CSV files can be ingested into a flat schema only."}
        tally.file_errors.append(error)
    for file in job.files:
        _read(job, file, check, tally, reports)


def _check(job: Job) -> Check:
    """Return the check of a batch's rows. Those of CSV are not validated, those of Parquet have their types already."""
    if _format(job.opening) != "json":
        return lambda row: ()
    return row_check(job.schema, unknown_fields=job.settings.unknown_fields == "ignored")


def _read(job: Job, file: StoredFile, check: Check, tally: _Tally, reports: Reports) -> None:
    failed_before = tally.failed
    tally.files += 1
    tally.size += file.size
    try:
        for row, flaws in _checked_rows(job, file, check):
            tally.rows += 1
            if flaws:
                tally.reject(flaws)
                reports.reject(row, flaws)
    except BadFile as error:
        tally.file_errors.append({"code": error.code, "description": error.description})
    if tally.failed > failed_before:
        tally.flawed_files.append(file)


def _checked_rows(job: Job, file: StoredFile, check: Check) -> Iterator[tuple[Row, Sequence[Flaw]]]:
    """Yield the rows of a file, each with what is wrong with it. Raises BadFile, Stopped."""
    path, input_format = job.store.file(file.stored_as), job.opening.input_format
    check_file(path, input_format)
    if not has_rows(input_format):
        return
    for row in reader_for(input_format)(path, input_format):
        if job.stopped():
            raise Stopped
        yield row, _CORRUPT if isinstance(row, BadRow) else check(row)


def _partly_ingested(job: Job, tally: _Tally, succeeded: bool) -> Sequence[StoredFile]:
    return tally.flawed_files if succeeded and _format(job.opening) == "json" else ()


def _rewritten(job: Job, file: StoredFile, check: Check) -> StoredFile:
    """Read a file again, and write its good rows down, one on each line."""
    target = job.store.new_file()
    good = (json.dumps(row) for row, flaws in _checked_rows(job, file, check) if not flaws)
    try:
        with target.open("w", encoding="ascii") as lines:
            size = sum(lines.write(f"{row}\n") for row in good)  # ASCII: as many bytes as characters
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return StoredFile(file.path, size, target.name)


def _errors(tally: _Tally, opening: Opening, succeeded: bool) -> Sequence[Json]:
    if not tally.failed:
        return tally.file_errors
    if not opening.diagnostics:
        hint = "Some rows have errors. Send them again with error diagnostics enabled to learn which."
        return [*tally.file_errors, {"code": DIAGNOSTICS_WERE_OFF, "description": hint}]
    ingested = tally.rows - tally.failed if succeeded else 0
    summary = f"{tally.failed} rows have errors, {ingested} rows were ingested. See the diagnostic files."
    by_kind = [_row_error(kind, rows) for kind, rows in tally.bad_rows.items()]
    return [*tally.file_errors, {"code": PARTLY_INGESTED, "description": summary}, *by_kind]


def _row_error(kind: Kind, rows: _Rows) -> Json:
    return {
        "code": kind.code,
        "description": kind.description,
        "recordCount": rows.count,
        "rows": rows.texts,
    }


def _metrics(tally: _Tally, opening: Opening, output_size: int | None, csv_metrics: bool) -> dict[str, int]:
    """Return the counts of a batch; without a size of what is ingested, nothing is."""
    if _format(opening) == "csv" and not csv_metrics:
        return {}
    metrics = {"inputByteSize": tally.size, "inputFileCount": tally.files}
    if output_size is not None:
        metrics |= {"outputByteSize": output_size, "outputFileCount": 1, "partitionCount": 1}
    if has_rows(opening.input_format):
        written = tally.rows - tally.failed if output_size is not None else 0
        metrics |= {
            "inputRecordCount": tally.rows,
            "outputRecordCount": written,
            "failedRecordCount": tally.failed,
        }
    return metrics
