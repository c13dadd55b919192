"""Requests that are held back until a test lets them go on: before their work is done, or with the answer ready.

A client may be killed while its request is held. The platform has received the request, so it stays held, and whoever
releases it says whether the work is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.types import Receive

from .faults import Effect, Stage
from .journal import Entry
from .wire import until_gone


@dataclass
class Held:
    """A request that is held back, as the request log names it: `n` is its number there."""

    id: str
    n: int
    method: str
    path: str
    query: list[tuple[str, str]]
    stage: Stage
    client_gone: bool = False


@dataclass
class _Hold:
    """What stops a request: it goes on with `effect` once `released`, and has gone its way once `ended`."""

    request: Held
    loop: asyncio.AbstractEventLoop
    effect: Effect = field(default_factory=Effect)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self, effect: Effect) -> None:
        self.effect = effect
        self.loop.call_soon_threadsafe(self.released.set)


class Holds:
    """The requests that are held back now."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._holds: dict[str, _Hold] = {}
        self._arrival = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def hold(self, entry: Entry, stage: Stage, receive: Receive) -> AsyncIterator[Effect]:
        """Hold a request back until it is released; what is left of it, in the way given, belongs in the block."""
        request = Held(str(next(self._ids)), entry.n, entry.method, entry.path, entry.query, stage)
        hold = self._holds[request.id] = _Hold(request, asyncio.get_running_loop())
        try:
            await self._wait(hold, receive)
            yield hold.effect
        finally:
            self._holds.pop(request.id, None)
            hold.ended.set()

    def all(self) -> list[Held]:
        """Return the requests in order of their arrival."""
        return sorted((hold.request for hold in self._holds.values()), key=lambda request: request.n)

    async def wait_for(self, count: int, seconds: float) -> None:
        """Wait until so many requests are held, or the time (real seconds) is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._arrival:
                await self._arrival.wait_for(lambda: len(self._holds) >= count)

    def release(self, hold_id: str, effect: Effect) -> asyncio.Event | None:
        """Let a request go on in a certain way; return what is set when it has gone its way, None if there is no such one.

        May be called from any thread.
        """
        hold = self._holds.pop(hold_id, None)
        if hold is None:
            return None
        hold.release(effect)
        return hold.ended

    def release_all(self, effect: Effect) -> list[asyncio.Event]:
        """Let all requests go on in a certain way; return what `release` does for each."""
        return [ended for hold_id in list(self._holds) if (ended := self.release(hold_id, effect))]

    async def _wait(self, hold: _Hold, receive: Receive) -> None:
        watch = asyncio.create_task(_watch(hold.request, receive))
        try:
            async with self._arrival:
                self._arrival.notify_all()
            await hold.released.wait()
        finally:
            watch.cancel()


async def _watch(request: Held, receive: Receive) -> None:
    await until_gone(receive)
    request.client_gone = True
