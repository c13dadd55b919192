"""Requests that are held back until a test lets them go on: before their work is done, or with the answer ready.

A client may be killed while its request is held. The platform has received the request, so it stays held, and whoever
releases it says whether the work is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass

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


class Holds:
    """The requests that are held back now."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._held: dict[str, tuple[Held, asyncio.Future[Effect]]] = {}
        self._arrival = asyncio.Condition()

    async def hold(self, entry: Entry, stage: Stage, receive: Receive) -> Effect:
        """Hold a request back until it is released, and return how it goes on then."""
        held = Held(str(next(self._ids)), entry.n, entry.method, entry.path, entry.query, stage)
        release: asyncio.Future[Effect] = asyncio.get_running_loop().create_future()
        self._held[held.id] = held, release
        watch = asyncio.create_task(_watch(held, receive))
        try:
            async with self._arrival:
                self._arrival.notify_all()
            return await release
        finally:
            watch.cancel()
            self._held.pop(held.id, None)

    def all(self) -> list[Held]:
        """Return the requests in order of their arrival."""
        return sorted((held for held, _ in self._held.values()), key=lambda held: held.n)

    async def wait_for(self, count: int, seconds: float) -> None:
        """Wait until so many requests are held, or the time (real seconds) is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._arrival:
                await self._arrival.wait_for(lambda: len(self._held) >= count)

    def release(self, hold_id: str, effect: Effect) -> bool:
        """Let a request go on in a certain way; say whether there was one. May be called from any thread."""
        _, release = self._held.pop(hold_id, (None, None))
        if release is None:
            return False
        release.get_loop().call_soon_threadsafe(_settle, release, effect)
        return True

    def release_all(self, effect: Effect) -> None:
        """Let all requests go on. May be called from any thread."""
        for hold_id in list(self._held):
            self.release(hold_id, effect)


async def _watch(held: Held, receive: Receive) -> None:
    await until_gone(receive)
    held.client_gone = True


def _settle(release: asyncio.Future[Effect], effect: Effect) -> None:
    if not release.done():  # the emulator may have been stopped
        release.set_result(effect)
