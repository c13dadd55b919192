"""Loads that the proofs drive try by try, and the emulator's own books, which tell what has become of them.

A load is a task instance (or the four of the classic chain) that brings rows into one place. It knows its input and what each
of its logical attempts has done to the platform, by looking at the books before and after each try: nothing of the package's
own idea of who owns a batch goes into that.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator
from desk import CRM_PROFILES, PAGE_VIEWS
from tasks import Run, Visit, dag, run_try

from airflow_provider_catalog.api.errors import CatalogError
from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.operators.ingest import IngestFilesOperator
from airflow_provider_catalog.sensors.batch import BatchSensor

ACTIVE = frozenset({"active", "success"})
GIVEN_UP = frozenset({"failed", "failure", "aborted", "abandoned"})
POLL_SECONDS = 60
ROWS: dict[str, dict[str, Any]] = {CRM_PROFILES: {}, PAGE_VIEWS: {"timestamp": "2026-01-01T00:00:00Z"}}


@dataclass(frozen=True)
class Place:
    """A dataset in a sandbox."""

    dataset_id: str = CRM_PROFILES
    sandbox_name: str = "dev"


class Books:
    """What is true on an emulator's platform now, whatever its Catalog shows yet. Reading leaves no trace.

    :param emulator: one that runs in this process.
    """

    def __init__(self, emulator: Any) -> None:
        self._emulator = emulator

    @property
    def now(self) -> float:
        """The emulator's time."""
        return float(self._platform.clock.now())

    @property
    def lag(self) -> float:
        """For how many seconds the Catalog does not show what was written."""
        return float(self._platform.settings.catalog_lag)

    def batches(self) -> dict[str, Any]:
        """Give all batches by id, the oldest first."""
        return {batch.id: batch for batch in self._platform.batches.all()}

    def status(self, batch: Any, at: float | None = None) -> str:
        """Give the status of a batch, now or at an earlier moment."""
        return str(self._platform.batches.status(batch, self.now if at is None else at))

    def rows(self, batch: Any) -> list[str]:
        """Give the ids of the rows in the files of a batch, sorted."""
        texts = [self._platform.store.file(file.stored_as).read_text() for file in batch.files.values()]
        return sorted(json.loads(line)["_id"] for text in texts for line in text.splitlines())

    def promoted_rows(self, place: Place) -> list[str]:
        """Give the ids of the rows in a dataset, sorted."""
        active = [batch for batch in self.batches().values() if self.status(batch) in ACTIVE]
        return sorted(row for batch in active if place_of(batch) == place for row in self.rows(batch))

    def requests(self) -> list[Any]:
        """Give the request log."""
        return list(self._platform.journal.entries())

    def struck(self) -> Counter[int]:
        """Count by status the requests that faults have refused; 401 stands for an expired token as well."""
        hits: Counter[int] = Counter()
        for fault in self._platform.faults.all():
            status = 401 if fault.effect.expire_token else fault.effect.status
            hits[status or 0] += fault.hits
        return hits

    @property
    def _platform(self) -> Any:
        return self._emulator.platform


def place_of(batch: Any) -> Place:
    """Tell where a batch was opened."""
    return Place(batch.opening.dataset_id, batch.sandbox)


@dataclass
class Attempt:
    """One logical attempt, and what it has left on the platform."""

    on_rerun: str
    batches: list[Any] = field(default_factory=list)
    struck: Counter[int] = field(default_factory=Counter)
    promoted_id: str | None = None
    failure: AirflowFailException | None = None

    @property
    def has_ended(self) -> bool:
        """Whether Airflow makes no further try."""
        return self.promoted_id is not None or self.failure is not None


@dataclass(frozen=True)
class Try:
    """What one try has done: the batches that it opened and signalled, its requests, and an error that is retried."""

    opened: list[Any]
    signalled: list[Any]
    requests: list[Any]
    error: CatalogError | None


class Load(ABC):
    """Brings rows into a place, in as many attempts as it is cleared.

    :param books: of the emulator that it loads into.
    :param place: where to.
    :param map_index: which instance of a mapped task it is.
    :param folder: where its files lie.
    :param external_id: the user's own, or None for a derived one.
    :param deferrable: whether it waits in the triggerer.
    """

    task_ids: tuple[str, ...]

    def __init__(
        self,
        books: Books,
        place: Place,
        map_index: int,
        folder: Path,
        *,
        external_id: str | None,
        deferrable: bool,
    ) -> None:
        self.books = books
        self.place = place
        self.map_index = map_index
        self.external_id = external_id
        self.deferrable = deferrable
        self.attempts = [Attempt("append")]
        self.rows: list[str] = []
        self.files: list[Path] = []
        self._folder = folder
        self._run = Run()
        self._tries: Counter[str] = Counter()
        self._cleared_at: Counter[str] = Counter()
        self._turn = 0

    @property
    def attempt(self) -> Attempt:
        """The newest one."""
        return self.attempts[-1]

    @property
    def has_begun(self) -> bool:
        """Whether there was a try."""
        return bool(self._tries)

    @property
    def batches(self) -> list[Any]:
        """The batches of all attempts."""
        return [batch for attempt in self.attempts for batch in attempt.batches]

    def write(self, *files: list[str], flawed: bool = False) -> None:
        """Give the load other rows, by their ids; a flawed one is refused by the platform."""
        for path in self.files:
            path.unlink()
        self.files = [self._folder / f"part-{number}.json" for number in range(1, len(files) + 1)]
        self.rows = sorted(row for rows in files for row in rows)
        template = ROWS[self.place.dataset_id] | ({"no such field": 1} if flawed else {})
        for path, rows in zip(self.files, files, strict=True):
            path.write_text("".join(json.dumps(template | {"_id": row}) + "\n" for row in rows))
            # The emulator's clock is ahead of the one by which this file was written.
            os.utime(path, (self.books.now, self.books.now))

    def clear(self, on_rerun: str, *, run_anew: bool) -> None:
        """Do what Airflow does when somebody clears the task, and the run begins anew if it was over."""
        self.attempts.append(Attempt(on_rerun))
        self._cleared_at = self._tries.copy()
        self._turn = 0
        if run_anew:
            self._run = Run(start_date=self._run.start_date + timedelta(hours=1))

    def next_try(self) -> Try:
        """Make the next try of the task whose turn it is."""
        known, signalled = self.books.batches(), self._signalled()
        requests, struck = len(self.books.requests()), self.books.struck()
        error = self._try_task()
        opened = [batch for batch_id, batch in self.books.batches().items() if batch_id not in known]
        self.attempt.batches += opened
        self.attempt.struck += self.books.struck() - struck
        newly_signalled = [
            batch for batch_id, batch in self._signalled().items() if batch_id not in signalled
        ]
        return Try(opened, newly_signalled, self.books.requests()[requests:], error)

    @abstractmethod
    def make_task(self, task_id: str) -> BaseOperator:
        """Make the operator of a task."""

    @abstractmethod
    def take(self, visit: Visit) -> None:
        """Take what a task that ended well has left."""

    def _signalled(self) -> dict[str, Any]:
        batches = self.books.batches()
        return {batch_id: batch for batch_id, batch in batches.items() if batch.signalled_at is not None}

    def _try_task(self) -> CatalogError | None:
        task_id = self.task_ids[self._turn]
        self._tries[task_id] += 1
        visit = Visit(
            self.make_task(task_id),
            self._run,
            try_number=self._tries[task_id],
            clears=self._cleared_at[task_id],
            map_index=self.map_index,
        )
        try:
            run_try(visit)
        except AirflowFailException as failure:
            self.attempt.failure = failure
        except CatalogError as error:
            return error
        else:
            self._turn += 1
            self.take(visit)
        return None


class OneTask(Load):
    """A load by `IngestFilesOperator`."""

    task_ids = ("load",)
    input_format = "json"

    def make_task(self, task_id: str) -> BaseOperator:
        return IngestFilesOperator(
            task_id=task_id,
            dag=dag(),
            dataset_id=self.place.dataset_id,
            sandbox_name=self.place.sandbox_name,
            files=self.files,
            input_format=self.input_format,
            max_parallel_uploads=1,
            external_id=self.external_id,
            on_rerun=self.attempt.on_rerun,
            deferrable=self.deferrable,
            poll_interval=POLL_SECONDS,
        )

    def take(self, visit: Visit) -> None:
        assert visit.xcoms["batch_id"] == visit.xcoms["return_value"]["id"]
        self.attempt.promoted_id = visit.xcoms["batch_id"]


class InChunks(OneTask):
    """The same where files of this format are large."""

    input_format = "multiline-json"


class Chain(Load):
    """A load by one task for each step, of which each is retried by itself."""

    task_ids = ("open", "upload", "complete", "wait")
    _batch_id = ""

    def clear(self, on_rerun: str, *, run_anew: bool) -> None:
        """Clear all four; the new batch replaces none, whatever is wished for."""
        super().clear("append", run_anew=run_anew)

    def make_task(self, task_id: str) -> BaseOperator:
        common: Any = {"task_id": task_id, "dag": dag(), "sandbox_name": self.place.sandbox_name}
        dataset: Any = {"dataset_id": self.place.dataset_id}
        batch: Any = {"batch_id": self._batch_id}
        if task_id == "open":
            return CreateBatchOperator(**common, **dataset, external_id=self.external_id)
        if task_id == "upload":
            return UploadFilesOperator(**common, **dataset, **batch, files=self.files, max_parallel_uploads=1)
        if task_id == "complete":
            return CompleteBatchOperator(**common, **batch)
        return BatchSensor(**common, **batch, poke_interval=POLL_SECONDS, deferrable=True)

    def take(self, visit: Visit) -> None:
        left = visit.xcoms["return_value"]
        if visit.task_id == "open":
            self._batch_id = left
        if visit.task_id == "wait":
            self.attempt.promoted_id = left["id"]
