"""What the status of a batch means: the one table.

The names are the union of what Adobe's Catalog and Batch Ingestion references and the two status tables of its ingestion
guides list. Adobe writes them in lower case on the wire and in title case in its guides, so they are compared without case.
"""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """Where a batch is on its way."""

    WAITING_ON_CLIENT = "the platform waits for files and for the signal that the batch is complete"
    RUNNING = "the platform works on the batch"
    SUCCEEDED = "the batch is promoted: its data are in the dataset"
    FAILED = "the platform gave the batch up"
    SUCCEEDED_ONCE = "the batch was replaced, reverted or moved to an archive after it had been promoted"


RETRYING = "retrying"
STALLED = "stalled"

PHASES: dict[str, Phase] = {
    "loading": Phase.WAITING_ON_CLIENT,
    "loaded": Phase.RUNNING,
    "queued": Phase.RUNNING,
    "staging": Phase.RUNNING,
    "processing": Phase.RUNNING,
    "staged": Phase.RUNNING,
    RETRYING: Phase.RUNNING,
    STALLED: Phase.RUNNING,
    "active": Phase.SUCCEEDED,
    "success": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "failure": Phase.FAILED,
    "aborted": Phase.FAILED,
    "abandoned": Phase.FAILED,
    "inactive": Phase.SUCCEEDED_ONCE,
    "deleted": Phase.SUCCEEDED_ONCE,
    "archived": Phase.SUCCEEDED_ONCE,
    "retained": Phase.SUCCEEDED_ONCE,
}


def is_known(status: str) -> bool:
    """Whether the status is one that Adobe documents."""
    return status.lower() in PHASES


def phase_of(status: str) -> Phase:
    """Give the phase of a status; one that nobody documents counts as running."""
    return PHASES.get(status.lower(), Phase.RUNNING)
