"""A batch: what the client said when it was opened, what happened to it since, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .lifecycle import SUCCEEDED, Status, Step, begun
from .uploads import Upload

Json = dict[str, Any]


@dataclass(frozen=True)
class StoredFile:
    """A file of a batch, or about one: its remote path, its size in bytes, and the name under which the disk has it.

    `chunked` says whether it was uploaded as a large file.
    """

    path: str
    size: int
    stored_as: str
    chunked: bool = False


@dataclass(frozen=True)
class Outcome:
    """How the ingestion of a batch went: errors, counts where there are any, and the files that tell more.

    `rewritten` takes the place of those uploads of which only some rows were ingested.
    """

    succeeded: bool
    errors: tuple[Json, ...] = ()
    metrics: dict[str, int] = field(default_factory=dict)
    reports: tuple[StoredFile, ...] = ()
    rewritten: tuple[StoredFile, ...] = ()

    @property
    def written(self) -> tuple[StoredFile, ...]:
        """All files that the platform itself has written."""
        return self.reports + self.rewritten


@dataclass(frozen=True)
class Forced:
    """A state that a test holds a batch in, whatever time does; None leaves a field alone.

    `at` is when the newest field was forced. `held_since` is when the batch came to be held in a status: until it is
    released, nothing of its plan begins that had not begun by then.
    """

    at: float
    status: str | None = None
    errors: tuple[Json, ...] | None = None
    metrics: Json | None = None
    tags: Json | None = None
    held_since: float | None = None


@dataclass(frozen=True)
class Opening:
    """What a client asks for with ``POST /batches``."""

    dataset_id: str
    input_format: Json
    external_id: str | None = None
    tags: Json = field(default_factory=dict)
    replay: Json | None = None
    diagnostics: bool = False
    allowed_percent: float = 0.0


@dataclass
class Batch:
    """One batch of one sandbox. Moments are seconds since the epoch on the emulator's clock."""

    id: str
    sandbox: str
    opening: Opening
    created_at: float
    plan: list[Step]
    outcome: Outcome | None = None
    forced: Forced | None = None
    files: dict[str, StoredFile] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    @property
    def external_id(self) -> str:
        """The client's name for the batch, which defaults to its id."""
        return self.opening.external_id or self.id

    @property
    def course(self) -> list[Step]:
        """The plan as far as it counts: all of it, unless a test holds the batch in a status."""
        held_since = self.forced.held_since if self.forced else None
        return self.plan if held_since is None else begun(self.plan, held_since)

    def begun(self, at: float) -> list[Step]:
        """Return the statuses that the batch had up to a moment, in order."""
        return begun(self.course, at)

    def replan(self, at: float, steps: Iterable[Step]) -> None:
        """Cut off what has not begun yet, plan `steps` instead, and end what a test had forced."""
        self.plan = [*self.begun(at), *steps]
        self.forced = None

    def moment_of(self, statuses: Iterable[str]) -> float | None:
        """Return when the batch first gets, or got, one of these statuses."""
        return next((step.at for step in self.course if step.status in statuses), None)

    @property
    def signalled_at(self) -> float | None:
        """When the client said COMPLETE."""
        return self.moment_of({Status.LOADED})

    @property
    def succeeded_at(self) -> float | None:
        """When the batch is, or was, promoted."""
        if self.forced and self.forced.status in SUCCEEDED:
            return self.forced.at
        return self.moment_of(SUCCEEDED)

    @property
    def parts(self) -> dict[str, StoredFile]:
        """What the batch consists of once it is promoted, by path."""
        rewritten = self.outcome.rewritten if self.outcome else ()
        return {**self.files, **{file.path: file for file in rewritten}}

    @property
    def predecessors(self) -> tuple[list[str], list[str]]:
        """The batches that this one replaces: by id, and by external id."""
        replay = self.opening.replay or {}
        return replay.get("predecessors", []), replay.get("predecessorsByExternalId", [])
