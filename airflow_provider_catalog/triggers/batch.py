"""The wait for a batch, without a worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from airflow_provider_catalog.api.models import Batch

log = logging.getLogger(__name__)

KILL_SECONDS = 10.0

# An event loop holds its tasks only weakly.
_kills: set[asyncio.Task[None]] = set()


class Outcome(StrEnum):
    """How a wait ended, as it stands in the trigger's event."""

    PROMOTED = "promoted"
    FAILED = "failed"
    LOST_SIGHT = "lost sight"
    TIMED_OUT = "timed out"
    STOPPED = "stopped"


class BatchTrigger(BaseTrigger):
    """Wait until a batch is promoted, or until it is clear that it won't be.

    The event is a mapping: ``outcome`` (one of :class:`Outcome`), ``message``, and ``summary`` and ``origin`` when the batch has
    ended. Nothing that passes by itself ends the wait; see :mod:`airflow_provider_catalog.ingest.watch`. All triggers of one
    connection and sandbox share one poll; see :mod:`airflow_provider_catalog.triggers.poller`.

    :param batch_id: the batch.
    :param catalog_conn_id: the connection; only its name is stored.
    :param sandbox_name: another sandbox than the connection's.
    :param poll_interval: seconds between two looks at most, unless the platform is in trouble.
    :param stalled_grace: for how many seconds the batch may be stalled.
    :param max_unreachable: for how many seconds the platform may give no useful answer.
    :param deadline: when the sensor's time-out is over, in epoch seconds, so that a restart does not move it.
    :param hard_deadline: when the task's ``execution_timeout`` is over, in epoch seconds, if it has one.
    :param abort_on_kill: whether to abort the batch when somebody clears the task or marks it failed; Airflow tells since 3.3.
    """

    def __init__(
        self,
        *,
        batch_id: str,
        catalog_conn_id: str,
        sandbox_name: str | None,
        poll_interval: float,
        stalled_grace: float,
        max_unreachable: float,
        deadline: float,
        hard_deadline: float | None = None,
        abort_on_kill: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch_id = batch_id
        self.catalog_conn_id = catalog_conn_id
        self.sandbox_name = sandbox_name
        self.poll_interval = poll_interval
        self.stalled_grace = stalled_grace
        self.max_unreachable = max_unreachable
        self.deadline = deadline
        self.hard_deadline = hard_deadline
        self.abort_on_kill = abort_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its arguments, of which none is a secret."""
        names = (
            "batch_id",
            "catalog_conn_id",
            "sandbox_name",
            "poll_interval",
            "stalled_grace",
            "max_unreachable",
            "deadline",
            "hard_deadline",
            "abort_on_kill",
        )
        return f"{__name__}.BatchTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait together with the other triggers of the connection, and yield one event."""
        from airflow_provider_catalog.api.errors import BatchError, CatalogError
        from airflow_provider_catalog.ingest.watch import BatchWatch
        from airflow_provider_catalog.triggers.poller import attend
        from airflow_provider_catalog.triggers.waits import OverdueError, Wait

        watch = BatchWatch(self.batch_id, self.stalled_grace, self.max_unreachable)
        wait = Wait(self.batch_id, watch, self.poll_interval, self.deadline, self.hard_deadline)
        try:
            batch = await attend(self.catalog_conn_id, self.sandbox_name, wait)
        except BatchError as error:
            yield _event(Outcome.FAILED, str(error), error.batch)
        except CatalogError as error:
            yield _event(Outcome.FAILED if error.permanent else Outcome.LOST_SIGHT, str(error))
        except OverdueError as overdue:
            yield self._overdue(overdue.is_hard, watch.excuse)
        else:
            yield _event(Outcome.PROMOTED, f"Batch {batch.id} is promoted.", batch)

    def _overdue(self, is_hard: bool, excuse: str) -> TriggerEvent:
        if is_hard:
            text = f"The execution_timeout ended the wait for batch {self.batch_id}."
            return _event(Outcome.STOPPED, text + excuse)
        text = f"Batch {self.batch_id} was not promoted within the sensor's timeout."
        return _event(Outcome.TIMED_OUT, text + excuse)

    async def on_kill(self) -> None:
        """Abort the batch if the task was cleared or marked failed, and if the platform still allows it.

        What was done can't be undone, so when nobody can tell whether the task was killed, the batch is left alone: it can be
        reverted later, and a cleared task replaces it. Airflow calls this since 3.3.
        """
        if not self.abort_on_kill:
            return
        # Airflow tells the trigger once more with its next look, a second later, which would cancel what goes on here.
        work = asyncio.create_task(self._abort_if_killed())
        _kills.add(work)
        work.add_done_callback(_kills.discard)
        await asyncio.shield(work)

    async def _abort_if_killed(self) -> None:
        from airflow_provider_catalog.api.errors import ApiError, CatalogError
        from airflow_provider_catalog.ingest.ending import REFUSALS
        from airflow_provider_catalog.triggers.access import Access

        access = Access(self.catalog_conn_id, self.sandbox_name)
        try:
            async with asyncio.timeout(KILL_SECONDS):
                if not await self._is_killed():
                    log.info("Batch %s goes on, since the task was not killed.", self.batch_id)
                    return
                await access.ask(lambda client: client.abort_batch(self.batch_id))
            log.info("Batch %s is aborted, since the task was killed.", self.batch_id)
        except TimeoutError:
            log.warning("Batch %s was not aborted within %.0f s.", self.batch_id, KILL_SECONDS)
        except CatalogError as error:
            is_late = isinstance(error, ApiError) and error.failure.status in REFUSALS
            text = "It is too late to abort batch %s. %s" if is_late else "Batch %s could not be aborted. %s"
            log.warning(text, self.batch_id, error)
        finally:
            access.close()

    async def _is_killed(self) -> bool:
        from airflow_provider_catalog.api.errors import UnreachableError
        from airflow_provider_catalog.triggers.kills import is_killed

        try:
            return await is_killed(self.task_instance)
        except Exception as error:
            # Airflow's database or its API server is in trouble, each with exceptions of its own.
            raise UnreachableError(
                "Reading the task's state", f"{type(error).__name__}: {error}", sent=False
            ) from error


def _event(outcome: Outcome, message: str, batch: Batch | None = None) -> TriggerEvent:
    return TriggerEvent(
        {
            "outcome": outcome.value,
            "message": message,
            "summary": batch.summary if batch else None,
            "origin": batch.origin if batch else None,
        }
    )
