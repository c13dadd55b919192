"""What the platform does between COMPLETE and the end: it reads the files, counts, and decides.

Per batch the platform allows a percentage of bad rows (0 unless the client asked for partial ingestion). Within
it the good rows are ingested, above it the batch fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .batches import Json, Opening, Outcome
from .content import EMPTY_FILE, UNREADABLE_FILE, BadFile, BadRow, Row, check_file, has_rows, reader_for

DIAGNOSTICS_WERE_OFF = "INGEST-1211-400"
PARTLY_INGESTED = "INGEST-1212-400"


class Stopped(Exception):
    """The emulator stops, and gives up reading."""


@dataclass
class _Tally:
    """Counts over all files of a batch."""

    files: int = 0
    size: int = 0
    rows: int = 0
    bad_rows: Counter[str] = field(default_factory=Counter)
    file_errors: list[Json] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return self.bad_rows.total()

    @property
    def failed_percent(self) -> float:
        return 100 * self.failed / self.rows if self.rows else 0.0


def ingest(
    opening: Opening, files: Iterable[Path], schema: Json, csv_metrics: bool, stopped: Callable[[], bool]
) -> Outcome:
    """Read the files of a batch and return how its ingestion ends.

    `schema` is that of the dataset. Raises Stopped as soon as `stopped` says so.
    """
    tally = _Tally()
    if is_csv(opening.input_format) and is_nested(schema):
        error = {"code": UNREADABLE_FILE, "description": "CSV files can be ingested into a flat schema only."}
        tally.file_errors.append(error)
    for path in files:
        _read(path, opening.input_format, tally, stopped)
    succeeded = not tally.file_errors and tally.failed_percent <= opening.allowed_percent
    errors = _errors(tally, opening, succeeded)
    return Outcome(succeeded, tuple(errors), _metrics(tally, opening, succeeded, csv_metrics))


def without_files(accepted: bool) -> Outcome:
    """Return how a batch without any file ends."""
    error = {"code": EMPTY_FILE, "description": "The batch has no files."}
    return Outcome(accepted, () if accepted else (error,))


def is_csv(input_format: Json) -> bool:
    """Say whether the files of a batch are CSV."""
    return str(input_format.get("format")).lower() == "csv"


def is_nested(schema: Json) -> bool:
    """Say whether a schema has fields within fields, which CSV cannot express."""
    fields: Iterable[Any] = schema.get("properties", {}).values()
    return any(each.get("type") in ("object", "array") for each in fields)


def _read(path: Path, input_format: Json, tally: _Tally, stopped: Callable[[], bool]) -> None:
    tally.files += 1
    tally.size += path.stat().st_size
    try:
        check_file(path, input_format)
        if has_rows(input_format):
            for row in reader_for(input_format)(path, input_format):
                _count(row, tally)
                if stopped():
                    raise Stopped
    except BadFile as error:
        tally.file_errors.append({"code": error.code, "description": error.description})


def _count(row: Row, tally: _Tally) -> None:
    tally.rows += 1
    if isinstance(row, BadRow):
        tally.bad_rows[row.code] += 1


def _errors(tally: _Tally, opening: Opening, succeeded: bool) -> Sequence[Json]:
    if not tally.failed:
        return tally.file_errors
    ingested = tally.rows - tally.failed if succeeded else 0
    by_code = [_row_error(code, count, opening.diagnostics) for code, count in tally.bad_rows.items()]
    if opening.diagnostics:
        summary = f"{tally.failed} rows have errors, {ingested} rows were ingested. See the diagnostic files."
        return [*tally.file_errors, {"code": PARTLY_INGESTED, "description": summary}, *by_code]
    hint = f"{tally.failed} rows have errors. Send them again with error diagnostics enabled to learn which."
    return [*tally.file_errors, {"code": DIAGNOSTICS_WERE_OFF, "description": hint}, *by_code]


def _row_error(code: str, count: int, diagnostics: bool) -> Json:
    error = {"code": code, "description": "The row is corrupt and cannot be parsed."}
    return {**error, "recordCount": count} if diagnostics else error


def _metrics(tally: _Tally, opening: Opening, succeeded: bool, csv_metrics: bool) -> dict[str, int]:
    if is_csv(opening.input_format) and not csv_metrics:
        return {}
    metrics = {"inputByteSize": tally.size, "inputFileCount": tally.files}
    if succeeded:
        metrics |= {"outputByteSize": tally.size, "outputFileCount": 1, "partitionCount": 1}
    if has_rows(opening.input_format):
        written = tally.rows - tally.failed if succeeded else 0
        metrics |= {
            "inputRecordCount": tally.rows,
            "outputRecordCount": written,
            "failedRecordCount": tally.failed,
        }
    return metrics
