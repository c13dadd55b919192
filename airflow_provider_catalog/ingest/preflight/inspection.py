"""All files of a batch held against the schema of its dataset, before anything of them is sent."""

from __future__ import annotations

import logging
import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any

from airflow_provider_catalog.api.errors import InvalidInputError, InvalidRecordsError
from airflow_provider_catalog.api.payloads import InputFormat, input_format_payload
from airflow_provider_catalog.ingest.parts import Bounds
from airflow_provider_catalog.ingest.preflight.drops import leave_out, write_down
from airflow_provider_catalog.ingest.preflight.flaws import Flaw, Names
from airflow_provider_catalog.ingest.preflight.parquet import compare_columns
from airflow_provider_catalog.ingest.preflight.records import Record, Tick, json_lines, multiline_json
from airflow_provider_catalog.ingest.preflight.translation import Translation, translate
from airflow_provider_catalog.ingest.preflight.validators import fastest_check
from airflow_provider_catalog.ingest.preflight.xdm import read_schema
from airflow_provider_catalog.ingest.sources import SourceFile

log = logging.getLogger(__name__)

ERRORS_SHOWN = 20
KINDS_SHOWN = 20
PROGRESS_PAUSE = 30.0


class OnInvalid(StrEnum):
    """What becomes of records that do not fit the schema."""

    FAIL = "fail"
    DROP = "drop"
    WARN = "warn"


@dataclass(frozen=True)
class Verdict:
    """What was found, and what is to be left out. Holds nothing of a record.

    :param checked: how many records were looked at; of Parquet, how many files.
    :param invalid: how many of them do not fit the schema.
    :param examples: the first errors, one text each.
    :param counts: how often each kind of error came, the most frequent first.
    :param drops: by the remote names of files, where the lines to leave out begin and end. Whole lines, line ends included.
    :param emptied: the remote names of files of which no record would be left.
    """

    checked: int
    invalid: int
    examples: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    drops: Mapping[str, Bounds]
    emptied: tuple[str, ...] = ()


def inspect(
    sources: Sequence[SourceFile],
    input_format: InputFormat,
    schema: Mapping[str, Any],
    *,
    on_invalid: OnInvalid,
    sample: float = 1.0,
    dropped: IO[bytes] | None = None,
    stop: Callable[[], None] = lambda: None,
) -> Verdict:
    """Hold all files of a batch against the schema of its dataset.

    Of Parquet the columns are compared, which takes no reading of rows. JSON is read from the first to the last byte, so that
    a file that changes meanwhile is noticed.

    :param sources: the files.
    :param input_format: the batch's.
    :param schema: the XDM schema with everything written out, from
        :meth:`~airflow_provider_catalog.api.client.CatalogClient.get_schema`.
    :param on_invalid: fail, warn and go on, or (JSON lines only) have the lines left out.
    :param sample: the share of records to validate, evenly spread over each file, beginning with its first; the same ones each
        time. What is not validated is read over, but not parsed if it is a line.
    :param dropped: where lines that are left out are written, with the reasons, as JSON lines.
    :param stop: called before each block that is read; what it raises ends the inspection.
    :raises InvalidInputError: this can't be done with this format; nothing was read.
    :raises InvalidRecordsError: there are errors and they are not to be passed over, or no record would be left.
    :raises FileChangedError: a file is not what it was when it was looked at.
    """
    layout = checked_layout(input_format, on_invalid, sample, keeps_dropped=dropped is not None)
    inspection = _Inspection(stop, dropped if on_invalid is OnInvalid.DROP else None)
    if layout == "parquet":
        inspection.compare(sources, schema)
    else:
        inspection.read(sources, layout, translate(schema), sample)
    return _judged(inspection.verdict(), on_invalid, "files" if layout == "parquet" else "records")


def checked_layout(
    input_format: InputFormat, on_invalid: OnInvalid, sample: float, *, keeps_dropped: bool
) -> str:
    """Give how the records of a format lie in a file, if what is wanted can be done with it.

    :param input_format: the batch's.
    :param on_invalid: what becomes of invalid records.
    :param sample: the share of records to validate.
    :param keeps_dropped: whether there is a file for records that are left out.
    :raises InvalidInputError: it can't.
    """
    payload = input_format_payload(input_format)
    layout = "multi-line JSON" if payload.get("isMultiLineJson") else str(payload["format"])
    if layout == "csv":
        allowed = "json or parquet as input_format (the platform validates no rows of CSV either)"
        raise InvalidInputError("validate", "schema", allowed)
    if not 0 < sample <= 1:
        raise InvalidInputError("validate_share", sample, "a number, more than 0 and at most 1")
    if on_invalid is not OnInvalid.DROP:
        return layout
    if layout != "json":
        allowed = f"fail or warn with {layout}, since only whole lines can be left out"
        raise InvalidInputError("on_invalid", str(on_invalid), allowed)
    if sample < 1:
        allowed = "1 with on_invalid=drop, since invalid records would slip through"
        raise InvalidInputError("validate_share", sample, allowed)
    if not keeps_dropped:
        raise InvalidInputError("invalid_records_path", None, "a file that keeps what is left out")
    return layout


def _judged(verdict: Verdict, on_invalid: OnInvalid, what: str) -> Verdict:
    """Do with what was found what the user wants."""
    if not verdict.invalid:
        log.info("Validated %s %s: all fit the schema of the dataset.", f"{verdict.checked:,}", what)
        return verdict
    summary = (
        f"{verdict.invalid:,} of {verdict.checked:,} validated {what} do not fit the schema of the dataset."
    )
    nothing_left = on_invalid is OnInvalid.DROP and verdict.invalid == verdict.checked
    if nothing_left:
        summary += " Without them nothing is left to load."
    error = InvalidRecordsError(summary, verdict.examples, verdict.counts[:KINDS_SHOWN])
    if on_invalid is OnInvalid.FAIL or nothing_left:
        raise error
    log.warning("%s", error)
    return verdict


def _evenly(share: float) -> Callable[[int], bool]:
    """Choose a share of the whole numbers from 0, the first included."""
    return lambda number: number == 0 or int(number * share) > int((number - 1) * share)


class _Inspection:
    """Goes through files and notes what is wrong with them.

    :param stop: called before each block.
    :param dropped: where invalid lines go, if they are to be left out.
    """

    def __init__(self, stop: Callable[[], None], dropped: IO[bytes] | None) -> None:
        self._stop = stop
        self._dropped = dropped
        self._checked = 0
        self._invalid = 0
        self._examples: list[str] = []
        self._counts: Counter[str] = Counter()
        self._drops: dict[str, array[int]] = {}
        self._emptied: list[str] = []

    def compare(self, sources: Sequence[SourceFile], schema: Mapping[str, Any]) -> None:
        """Compare the columns of Parquet files."""
        fields = read_schema(schema)
        for source in sources:
            self._stop()
            self._checked += 1
            # Names of columns are no customers', so all may be shown.
            self._note(source.address, compare_columns(source, fields), None)

    def read(
        self, sources: Sequence[SourceFile], layout: str, translation: Translation, sample: float
    ) -> None:
        """Read files of JSON and validate their records."""
        records_of = multiline_json if layout == "multi-line JSON" else json_lines
        check, names, tick = fastest_check(translation), translation.names, self._tick(sources)
        for source in sources:
            checked, invalid = self._checked, self._invalid
            for record in records_of(source, tick, _evenly(sample)):
                self._checked += 1
                flaws = (record.flaw,) if record.flaw else check(record.value)
                if flaws:
                    self._note(f"{source.address} line {record.line}", flaws, names)
                    self._leave_out(source, record, flaws)
            if 0 < self._checked - checked == self._invalid - invalid:
                self._emptied.append(source.remote_name)

    def verdict(self) -> Verdict:
        """Give what was found."""
        return Verdict(
            self._checked,
            self._invalid,
            tuple(self._examples),
            tuple(self._counts.most_common()),
            self._drops,
            tuple(self._emptied) if self._dropped else (),
        )

    def _note(self, place: str, flaws: Sequence[Flaw], names: Names) -> None:
        self._invalid += bool(flaws)
        self._counts.update(flaw.kind(names) for flaw in flaws)
        for flaw in flaws[: ERRORS_SHOWN - len(self._examples)]:
            pointer = flaw.public_pointer(names)
            where = f"{place}, {pointer}" if pointer else place
            self._examples.append(f"{where}: {flaw.message}{flaw.advice(names)}")

    def _leave_out(self, source: SourceFile, record: Record, flaws: Sequence[Flaw]) -> None:
        if self._dropped:
            leave_out(self._drops.setdefault(source.remote_name, array("Q")), record.start, record.end)
            write_down(self._dropped, source.address, record, flaws)

    def _tick(self, sources: Sequence[SourceFile]) -> Tick:
        """Give what is called before each block: it stops, and tells from time to time how far things are."""
        total, done, told = sum(source.size for source in sources), 0, time.monotonic()

        def tick(size: int) -> None:
            nonlocal done, told
            self._stop()
            if time.monotonic() - told >= PROGRESS_PAUSE:
                told = time.monotonic()
                figures = f"{self._checked:,}", f"{done:,}", f"{total:,}", f"{self._invalid:,}"
                log.info("Validated %s records in %s of %s bytes; %s do not fit the schema.", *figures)
            done += size

        return tick
