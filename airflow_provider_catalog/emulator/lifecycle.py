"""The life of a batch: which status follows which, on what occasion, and after how long.

A batch has a plan: statuses, each with the moment at which it begins. Some of those moments may lie in the
future, so that the status is a plain function of time and no timer runs anywhere. An action of the client cuts
off what has not begun and plans anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum


class Status(StrEnum):
    """The statuses that the emulator gives of its own accord; a test may force any other word."""

    LOADING = "loading"
    LOADED = "loaded"
    QUEUED = "queued"
    STAGING = "staging"
    PROCESSING = "processing"
    STAGED = "staged"
    SUCCESS = "success"
    ACTIVE = "active"
    FAILED = "failed"
    FAILURE = "failure"
    ABORTED = "aborted"
    ABANDONED = "abandoned"
    INACTIVE = "inactive"
    DELETED = "deleted"


class Action(StrEnum):
    """What a client may ask for with ``POST /batches/{id}?action=``."""

    COMPLETE = "COMPLETE"
    ABORT = "ABORT"
    FAIL = "FAIL"
    REVERT = "REVERT"


class Verdict(Enum):
    """What becomes of an action."""

    DO = "do"
    ALREADY_DONE = "already done"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Step:
    """A status, and the moment (seconds since the epoch) at which it begins."""

    at: float
    status: str


SUCCEEDED = frozenset({Status.SUCCESS, Status.ACTIVE})
FAILED = frozenset({Status.FAILED, Status.FAILURE})
RUNNING = frozenset(
    {Status.LOADED, Status.QUEUED, Status.STAGING, Status.PROCESSING, Status.STAGED, "retrying", "stalled"}
)
SIGNALLED = RUNNING | SUCCEEDED
LEFT = frozenset({Status.INACTIVE, Status.DELETED})

# When each status begins, as a share of the time from COMPLETE to the end.
PROMOTION: tuple[tuple[float, Status], ...] = (
    (0.0, Status.LOADED),
    (0.1, Status.QUEUED),
    (0.2, Status.STAGING),
    (0.4, Status.PROCESSING),
    (0.9, Status.STAGED),
)

# Which action is accepted in which statuses, and in which it changes nothing. All else is refused. COMPLETE may be
# repeated, the documentation says; of the others it says nothing, so a second one is refused.
ACCEPTED: dict[Action, frozenset[str]] = {
    Action.COMPLETE: frozenset({Status.LOADING}),
    Action.ABORT: frozenset({Status.LOADING}),
    Action.FAIL: frozenset({Status.LOADING}),
    Action.REVERT: SUCCEEDED,
}
UNCHANGED: dict[Action, frozenset[str]] = {Action.COMPLETE: SIGNALLED}


def verdict(action: Action, status: str, abort_until: str) -> Verdict:
    """Say what becomes of an action on a batch in `status`; `abort_until` is the setting of that name."""
    accepted = ACCEPTED[action]
    if action is Action.ABORT and abort_until == "finished":
        accepted = accepted | RUNNING
    if status in accepted:
        return Verdict.DO
    return Verdict.ALREADY_DONE if status in UNCHANGED.get(action, ()) else Verdict.REFUSE


def begun(plan: Sequence[Step], at: float) -> list[Step]:
    """Return the steps of a plan that have begun at a moment."""
    return list(plan[: bisect_right(plan, at, key=lambda step: step.at)])


def opening(at: float, abandon_after: float) -> list[Step]:
    """Plan the life of a new batch: it loads, and if nobody completes it, it is abandoned."""
    return [Step(at, Status.LOADING), Step(at + abandon_after, Status.ABANDONED)]


def promotion(at: float, seconds: float) -> list[Step]:
    """Plan what follows COMPLETE, up to the last status before the end."""
    return [Step(at + share * seconds, status) for share, status in PROMOTION]


def removal(at: float, deletion_after: float) -> list[Step]:
    """Plan what follows REVERT: inactive at once, deleted later."""
    return [Step(at, Status.INACTIVE), Step(at + deletion_after, Status.DELETED)]
