"""One trigger's wait for its batch, as the poll that it shares with others sees it."""

from __future__ import annotations

import asyncio
import contextvars
import time
from dataclasses import dataclass, field

from airflow_provider_catalog.api.errors import CatalogError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest.watch import BatchWatch


class OverdueError(Exception):
    """A deadline has passed.

    :param is_hard: whether that was the task's ``execution_timeout``.
    """

    def __init__(self, *, is_hard: bool) -> None:
        super().__init__()
        self.is_hard = is_hard


@dataclass(eq=False)
class Wait:
    """One trigger's wait for its batch. The deadlines are epoch seconds.

    :param batch_id: the batch.
    :param watch: the memory of the wait.
    :param poll_interval: seconds between two looks.
    :param deadline: when the wait is over; there is a last look then.
    :param hard_deadline: when the task's own time is over, if it has a limit.

    ``turn`` is when the next look is due, apart from the one at the deadline. ``failures`` is how many looks at it have failed in
    a row, the last one at ``failed_at``. These times are by the monotonic clock.
    """

    batch_id: str
    watch: BatchWatch
    poll_interval: float
    deadline: float
    hard_deadline: float | None = None
    calls: asyncio.Queue[asyncio.Future[None] | Batch | Exception] = field(default_factory=asyncio.Queue)
    turn: float = field(default=0.0, init=False)
    failures: int = field(default=0, init=False)
    failed_at: float = field(default=0.0, init=False)
    # Of the trigger, so that what is said about its batch goes to the log of its task.
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    _limit: asyncio.Timeout | None = field(default=None, init=False)

    @property
    def end(self) -> float:
        """The first of the deadlines."""
        return self.deadline if self.hard_deadline is None else min(self.deadline, self.hard_deadline)

    @property
    def seconds_left(self) -> float:
        """How far away that is."""
        return max(self.end - time.time(), 0.0)

    def limit(self, grace: float) -> asyncio.Timeout:
        """Make what ends the wait so many seconds after its deadline."""
        self._limit = asyncio.timeout(self.seconds_left + grace)
        return self._limit

    def expects_nothing_for(self, seconds: float) -> None:
        """Take note that there will be no look for so long. A wait that is over earlier won't get its last one."""
        if self.seconds_left < seconds and self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self.seconds_left)

    def saw(self, batch: Batch, now: float) -> bool:
        """Take note of a look; True if the wait is over."""
        try:
            if not self.context.run(self.watch.saw, batch, now):
                return False
            self.calls.put_nowait(batch)
        except Exception as error:  # noqa: BLE001 - it ends this wait, and must not end the others
            self.calls.put_nowait(error)
        return True

    def missed(self, error: CatalogError, now: float) -> bool:
        """Take note of a look that failed; True if the wait is over."""
        try:
            self.context.run(self.watch.missed, error, now)
        except Exception as verdict:  # noqa: BLE001 - as above
            self.calls.put_nowait(verdict)
            return True
        return False

    def overran(self, started: float) -> bool:
        """Take note of when a look began; True if the wait is over by that."""
        if started < self.end:
            return False
        self.calls.put_nowait(self.overdue)
        return True

    @property
    def overdue(self) -> OverdueError:
        """How the wait ends when its time is over."""
        return OverdueError(is_hard=self.end == self.hard_deadline)
