"""The files that tell what was wrong with the rows of a batch, as the Data Access API serves them.

Written while the rows are read, so that none of them has to be kept. ``meta/`` is there if the client asked for error
diagnostics, ``failed/`` if the batch failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import IO
from uuid import uuid4

from . import lifecycle
from .batches import Batch, Json, StoredFile
from .content import BadRow, Row
from .flaws import Flaw, Stage
from .settings import Settings
from .store import Store

META = "meta/"
FAILED = "failed/"
ROW_ERRORS = "row_errors"
INPUT_FILES = "input_files"

_ROW_FILES = {
    Stage.PARSING: f"{META}{ROW_ERRORS}/parsing_errors_{{}}.json",
    Stage.CONVERSION: f"{META}{ROW_ERRORS}/conversion_errors_{{}}.json",
    Stage.VALIDATION: f"{META}{ROW_ERRORS}/validation_errors_{{}}.json",
}
_SAMPLE_ROWS = 100


def reports_of(batch: Batch, at: float, retention: float) -> Sequence[StoredFile]:
    """Return the files about a batch that can be read at a moment: from its end on, for `retention` seconds."""
    ended_at = batch.moment_of(lifecycle.SUCCEEDED | lifecycle.FAILED)
    if batch.outcome is None or ended_at is None or not ended_at <= at <= ended_at + retention:
        return ()
    return batch.outcome.reports


class Reports:
    """Takes in the rejected rows of one batch. Ends with `close`, or `discard`."""

    def __init__(self, store: Store, settings: Settings, diagnostics: bool) -> None:
        rows = settings.diagnostics_rows
        self._inputs = _Series(store, f"{META}{INPUT_FILES}/fileMetaData{{}}.json", rows, first=1)
        self._by_stage = {stage: _Series(store, path, rows) for stage, path in _ROW_FILES.items()}
        self._sample = _Series(store, f"{META}{settings.sample_file}", _SAMPLE_ROWS)
        self._failed = _Series(store, f"{FAILED}part-{{:05}}-{uuid4()}-c000.json", rows)
        self._success = _Series(store, f"{FAILED}_SUCCESS", rows)
        self._diagnostics = diagnostics

    @property
    def _all(self) -> Sequence[_Series]:
        return (self._inputs, *self._by_stage.values(), self._sample, self._failed, self._success)

    def list_inputs(self, paths: Iterable[str]) -> None:
        """Write down which files the batch has."""
        if self._diagnostics:
            for path in paths:
                self._inputs.add({"path": path})

    def reject(self, row: Row, flaws: Sequence[Flaw]) -> None:
        """Write down a row and what is wrong with it."""
        record = {"_corrupt_record": row.text} if isinstance(row, BadRow) else row
        self._failed.add({**record, "_validationErrors": [_validation_error(flaw) for flaw in flaws]})
        if self._diagnostics:
            series = self._by_stage[flaws[0].kind.stage]
            line = {**record, "_errors": [_row_error(flaw) for flaw in flaws], "_filename": series.name}
            series.add(line)
            if self._sample.lines < _SAMPLE_ROWS:
                self._sample.add(line)

    def close(self, succeeded: bool) -> tuple[StoredFile, ...]:
        """Finish the files and return those that are there to stay."""
        if succeeded:
            self._failed.discard()
        else:
            self._success.ensure()
        if self._diagnostics:
            self._sample.ensure()
        return tuple(file for series in self._all for file in series.close())

    def discard(self) -> None:
        """Delete all files."""
        for series in self._all:
            series.discard()


class _Series:
    """Files of JSON lines; after so many lines the next file begins."""

    def __init__(self, store: Store, path: str, length: int, first: int = 0) -> None:
        self._store = store
        self._path = path
        self._length = length
        self._first = first
        self._files: list[StoredFile] = []
        self._open: IO[str] | None = None
        self._size = 0
        self.lines = 0

    @property
    def name(self) -> str:
        """The name, without its folder, of the file that the next line goes into."""
        return self._path_at(self.lines // self._length).rpartition("/")[2]

    def add(self, line: Json) -> None:
        """Append a line."""
        if self.lines % self._length == 0:
            self._begin_file()
        assert self._open is not None  # noqa: S101 - opened by now
        self._size += self._open.write(json.dumps(line) + "\n")  # ASCII: as many bytes as characters
        self.lines += 1

    def ensure(self) -> None:
        """Begin a file if there is none, even if it stays empty."""
        if not self._files:
            self._begin_file()

    def close(self) -> list[StoredFile]:
        """Finish the last file and return all, with their sizes."""
        self._end_file()
        return self._files

    def discard(self) -> None:
        """Delete the files."""
        self._store.delete(file.stored_as for file in self.close())
        self._files = []

    def _path_at(self, number: int) -> str:
        return self._path.format(number + self._first)

    def _begin_file(self) -> None:
        self._end_file()
        stored = self._store.new_file()
        self._files.append(StoredFile(self._path_at(len(self._files)), 0, stored.name))
        self._open = stored.open("w", encoding="ascii")
        self._size = 0

    def _end_file(self) -> None:
        if self._open:
            self._open.close()
            self._open = None
            self._files[-1] = replace(self._files[-1], size=self._size)


def _row_error(flaw: Flaw) -> Json:
    column = flaw.pointer.removeprefix("/").replace("/", ".")
    return {"code": flaw.kind.row_code, "message": f"{column} {flaw.message}".strip()}


def _validation_error(flaw: Flaw) -> Json:
    return {
        "schemaLocation": flaw.schema_location,
        "pointerToViolation": f"#{flaw.pointer}",
        "causingExceptions": [],
        "keyword": flaw.keyword,
        "message": flaw.message,
    }
