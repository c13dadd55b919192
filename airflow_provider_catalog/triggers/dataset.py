"""Waits for batches on a dataset, without a worker: for a sensor, and for an asset."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from contextlib import AbstractContextManager, aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers import base as airflow_triggers
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_catalog.hooks.catalog import DEFAULT_CONN_ID
from airflow_provider_catalog.hooks.durations import seconds
from airflow_provider_catalog.hooks.moments import epoch_seconds
from airflow_provider_catalog.triggers import streams
from airflow_provider_catalog.triggers.access import LAST_LOOK_SECONDS, Access
from airflow_provider_catalog.triggers.batch import Outcome

if TYPE_CHECKING:
    from airflow_provider_catalog.ingest.arrivals import Arrivals
    from airflow_provider_catalog.triggers.follower import Follower
    from airflow_provider_catalog.triggers.notes import Notes
    from airflow_provider_catalog.triggers.streams import Board, Look


class DatasetBatchTrigger(BaseTrigger):
    """Wait until enough batches on a dataset are promoted.

    The event is a mapping: ``outcome`` (one of :class:`~airflow_provider_catalog.triggers.batch.Outcome`), ``message``, and
    ``summary`` when they have arrived. Nothing that passes by itself ends the wait.

    :param dataset_id: the dataset.
    :param catalog_conn_id: the connection; only its name is stored.
    :param sandbox_name: another sandbox than the connection's.
    :param since: batches promoted at this moment or later count, epoch seconds.
    :param min_batches: so many batches, or
    :param min_records: so many records.
    :param poll_interval: seconds between two looks.
    :param max_unreachable: for how many seconds the platform may give no useful answer.
    :param deadline: when the sensor's time-out is over, in epoch seconds, so that a restart does not move it.
    :param hard_deadline: when the task's ``execution_timeout`` is over, in epoch seconds, if it has one.
    """

    def __init__(
        self,
        *,
        dataset_id: str,
        catalog_conn_id: str,
        sandbox_name: str | None,
        since: float,
        min_batches: int | None,
        min_records: int | None,
        poll_interval: float,
        max_unreachable: float,
        deadline: float,
        hard_deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dataset_id = dataset_id
        self.catalog_conn_id = catalog_conn_id
        self.sandbox_name = sandbox_name
        self.since = since
        self.min_batches = min_batches
        self.min_records = min_records
        self.poll_interval = poll_interval
        self.max_unreachable = max_unreachable
        self.deadline = deadline
        self.hard_deadline = hard_deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its arguments, of which none is a secret."""
        names = (
            "dataset_id",
            "catalog_conn_id",
            "sandbox_name",
            "since",
            "min_batches",
            "min_records",
            "poll_interval",
            "max_unreachable",
            "deadline",
            "hard_deadline",
        )
        return f"{__name__}.DatasetBatchTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the dataset from time to time, and yield one event."""
        from airflow_provider_catalog.api.errors import CatalogError
        from airflow_provider_catalog.ingest.arrivals import DatasetWatch, Goal

        goal = Goal(self.min_batches, self.min_records)
        watch = DatasetWatch(self.dataset_id, self.since, goal, self.max_unreachable)
        access = Access(self.catalog_conn_id, self.sandbox_name)
        try:
            # The sensor has just looked; the random part keeps waits that began together from looking together.
            await self._pause(random.uniform(0, self.poll_interval))  # noqa: S311
            while True:
                started = time.time()
                try:
                    limit = max(self._end - started, 0.0) + LAST_LOOK_SECONDS
                    arrivals = await access.ask(watch.look, limit)
                except CatalogError as error:
                    watch.missed(error, time.time())
                else:
                    if arrivals.reach(goal):
                        yield self._arrived(arrivals)
                        return
                if (event := self._overdue(max(started, time.time() - LAST_LOOK_SECONDS), goal)) is not None:
                    yield event
                    return
                await self._pause(max(self.poll_interval, watch.quiet_seconds))
        except CatalogError as error:
            yield _event(Outcome.FAILED if error.permanent else Outcome.LOST_SIGHT, str(error))
        finally:
            access.close()

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond a deadline, at which there is one more look."""
        await asyncio.sleep(max(0.0, min(seconds, self._end - time.time())))

    @property
    def _end(self) -> float:
        return self.deadline if self.hard_deadline is None else min(self.deadline, self.hard_deadline)

    def _arrived(self, arrivals: Arrivals) -> TriggerEvent:
        message = f"In dataset {self.dataset_id} there are {arrivals}."
        return _event(Outcome.PROMOTED, message, {"dataset_id": self.dataset_id, **arrivals.summary})

    def _overdue(self, now: float, goal: object) -> TriggerEvent | None:
        """Give the event of a wait whose last look began after a deadline, or took too long."""
        if self.hard_deadline is not None and now >= self.hard_deadline:
            text = f"The execution_timeout ended the wait for {goal} in dataset {self.dataset_id}."
            return _event(Outcome.STOPPED, text)
        if now >= self.deadline:
            text = f"Dataset {self.dataset_id} did not get {goal} within the sensor's timeout."
            return _event(Outcome.TIMED_OUT, text)
        return None


def _event(outcome: Outcome, message: str, summary: dict[str, Any] | None = None) -> TriggerEvent:
    return TriggerEvent({"outcome": outcome.value, "message": message, "summary": summary})


class DatasetBatchEventTrigger(BaseEventTrigger):
    """Make an asset event of each batch that is promoted on a dataset, for an ``AssetWatcher`` of Airflow 3.

    An event's payload, in ``extra["payload"]``, has ``dataset_id``, ``batch_id``, ``external_id``, ``completed`` (ISO text),
    ``records_read``, ``records_written`` and ``records_failed``; a count that the platform does not give is None.

    Each batch is given once, the oldest first, one every few seconds. Batches that were reverted or replaced before they were
    noticed are left out, and so are those into which the platform has merged older ones. What was given is noted in Airflow: in
    the asset's state store since 3.3, in a variable before that. A restart of the triggerer skips no batch; if it ended within
    a few seconds after an event, that one is given again unless ``dag_id`` can tell. Other arguments than before begin anew.

    Trouble does not end a trigger: it slows down, and goes on. All triggers of one connection, sandbox and
    ``poll_interval`` share one poll.

    :param dataset_id: the dataset.
    :param catalog_conn_id: the connection; only its name is stored.
    :param sandbox_name: another sandbox than the connection's.
    :param since: where to begin: a datetime or its ISO text. Unless given, when the trigger runs for the first time.
    :param poll_interval: seconds between two looks at the Catalog.
    :param dag_id: the DAG that is to run once for each batch. Airflow joins events into one run if they come faster than its
        scheduler looks; so the next event is given when this DAG has one more run, but not later than after 15 minutes. The
        number of its runs also tells after a restart whether the last event was stored.
    :raises ValueError: an argument is not usable.
    """

    def __init__(
        self,
        *,
        dataset_id: str,
        catalog_conn_id: str = DEFAULT_CONN_ID,
        sandbox_name: str | None = None,
        since: datetime | str | None = None,
        poll_interval: float = 60.0,
        dag_id: str | None = None,
    ) -> None:
        if not hasattr(airflow_triggers, "BaseEventTrigger"):
            from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

            raise AirflowOptionalProviderFeatureException(
                "DatasetBatchEventTrigger needs Airflow 3, since Airflow 2 has no asset watchers. "
                "Wait with a DatasetBatchSensor instead."
            )
        super().__init__()  # type: ignore[no-untyped-call]
        if seconds("poll_interval", poll_interval) == 0:
            raise ValueError("poll_interval: got 0, expected more than 0 seconds")
        if since is not None:
            epoch_seconds("since", since)
        self.dataset_id = dataset_id
        self.catalog_conn_id = catalog_conn_id
        self.sandbox_name = sandbox_name
        self.since = since.isoformat() if isinstance(since, datetime) else since
        self.poll_interval = float(poll_interval)
        self.dag_id = dag_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its arguments, of which none is a secret."""
        names = ("dataset_id", "catalog_conn_id", "sandbox_name", "since", "poll_interval", "dag_id")
        return f"{__name__}.DatasetBatchEventTrigger", {name: getattr(self, name) for name in names}

    def shared_stream_key(self) -> Hashable:
        """Say which triggers share one poll."""
        return ("adobe_catalog", self.catalog_conn_id, self.sandbox_name, self.poll_interval)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """Make the poll that Airflow 3.3 shares between triggers, and that it tells which events it has stored."""
        from airflow_provider_catalog.triggers.producer import producer_of

        return producer_of(cls(**kwargs)._board())

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Look]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Yield an event for each batch, where Airflow shares the poll."""
        with self._board() as board:
            async with aclosing(self._events(board, shared_stream)) as events:
                async for event in events:
                    yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each batch, where Airflow shares no poll."""
        with self._board() as board:
            async with (
                aclosing(streams.pooled_looks(board)) as looks,
                aclosing(self._events(board, looks)) as events,
            ):
                async for event in events:
                    yield event

    def _board(self) -> AbstractContextManager[Board]:
        return streams.board_of(self.shared_stream_key(), self.poll_interval)

    async def _events(self, board: Board, looks: AsyncIterator[Look]) -> AsyncGenerator[TriggerEvent, None]:
        async with aclosing(self._follower(board).payloads(looks)) as payloads:
            async for payload in payloads:
                yield TriggerEvent(payload)

    def _follower(self, board: Board) -> Follower:
        from airflow_provider_catalog.triggers.follower import Follower

        return Follower(
            dataset_id=self.dataset_id,
            catalog_conn_id=self.catalog_conn_id,
            sandbox_name=self.sandbox_name,
            since=None if self.since is None else epoch_seconds("since", self.since),
            board=board,
            notes=self._notes(),
            count_runs=self._count_runs if self.dag_id is not None else None,
        )

    def _notes(self) -> Notes:
        from airflow_provider_catalog.triggers.notes import AssetNotes, VariableNotes

        own = [self.dataset_id, self.catalog_conn_id, self.sandbox_name, self.since, self.dag_id]
        name = f"adobe_catalog_arrivals_{hashlib.sha256(json.dumps(own).encode()).hexdigest()[:16]}"
        store = getattr(self, "asset_state_store", None)
        return VariableNotes(name) if store is None else AssetNotes(store, name)

    async def _count_runs(self) -> int:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
        from asgiref.sync import sync_to_async

        return await sync_to_async(RuntimeTaskInstance.get_dr_count)(dag_id=str(self.dag_id))
