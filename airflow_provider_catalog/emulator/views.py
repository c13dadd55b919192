"""What the pages show, put together from the platform's state; how it looks is said in ``web/``."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from .batches import Batch, Json
from .catalog import batch_document
from .diagnostics import reports_of
from .journal import Entry
from .lifecycle import FAILED, LEFT, SUCCEEDED, Status, Step
from .platform import Platform

NEWEST = 20
PAGE = 50
MOST = 100

_FAILED = FAILED | {Status.ABORTED, Status.ABANDONED}


class Tone(StrEnum):
    """What a status means to whoever waits for the batch; it decides the colour."""

    OPEN = "open"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"


MEANINGS = {
    "loading": "Open: files can be put into it until the client signals COMPLETE.",
    "loaded": "The client has signalled COMPLETE. The platform takes it from here.",
    "queued": "The platform will look at the files soon.",
    "staging": "The platform is reading the files.",
    "processing": "The platform is holding the records to the dataset's schema.",
    "staged": "The records are ready to be written to the dataset.",
    "retrying": "The platform has met a problem and tries again.",
    "stalled": "The platform has met a problem and does not get on.",
    "success": "Promoted: the records are in the dataset.",
    "active": "Promoted: the records are in the dataset.",
    "failed": "Refused: nothing was written to the dataset. The errors say why.",
    "failure": "Refused: nothing was written to the dataset. The errors say why.",
    "aborted": "Given up by the client before it was promoted.",
    "abandoned": "Nobody has signalled COMPLETE in time.",
    "inactive": "Promoted once, then reverted or replaced: the records are no longer in the dataset.",
    "deleted": "Promoted once, then reverted or replaced: the records are no longer in the dataset.",
}
"""Each status in words."""

RECORD_COUNTS = {
    "inputRecordCount": "Records read",
    "outputRecordCount": "Records written",
    "failedRecordCount": "Records failed",
}


def tone_of(status: str) -> Tone:
    """Say what a status means. One that nobody has documented counts as running."""
    tones = ((SUCCEEDED, Tone.SUCCEEDED), (_FAILED, Tone.FAILED), (LEFT, Tone.GONE), ({"loading"}, Tone.OPEN))
    return next((tone for statuses, tone in tones if status.lower() in statuses), Tone.RUNNING)


@dataclass(frozen=True)
class Dataset:
    """A dataset of a sandbox, with the body that the Catalog has of it."""

    sandbox: str
    id: str
    body: Json

    @property
    def name(self) -> str:
        """Its name; its id if it has none."""
        return str(self.body.get("name") or self.id)

    @property
    def url(self) -> str:
        """Where its page is. Links in Airflow have this address."""
        return f"/ui/{quote(self.sandbox, safe='')}/datasets/{quote(self.id, safe='')}"


@dataclass(frozen=True)
class DatasetRow:
    """A dataset, how many batches it has of each kind, and when the newest was opened: None if there is none."""

    dataset: Dataset
    tones: Counter[Tone]
    newest: float | None

    @property
    def under_way(self) -> int:
        """How many batches have not ended."""
        return self.tones[Tone.OPEN] + self.tones[Tone.RUNNING]


@dataclass(frozen=True)
class BatchRow:
    """A batch and how the Catalog shows it at this moment."""

    batch: Batch
    dataset: Dataset
    document: Json

    @property
    def url(self) -> str:
        """Where its page is."""
        return f"/ui/{quote(self.batch.sandbox, safe='')}/batches/{quote(self.batch.id, safe='')}"

    @property
    def status(self) -> str:
        """Its status: any word that a test has forced."""
        return str(self.document["status"])

    @property
    def tone(self) -> Tone:
        """What the status means."""
        return tone_of(self.status)

    @property
    def metrics(self) -> Json:
        """The counts, once there are any: numbers, or what a test has put in their place."""
        return dict(self.document.get("metrics", {}))


@dataclass(frozen=True)
class FileRow:
    """A file, its size in bytes, and whether all of it has arrived."""

    path: str
    size: int
    complete: bool = True


@dataclass(frozen=True)
class StepRow:
    """A status that a batch has had, since when, and for how long if that is over."""

    status: str
    at: float
    seconds: float | None

    @property
    def tone(self) -> Tone:
        """What the status means."""
        return tone_of(self.status)


@dataclass(frozen=True)
class RequestRow:
    """The same request so many times in a row, with the same answer: the newest one of them."""

    entry: Entry
    times: int

    @property
    def refused(self) -> bool:
        """Whether it had an answer that no client likes, or ended without any. One that is under way has not."""
        status = self.entry.status
        return status == "dropped" or (status is not None and status >= 400)


def dataset_row(platform: Platform, dataset: Dataset, batches: Sequence[Batch]) -> DatasetRow:
    """Return a dataset with the counts of its batches."""
    now = platform.clock.now()
    # A clock that was sped up may be behind after a restart.
    begun = [each for each in batches if each.created_at <= now]
    tones = Counter(tone_of(platform.batches.status(each, now)) for each in begun)
    return DatasetRow(dataset, tones, max((each.created_at for each in begun), default=None))


def dataset_rows(platform: Platform, sandbox: str) -> list[DatasetRow]:
    """Return the datasets of a sandbox."""
    batches = defaultdict(list)
    for each in platform.batches.in_sandbox(sandbox):
        batches[each.opening.dataset_id].append(each)
    datasets = (Dataset(sandbox, name, body) for name, body in platform.datasets.all(sandbox).items())
    return [dataset_row(platform, each, batches[each.id]) for each in datasets]


def batch_rows(platform: Platform, batches: Iterable[Batch]) -> list[BatchRow]:
    """Return batches in the given order, but for those that the Catalog does not show."""
    documents = ((each, batch_document(platform, each, platform.clock.now())) for each in batches)
    return [BatchRow(each, dataset_of(platform, each), document) for each, document in documents if document]


def dataset_of(platform: Platform, batch: Batch) -> Dataset:
    """Return the dataset of a batch."""
    name = batch.opening.dataset_id
    return Dataset(batch.sandbox, name, platform.datasets.get(batch.sandbox, name) or {})


def newest_first(batches: Iterable[Batch]) -> list[Batch]:
    """Return batches in order of their creation, the last one first."""
    return sorted(batches, key=lambda each: (each.created_at, each.id), reverse=True)


def file_rows(batch: Batch) -> list[FileRow]:
    """Return the files of a batch, and before them what has arrived of those that are not completed."""
    uploads = [FileRow(each.path, each.received, complete=False) for each in batch.uploads.values()]
    return uploads + [FileRow(each.path, each.size) for each in batch.files.values()]


def report_rows(platform: Platform, batch: Batch) -> list[FileRow]:
    """Return the diagnostics of a batch: their names only, since they hold records."""
    reports = reports_of(batch, platform.clock.now(), platform.settings.diagnostics_retention)
    return [FileRow(each.path, each.size) for each in reports]


def step_rows(platform: Platform, batch: Batch) -> list[StepRow]:
    """Return the statuses that a batch has had so far, the newest last."""
    steps = platform.batches.steps(batch, platform.clock.now())
    if batch.forced and batch.forced.status:
        steps = [*steps, Step(batch.forced.at, batch.forced.status)]
    ends: Sequence[Step | None] = [*steps[1:], None]
    return [
        StepRow(step.status, step.at, end.at - step.at if end else None)
        for step, end in zip(steps, ends, strict=True)
    ]


def request_rows(platform: Platform, batch: Batch) -> tuple[list[RequestRow], int]:
    """Return the requests about a batch, the newest first, and how many older ones are left out."""
    entries = [each for each in reversed(platform.journal.entries()) if _is_about(each, batch)]
    alike = itertools.groupby(entries, lambda each: (each.method, each.path, each.query, each.status))
    groups = (list(group) for _, group in alike)
    rows = [RequestRow(group[0], len(group)) for group in itertools.islice(groups, MOST)]
    return rows, len(entries) - sum(row.times for row in rows)


def _is_about(entry: Entry, batch: Batch) -> bool:
    """Say whether a request names a batch: in its path, in its query, or by the external id that it opens it with."""
    if batch.id in entry.path:
        return True
    for name, value in entry.query:
        if batch.id in value or (name == "externalId" and value == batch.external_id):
            return True
    body = entry.request_body
    return isinstance(body, dict) and body.get("externalId") == batch.external_id
