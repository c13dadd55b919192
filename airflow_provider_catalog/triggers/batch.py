"""The wait for a batch, without a worker."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_catalog.hooks.catalog import CatalogHook

if TYPE_CHECKING:
    from airflow_provider_catalog.api.client import CatalogClient
    from airflow_provider_catalog.api.models import Batch

log = logging.getLogger(__name__)

POLL_THREADS = 4
KILL_SECONDS = 10.0

# An event loop holds its tasks only weakly.
_kills: set[asyncio.Task[None]] = set()

T = TypeVar("T")


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
    ended.
    Nothing that passes by itself ends the wait; see :mod:`airflow_provider_catalog.ingest.watch`.

    :param batch_id: the batch.
    :param catalog_conn_id: the connection; only its name is stored.
    :param sandbox_name: another sandbox than the connection's.
    :param poll_interval: seconds between two looks.
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
        """Look at the batch from time to time, and yield one event."""
        from airflow_provider_catalog.api.errors import BatchError, CatalogError
        from airflow_provider_catalog.ingest.watch import BatchWatch

        watch = BatchWatch(self.batch_id, self.stalled_grace, self.max_unreachable)
        looker = _Looker(self.catalog_conn_id, self.sandbox_name)
        try:
            # The sensor has just looked; the random part keeps waits that began together from looking together.
            await self._pause(random.uniform(0, self.poll_interval))  # noqa: S311
            while True:
                started = time.time()
                try:
                    batch = await looker.look(self.batch_id)
                except CatalogError as error:
                    watch.missed(error, time.time())
                else:
                    if watch.saw(batch, time.time()):
                        yield _event(Outcome.PROMOTED, f"Batch {batch.id} is promoted.", batch)
                        return
                if (event := self._overdue(started)) is not None:
                    yield event
                    return
                await self._pause(max(self.poll_interval, watch.not_before - time.time()))
        except BatchError as error:
            yield _event(Outcome.FAILED, str(error), error.batch)
        except CatalogError as error:
            yield _event(Outcome.FAILED if error.permanent else Outcome.LOST_SIGHT, str(error))
        finally:
            looker.close()

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

        looker = _Looker(self.catalog_conn_id, self.sandbox_name)
        try:
            async with asyncio.timeout(KILL_SECONDS):
                if not await self._is_killed():
                    log.info("Batch %s goes on, since the task was not killed.", self.batch_id)
                    return
                await looker.abort(self.batch_id)
            log.info("Batch %s is aborted, since the task was killed.", self.batch_id)
        except TimeoutError:
            log.warning("Batch %s was not aborted within %.0f s.", self.batch_id, KILL_SECONDS)
        except CatalogError as error:
            is_late = isinstance(error, ApiError) and error.failure.status in REFUSALS
            text = "It is too late to abort batch %s. %s" if is_late else "Batch %s could not be aborted. %s"
            log.warning(text, self.batch_id, error)
        finally:
            looker.close()

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

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond a deadline, at which there is one more look."""
        ends = [self.deadline] if self.hard_deadline is None else [self.deadline, self.hard_deadline]
        await asyncio.sleep(max(0.0, min(seconds, min(ends) - time.time())))

    def _overdue(self, now: float) -> TriggerEvent | None:
        """Give the event of a wait whose last look began after a deadline."""
        if self.hard_deadline is not None and now >= self.hard_deadline:
            return _event(Outcome.STOPPED, f"The execution_timeout ended the wait for batch {self.batch_id}.")
        if now >= self.deadline:
            return _event(
                Outcome.TIMED_OUT, f"Batch {self.batch_id} was not promoted within the sensor's timeout."
            )
        return None


class _Looker:
    """Looks at or aborts a batch for one trigger, in threads; connects anew after trouble, in case the connection has changed."""

    def __init__(self, catalog_conn_id: str, sandbox_name: str | None) -> None:
        self._hook = CatalogHook(catalog_conn_id, sandbox_name, attempts=1)
        self._client: CatalogClient | None = None
        self._masked: str | None = None

    async def look(self, batch_id: str) -> Batch:
        """Look once.

        :raises CatalogError: it did not work, for whatever reason.
        """
        from airflow_provider_catalog.api.errors import CatalogError

        try:
            client = await self._connected()
            return await _in_thread(lambda: client.get_batch(batch_id))
        except CatalogError:
            self.close()
            raise

    async def abort(self, batch_id: str) -> None:
        """Give up a batch.

        :raises CatalogError: it did not work, for whatever reason.
        """
        client = await self._connected()
        await _in_thread(lambda: client.abort_batch(batch_id))

    async def _connected(self) -> CatalogClient:
        client = self._client = self._client or await self._connect()
        await self._mask(await _in_thread(client.auth.token))
        return client

    async def _connect(self) -> CatalogClient:
        from airflow_provider_catalog.api.errors import CatalogError, UnreachableError

        try:
            return await self._hook.connect()
        except CatalogError:
            raise
        except Exception as error:
            # Airflow's database, its API server or a secrets backend is in trouble, each with exceptions of its own.
            call = f"Reading the connection {self._hook.catalog_conn_id!r}"
            raise UnreachableError(call, f"{type(error).__name__}: {error}", sent=False) from error

    def close(self) -> None:
        """Let go of the client."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _mask(self, token: str) -> None:
        """Mask each token once; in a triggerer this must not be asked for in a thread, nor in a child task."""
        from airflow.providers.common.compat.sdk import mask_secret
        from asgiref.sync import sync_to_async

        if token != self._masked:
            await sync_to_async(mask_secret)(token)
            self._masked = token


@cache
def _poll_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(POLL_THREADS, thread_name_prefix="adobe-catalog")


async def _in_thread(function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_poll_threads(), function)


def _event(outcome: Outcome, message: str, batch: Batch | None = None) -> TriggerEvent:
    return TriggerEvent(
        {
            "outcome": outcome.value,
            "message": message,
            "summary": batch.summary if batch else None,
            "origin": batch.origin if batch else None,
        }
    )
