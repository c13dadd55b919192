"""What one event trigger does with what the poll of its stream finds: each batch becomes one event, and is noted.

An event is given, then Airflow stores it, then it is noted as done with. Where a triggerer dies in between, only what Airflow
lets a trigger find out can tell whether the event was stored:

* With a ``dag_id`` the number of the DAG's runs is noted before an event is given. If there is one more after the restart, the
  event was stored.
* Without one it is given again: rather once too often than never.

Airflow joins events into one run of a DAG if they come before its scheduler has looked. So events are given one by one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.assets.events import batch_event
from airflow_provider_catalog.triggers import streams
from airflow_provider_catalog.triggers.access import connect, mask_token

if TYPE_CHECKING:
    from airflow_provider_catalog.api.models import Batch
    from airflow_provider_catalog.ingest.arrivals import ArrivalLog
    from airflow_provider_catalog.triggers.notes import Notes
    from airflow_provider_catalog.triggers.streams import Board, Look

log = logging.getLogger(__name__)

EVENT_GAP = 2.0
"""Seconds between two events, in which a scheduler that is well has looked."""

SETTLE_SECONDS = 10.0
"""After so many seconds an event is taken to be stored, where Airflow does not tell (before 3.3)."""

RUN_PATIENCE = 900.0
"""For so many seconds a run of the DAG is waited for after an event. The DAG may be paused, or have too many active runs."""

RESUME_PATIENCE = 30.0
"""For so many seconds after a restart it is waited for a run that tells that an event from before has been stored."""


@dataclass(frozen=True)
class _Given:
    """An event that was given, and of which it is not known yet whether Airflow has stored it.

    :param runs: how many runs the DAG had before, if it is waited for one.
    :param look: the occasion on which it was given; None if that was before a restart.
    :param at: when that was, or the restart.
    """

    batch_id: str
    completed: float
    runs: int | None
    look: Look | None
    at: float


class Follower:
    """Follows one dataset for one trigger. All of it goes on in the trigger's own coroutine.

    :param dataset_id: the dataset.
    :param catalog_conn_id: the connection.
    :param sandbox_name: another sandbox than the connection's.
    :param since: where to begin if there are no notes, epoch seconds; None for now.
    :param board: that of the stream.
    :param notes: what survives a restart.
    :param count_runs: counts the runs of the DAG that is to run once for each event; None if there is no such DAG.
    """

    def __init__(
        self,
        *,
        dataset_id: str,
        catalog_conn_id: str,
        sandbox_name: str | None,
        since: float | None,
        board: Board,
        notes: Notes,
        count_runs: Callable[[], Awaitable[int]] | None,
    ) -> None:
        self.dataset_id = dataset_id
        self.log: ArrivalLog
        self._conn_id = catalog_conn_id
        self._sandbox_name = sandbox_name
        self._since = since
        self._board = board
        self._notes = notes
        self._count_runs = count_runs
        self._given: _Given | None = None
        self._is_noted = True

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do before the next sweep."""
        return self.log.waiting > 0 or self._given is not None or not self._is_noted

    async def payloads(self, looks: AsyncIterator[Look]) -> AsyncGenerator[dict[str, Any], None]:
        """Give what is to become an event, for ever."""
        await self._restore()
        with self._board.followed_by(self):
            async for look in looks:
                await self._keep_connected(look)
                self._take(look)
                await self._settle()
                batch = await self._give(look)
                if batch is not None:
                    yield batch_event(batch, self.dataset_id)

    async def _restore(self) -> None:
        from airflow_provider_catalog.ingest.arrivals import ArrivalLog

        while (state := await self._read_notes()) is None:
            await asyncio.sleep(streams.TICK)
        if not state:
            self.log = ArrivalLog(time.time() if self._since is None else self._since)
            # Else a restart before the first batch would begin later than this one does.
            await self._note()
            return
        self.log = ArrivalLog.restored(state)
        given = state.get("given")
        if given:
            self._given = _Given(given["batch_id"], given["completed"], given["runs"], None, time.monotonic())

    async def _read_notes(self) -> Mapping[str, Any] | None:
        """Give the notes, an empty mapping if there are none yet, or None if Airflow did not answer."""
        try:
            return await self._notes.read() or {}
        except Exception as error:  # noqa: BLE001 - of Airflow's API server, its database or a secrets backend
            log.warning("Could not read the notes on dataset %s, and tries again. %s", self.dataset_id, error)
            return None

    async def _note(self) -> bool:
        """Write the notes, and say whether that worked."""
        given = self._given
        state = self.log.state | {
            "given": {"batch_id": given.batch_id, "completed": given.completed, "runs": given.runs}
            if given is not None and given.runs is not None
            else None
        }
        try:
            await self._notes.write(state)
        except Exception as error:  # noqa: BLE001 - of Airflow's API server, its database or a secrets backend
            log.warning(
                "Could not write the notes on dataset %s, and tries again. %s", self.dataset_id, error
            )
            self._is_noted = False
        else:
            self._is_noted = True
        return self._is_noted

    async def _keep_connected(self, look: Look) -> None:
        """Put a client on the board if there is none, and have new tokens masked."""
        from airflow_provider_catalog.api.errors import CatalogError

        board = self._board
        if board.connecting.locked() or time.monotonic() < board.connect_after:
            return
        try:
            async with board.connecting:
                if board.client is None:
                    client = await connect(self._conn_id, self._sandbox_name)
                    board.masked = await mask_token(client, board.masked)
                    board.client = client
                    board.wake()
                elif look.begins:
                    board.masked = await mask_token(board.client, board.masked)
        except CatalogError as error:
            board.connect_after = time.monotonic() + board.poll_interval
            log.warning(
                "Could not connect for new batches, and tries again in %.0f s. %s", board.poll_interval, error
            )

    def _take(self, look: Look) -> None:
        if look.begins:
            self.log.begin(look.at)
        self.log.take((batch for batch in look.batches if self.dataset_id in batch.dataset_ids), look.at)
        if look.ends:
            self.log.end()

    async def _settle(self) -> None:
        """Note the event that was given as done with, once it is."""
        if not self._is_noted:
            await self._note()
        given = self._given
        if given is None:
            return
        age = time.monotonic() - given.at
        if await (
            self._was_stored(given) if given.look is None else self._is_settled(given, given.look, age)
        ):
            self.log.settle(given.batch_id, given.completed)
            self._given = None
            await self._note()
        elif given.look is None and age >= RESUME_PATIENCE:
            log.warning("Batch %s is given again, since no run has followed its event.", given.batch_id)
            self._given = None

    async def _was_stored(self, given: _Given) -> bool:
        runs = await self._runs()
        return runs is not None and given.runs is not None and runs > given.runs

    async def _is_settled(self, given: _Given, look: Look, age: float) -> bool:
        if look.settled is False:
            return False
        if given.runs is not None:
            return age >= RUN_PATIENCE or await self._was_stored(given)
        return age >= (EVENT_GAP if look.settled else SETTLE_SECONDS)

    async def _give(self, look: Look) -> Batch | None:
        """Choose the batch that becomes an event now, if there is one."""
        batch = self.log.next()
        if batch is None or self._given is not None or not self._is_noted:
            return None
        runs = None
        if self._count_runs is not None and (runs := await self._runs()) is None:
            return None
        self._given = _Given(batch.id, batch.completed or 0.0, runs, look, time.monotonic())
        if runs is not None and not await self._note():
            self._given = None
            return None
        return batch

    async def _runs(self) -> int | None:
        if self._count_runs is None:
            return None
        try:
            return await self._count_runs()
        except Exception as error:  # noqa: BLE001 - of Airflow's API server or its database
            log.warning("Could not count the runs of the DAG, and tries again. %s", error)
            return None
