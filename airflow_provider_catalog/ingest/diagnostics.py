"""The rejected rows of a batch, each with its reasons, as JSON lines.

The platform keeps them in one of two kinds of files, up to 30 days long:

- ``row_errors`` if the batch was opened with error diagnostics. A line is the record and ``_errors``, a list with ``code`` and
  ``message``, and ``_filename``. A row that could not be parsed is a text, ``_corrupt_record``.
- failed files if the batch failed. A line is the record and ``_validationErrors``, a list with ``keyword``, ``message`` and
  ``pointerToViolation``.

A failed batch with diagnostics has each row in both, so only one kind is read: ``row_errors`` if there are any. A sample, which
may not hold all rows, is better than nothing. Lines are passed on as the platform wrote them.

See https://experienceleague.adobe.com/en/docs/experience-platform/ingestion/quality/error-diagnostics and
https://experienceleague.adobe.com/en/docs/experience-platform/ingestion/quality/retrieve-failed-batches.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Protocol

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.data_access import DataAccess, ListedFile
from airflow_provider_catalog.api.errors import BatchStateError, NoDiagnosticsError, NotFoundError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.statuses import Phase

log = logging.getLogger(__name__)

ROW_ERRORS = "row_errors"
# Adobe's pages have both names.
SAMPLES = ("row_errors_sample.json", "row_error_samples.json")

# The platform's own words for rows that were rejected, where it gives no count.
REJECTION_CODES = ("INGEST-1211-", "INGEST-1212-")

NO_CODE = "unknown"
NO_JSON = "unreadable"
PLAIN_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Sink(Protocol):
    """What lines are written to: a binary file of any kind."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""


@dataclass(frozen=True)
class RejectedRows:
    """What was written.

    :param rows: the number of lines, one for each rejected row.
    :param codes: how many of them have a reason with this code; a row with reasons of several kinds counts for each.
    """

    rows: int
    codes: dict[str, int]


@dataclass(frozen=True)
class _Source:
    """Files of one kind.

    :param files: opens them, one after the other.
    :param reasons: the field with a row's reasons.
    :param code: the field of a reason that tells its kind.
    """

    files: Iterable[Callable[[], BufferedReader]]
    reasons: str = "_errors"
    code: str = "code"


def write_rejected_rows(client: CatalogClient, batch: Batch, sink: Sink) -> RejectedRows:
    """Write the rejected rows of a batch as JSON lines, one at a time.

    A line that is no JSON object is written as one: the text under ``_corrupt_record``, the code ``unreadable``.

    :param client: reaches the sandbox of the batch.
    :param batch: the batch as the Catalog shows it.
    :param sink: where to.
    :raises BatchStateError: the batch has not ended yet.
    :raises NoDiagnosticsError: rows were rejected, and there is no file about them.
    """
    if batch.phase in (Phase.WAITING_ON_CLIENT, Phase.RUNNING):
        advice = "Wait for its end, for instance with BatchSensor."
        raise BatchStateError(batch, "asked for its rejected rows", advice)
    source = _find_source(client.data_access, batch)
    written = _copy(source, sink)
    if batch.records_failed is not None and batch.records_failed != written.rows:
        log.warning(
            "The Catalog counts %d rejected rows of batch %s, the platform's files about it hold %d.",
            batch.records_failed,
            batch.id,
            written.rows,
        )
    return written


def _find_source(data: DataAccess, batch: Batch) -> _Source:
    if names := _names(_row_errors(data, batch.id)):
        return _Source([_opener(data.open_meta, batch.id, f"{ROW_ERRORS}/{name}") for name in names])
    if names := _names(data.list_failed(batch.id)):
        files = [_opener(data.open_failed, batch.id, name) for name in names]
        return _Source(files, reasons="_validationErrors", code="keyword")
    if not _has_rejected_rows(batch):
        return _Source([])
    for name in SAMPLES:
        sample = _opener(data.open_meta, batch.id, name)
        if _holds_something(sample):
            log.warning("There is only a sample of the rejected rows of batch %s.", batch.id)
            return _Source([sample])
    raise NoDiagnosticsError(batch)


def _row_errors(data: DataAccess, batch_id: str) -> list[ListedFile]:
    try:
        return list(data.list_meta(batch_id, ROW_ERRORS))
    except NotFoundError:
        return []  # without diagnostics there is no such folder


def _names(files: Iterable[ListedFile]) -> list[str]:
    """Name the files with lines: neither folders nor markers such as ``_SUCCESS``."""
    return [file.name for file in files if file.size != 0 and not file.name.startswith("_")]


def _opener(
    open_file: Callable[[str, str], BufferedReader], batch_id: str, path: str
) -> Callable[[], BufferedReader]:
    return lambda: open_file(batch_id, path)


def _holds_something(open_file: Callable[[], BufferedReader]) -> bool:
    try:
        with open_file() as file:
            return bool(file.peek(1))
    except NotFoundError:
        return False


def _has_rejected_rows(batch: Batch) -> bool:
    if batch.records_failed is not None:
        return batch.records_failed > 0
    return any(issue.records or issue.code.startswith(REJECTION_CODES) for issue in batch.errors)


def _copy(source: _Source, sink: Sink) -> RejectedRows:
    rows = 0
    codes: Counter[str] = Counter()
    for line in _lines(source):
        record = _parse(line)
        if record is None:
            line = _wrapped(line)
            codes[NO_JSON] += 1
        else:
            codes.update(_codes(record.get(source.reasons), source.code))
        sink.write(line + b"\n")
        rows += 1
    return RejectedRows(rows, dict(codes.most_common()))


def _lines(source: _Source) -> Iterator[bytes]:
    for open_file in source.files:
        with open_file() as file:
            yield from filter(None, map(bytes.strip, file))


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _wrapped(line: bytes) -> bytes:
    reason = {"code": NO_JSON, "message": "The platform's line about this row is no JSON object."}
    record = {"_corrupt_record": line.decode("utf-8", "replace"), "_errors": [reason]}
    return json.dumps(record).encode()


def _codes(reasons: object, name: str) -> set[str]:
    """Give the kinds of a row's reasons. Anything that does not look like a code may be a customer's, and is not repeated."""
    given = (
        [reason.get(name) for reason in reasons if isinstance(reason, dict)]
        if isinstance(reasons, list)
        else []
    )
    plain = {code if PLAIN_CODE.fullmatch(code) else NO_CODE for code in map(str, given)}
    return plain or {NO_CODE}
