"""One poll for all event triggers that watch datasets through the same connection and sandbox.

Airflow runs all triggers of a triggerer in one event loop. A stream has a board, on which the triggers say what they look for
and put a client, and one task that polls. That task is nobody's: it must not ask anything of Airflow, so a client is made by one
of the triggers, in its own coroutine, whenever the board has none. The task runs for ever and lets no trouble end it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_catalog.triggers.access import CALLS, answered

if TYPE_CHECKING:
    from airflow_provider_catalog.api.client import CatalogClient
    from airflow_provider_catalog.api.errors import CatalogError
    from airflow_provider_catalog.api.models import Batch
    from airflow_provider_catalog.triggers.follower import Follower

log = logging.getLogger(__name__)

TICK = 0.5
"""Seconds between two moments at which triggers can go on that have something to do."""

LONGEST_BACKOFF = 8

LOOKING = "Looking for new batches"


@dataclass(eq=False)
class Look:
    """What the poll hands to all triggers of a stream: a page of batches, or nothing but the chance to go on.

    :param batches: a page of promoted batches on any of the datasets.
    :param begins: whether a sweep over all of them begins here.
    :param ends: whether one has come to its end.
    :param settled: whether Airflow has stored the events that were given on this occasion; None where it does not tell.
    :param at: when that was, since a trigger may be held up before it takes note; seconds on the monotonic clock.
    """

    batches: tuple[Batch, ...] = ()
    begins: bool = False
    ends: bool = False
    settled: bool | None = None
    at: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class Board:
    """What the triggers of one stream and its poll tell each other."""

    poll_interval: float
    tells_settled: bool = False
    followers: set[Follower] = field(default_factory=set)
    client: CatalogClient | None = None
    masked: str | None = None
    connecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    connect_after: float = 0.0
    pool: _Pool | None = None
    users: int = 0
    _next_sweep: float = 0.0
    _failures: int = 0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def followed_by(self, follower: Follower) -> Iterator[None]:
        """Have a dataset looked at, soon and then from time to time."""
        self.followers.add(follower)
        if not self._failures:
            self._next_sweep = 0.0
        self.wake()
        try:
            yield
        finally:
            self.followers.discard(follower)

    def wake(self) -> None:
        """Let the poll see what has changed."""
        self._woken.set()

    def close(self) -> None:
        """Let go of the client."""
        if self.client is not None:
            self.client.close()
            self.client = None

    async def looks(self) -> AsyncIterator[Look]:
        """Poll for ever."""
        while True:
            if self.client is not None and self.followers and time.monotonic() >= self._next_sweep:
                async for look in self._sweep(self.client):
                    yield look
            yield self._new_look()
            await self._pause()

    async def _sweep(self, client: CatalogClient) -> AsyncIterator[Look]:
        from airflow_provider_catalog.api.errors import CatalogError
        from airflow_provider_catalog.ingest.arrivals import sweep

        self._next_sweep = time.monotonic() + self.poll_interval
        since = min(follower.log.horizon for follower in self.followers)
        pages = sweep(client, {follower.dataset_id for follower in self.followers}, since)
        beginning = self._new_look(begins=True)
        yield beginning
        try:
            while (
                page := await answered(CALLS.run(lambda: next(pages, None)), LOOKING, CALLS.leave)
            ) is not None:
                yield self._new_look(batches=tuple(page))
                if all(follower.log.is_full(beginning.at) for follower in self.followers):
                    break
        except CatalogError as error:
            self._put_off(error)
        else:
            self._failures = 0
            yield self._new_look(ends=True)

    def _new_look(self, batches: tuple[Batch, ...] = (), *, begins: bool = False, ends: bool = False) -> Look:
        return Look(batches, begins, ends, settled=False if self.tells_settled else None)

    def _put_off(self, error: CatalogError) -> None:
        """Slow down after trouble, and connect anew, in case the connection has changed."""
        from airflow_provider_catalog.api.retries import pause_after

        pause = self.poll_interval * min(2**self._failures, LONGEST_BACKOFF)
        pause = max(pause_after(error) or 0.0, pause * random.uniform(0.5, 1.0))  # noqa: S311
        self._failures += 1
        self._next_sweep = time.monotonic() + pause
        self.close()
        log.warning("Could not look for new batches, and goes on in %.0f s. %s", pause, error)

    async def _pause(self) -> None:
        """Sleep until the next sweep, until a trigger calls, or for a moment only if a trigger has something to do."""
        seconds = self._next_sweep - time.monotonic()
        if self.client is None or not self.followers:
            seconds = TICK
        elif any(follower.is_busy for follower in self.followers):
            seconds = min(seconds, TICK)
        self._woken.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), max(seconds, 0.0))


_boards: dict[tuple[int, Hashable], Board] = {}


@contextmanager
def board_of(key: Hashable, poll_interval: float) -> Iterator[Board]:
    """Use the board of a stream in this event loop. It is there as long as anybody uses it: a trigger, or the poll.

    :param poll_interval: seconds between two sweeps, if it is a new one.
    """
    place = (id(asyncio.get_running_loop()), key)
    board = _boards.setdefault(place, Board(poll_interval))
    board.users += 1
    try:
        yield board
    finally:
        board.users -= 1
        if not board.users:
            del _boards[place]
            board.close()


class _Pool:
    """The poll of a stream where Airflow shares none between triggers, which it does since 3.3."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.queues: set[asyncio.Queue[Look | Exception]] = set()
        # In a context of its own, so that its log lines do not go to the log of whoever came first.
        loop = asyncio.get_running_loop()
        self._task = contextvars.Context().run(loop.create_task, self._poll())

    async def _poll(self) -> None:
        try:
            async for look in self._board.looks():
                self._hand_on(look)
        except Exception as error:  # noqa: BLE001 - it reaches those who wait, and ends them
            self._hand_on(error)

    def _hand_on(self, item: Look | Exception) -> None:
        for queue in self.queues:
            queue.put_nowait(item)

    def stop(self) -> None:
        """End the poll."""
        self._task.cancel()


async def pooled_looks(board: Board) -> AsyncGenerator[Look, None]:
    """Give what one poll finds to each trigger that asks for it; the last one to go ends the poll."""
    pool = board.pool = board.pool or _Pool(board)
    queue: asyncio.Queue[Look | Exception] = asyncio.Queue()
    pool.queues.add(queue)
    try:
        while True:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        pool.queues.discard(queue)
        if not pool.queues:
            pool.stop()
            board.pool = None
