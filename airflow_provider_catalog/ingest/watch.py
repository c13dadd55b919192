"""What one look at a batch, or a look that failed, means for somebody who waits for its promotion.

A wait goes on through everything that may pass: a platform that is down or asks to slow down, answers that make no sense, a
token that ran out, a batch that the Catalog does not show yet, and statuses that nobody has documented. It ends when the
batch ends, when the batch stays stalled, when the platform goes on refusing to show it, or when nothing has been heard of
the platform for too long.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from airflow_provider_catalog.api.errors import (
    ApiError,
    AuthenticationError,
    BatchFailedError,
    BatchStalledError,
    CatalogError,
    LostSightError,
    NotFoundError,
)
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.retries import pause_after
from airflow_provider_catalog.api.statuses import RETRYING, STALLED, Phase, is_known

log = logging.getLogger(__name__)

DEFAULT_STALLED_GRACE = 3600.0
DEFAULT_MAX_UNREACHABLE = 1800.0

# A batch may be missing from the Catalog shortly after it was opened, and a permission may take a moment to spread.
REFUSAL_GRACE = 120.0
REFUSALS = frozenset({400, 403, 404})


@dataclass
class TroubleWatch:
    """What a wait remembers of looks that failed. All times are epoch seconds.

    :param subject: what is waited for, in words.
    :param max_unreachable: for how many seconds the platform may give no useful answer.
    """

    subject: str
    max_unreachable: float = DEFAULT_MAX_UNREACHABLE
    _quiet_until: float = field(default=0.0, init=False)
    _trouble: CatalogError | None = field(default=None, init=False)
    _trouble_since: float = field(default=0.0, init=False)
    _refused_since: float | None = field(default=None, init=False)

    @property
    def quiet_seconds(self) -> float:
        """For how many seconds from now the platform wants to be left alone; not more than 0 if it may be asked."""
        return self._quiet_until - time.monotonic()

    @property
    def is_refused(self) -> bool:
        """Whether the last look was refused, so that a further one must tell whether that lasts."""
        return self._refused_since is not None

    @property
    def excuse(self) -> str:
        """Since when there was no useful answer, and why, to be added to how a wait ended; empty if the last look worked."""
        if self._trouble is None:
            return ""
        since = datetime.fromtimestamp(self._trouble_since, UTC)
        return f" Nothing useful was heard of it since {since:%H:%M:%S} UTC. {self._trouble}"

    def heard(self) -> None:
        """Take note of a useful answer."""
        if self._trouble is not None and not isinstance(self._trouble, NotFoundError):
            log.info("Could look at %s again.", self.subject)
        self._trouble = self._refused_since = None

    def missed(self, error: CatalogError, now: float) -> None:
        """Take note of a look that failed. It is logged when trouble begins or becomes another one.

        :raises ApiError: the platform goes on refusing.
        :raises LostSightError: nothing useful was heard for too long.
        """
        # By a clock that nobody sets: one that is put back would put off the next look for as long.
        self._quiet_until = time.monotonic() + (pause_after(error) or 0.0)
        refused = is_refusal(error)
        self._refused_since = (self._refused_since or now) if refused else None
        before, self._trouble = self._trouble, error
        self._trouble_since = self._trouble_since if before else now
        if self._refused_since is not None and now - self._refused_since >= REFUSAL_GRACE:
            raise error
        silence = now - self._trouble_since
        if silence >= self.max_unreachable:
            text = f"Nothing useful was heard of {self.subject} for {_duration(silence)}. {error}"
            raise LostSightError(text) from error
        if type(before) is not type(error):
            self._complain(error)

    def _complain(self, error: CatalogError) -> None:
        if isinstance(error, NotFoundError):
            log.info("The Catalog does not show %s yet.", self.subject)
        else:
            log.warning("Could not look at %s, and goes on waiting. %s", self.subject, error)


class BatchWatch(TroubleWatch):
    """The memory of a wait for one batch. All times are epoch seconds.

    :param batch_id: the batch that is waited for.
    :param stalled_grace: for how many seconds a batch may be stalled.
    :param max_unreachable: for how many seconds the platform may give no useful answer.
    """

    def __init__(
        self,
        batch_id: str,
        stalled_grace: float = DEFAULT_STALLED_GRACE,
        max_unreachable: float = DEFAULT_MAX_UNREACHABLE,
    ) -> None:
        super().__init__(f"batch {batch_id}", max_unreachable)
        self.stalled_grace = stalled_grace
        self._status: str | None = None
        self._stalled_since: float | None = None

    def saw(self, batch: Batch, now: float) -> bool:
        """Take note of a look; True when the batch is promoted.

        :raises BatchFailedError: the platform gave the batch up.
        :raises BatchStalledError: the batch has been stalled for longer than the grace.
        """
        self.heard()
        if batch.status != self._status:
            self._announce(batch)
            self._status = batch.status
        if batch.phase is Phase.FAILED:
            raise BatchFailedError(batch)
        self._check_stalled(batch, now)
        return batch.phase is Phase.SUCCEEDED

    def _check_stalled(self, batch: Batch, now: float) -> None:
        if batch.status != STALLED:
            self._stalled_since = None
            return
        # The Catalog's own time outlives a restart of whoever waits; a clock ahead of ours tells nothing.
        first_seen = self._stalled_since or now
        self._stalled_since = min(first_seen, batch.updated or first_seen)
        if now - self._stalled_since >= self.stalled_grace:
            raise BatchStalledError(batch)

    def _announce(self, batch: Batch) -> None:
        if not is_known(batch.status):
            log.warning(
                "Batch %s has the unknown status %r, which is taken for running.", batch.id, batch.status
            )
        elif batch.status == RETRYING:
            log.warning(
                "Batch %s is retrying: the platform met an error and tries again. %s",
                batch.id,
                batch.explanation,
            )
        elif batch.status == STALLED:
            grace = _duration(self.stalled_grace)
            log.warning("Batch %s is stalled; the wait fails if that lasts for %s.", batch.id, grace)
        elif batch.phase is Phase.WAITING_ON_CLIENT:
            log.info(
                "Batch %s is loading: its completion has not been signalled, or not been noticed yet.",
                batch.id,
            )
        else:
            log.info("Batch %s is %s.", batch.id, batch.status)


def is_refusal(error: CatalogError) -> bool:
    """Whether the platform knows us and will not show what is asked for.

    A credential that is refused may be on its way to be renewed.
    """
    if not isinstance(error, ApiError) or isinstance(error, AuthenticationError):
        return False
    return error.failure.status in REFUSALS


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
