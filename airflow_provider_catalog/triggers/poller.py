"""One poll for all triggers that wait for batches through the same connection and sandbox.

Airflow runs all triggers of a triggerer in one event loop. The poll is one task in it, which has a client and sends its requests
in a thread. That task is nobody's: it must not ask anything of Airflow. So it gives the triggers errands: one of them reads the
connection, and has a new token masked, in its own coroutine.

Each wait keeps its own interval, deadline and memory. Its deadline is a moment by the wall clock; all else goes by the
monotonic one, which nobody sets. The poll asks for the batches whose turn it is, together with those whose turn comes soon, as
many as fit into one request. By this waits that began apart are looked at together, and the requests lie spread over the
interval.

Trouble with the platform is told to all waits, and wakes none of them: each ends only when it has lasted for longer than it
tolerates. The poll then slows down, and has the connection read anew, in case that has changed.

It may be one batch, though, that makes the platform fail whenever it is asked for. So those that were in a look that failed are
then looked at in smaller groups, down to one, until they have been heard of. One that fails alone, while looks at others work,
stands for itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import logging
import math
import random
import time
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import CatalogError, UnreachableError
from airflow_provider_catalog.api.look_ups import IDS_PER_REQUEST, Findings
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.retries import later, pause_after
from airflow_provider_catalog.api.validation import check_request
from airflow_provider_catalog.ingest.roll_call import call_roll
from airflow_provider_catalog.triggers.access import LAST_LOOK_SECONDS, Threads, answered, connect, mask_token
from airflow_provider_catalog.triggers.waits import Wait

log = logging.getLogger(__name__)

EARLY_SHARE = 0.5
"""A wait may be looked at before its turn by up to this share of its interval, where there is room in a request."""

SHRINKING_BITS = 3
"""A look that failed is followed by looks at an eighth of as many batches: after two failures, each is looked at alone."""

FAILURES_TO_BE_ALONE = 2

DOUBLINGS = 3
LONGEST_PAUSE = 120.0

REREAD_SECONDS = 60.0
"""The connection is not read anew sooner than this only because the platform does not show some of the batches."""

LOOKING = "Looking at the batches that are waited for"

HANDFUL = 50
"""After so many waits the event loop gets its turn."""


class Poller:
    """The poll for one connection and sandbox, as long as somebody waits. To be made where an event loop runs.

    :param catalog_conn_id: the connection.
    :param sandbox_name: another sandbox than the connection's.
    """

    def __init__(self, catalog_conn_id: str, sandbox_name: str | None) -> None:
        self._conn_id = catalog_conn_id
        self._sandbox_name = sandbox_name
        self._waits: set[Wait] = set()
        self._turns: list[tuple[float, int, Wait]] = []
        self._numbers = itertools.count()
        self._woken = asyncio.Event()
        self._thread = Threads(1, "adobe-catalog-poll")
        self._client: CatalogClient | None = None
        self._masked: str | None = None
        self._is_ready = False
        self._read_at = 0.0
        self._room = IDS_PER_REQUEST
        self._failures = 0
        self._worked_at = -math.inf
        self._not_before = 0.0
        # In a context of its own, so that its log lines do not go to the log of whoever came first.
        self._task = contextvars.Context().run(asyncio.get_running_loop().create_task, self._poll())
        self._task.add_done_callback(self._wind_up)
        self.is_over = False

    async def attend(self, wait: Wait) -> Batch:
        """Wait for a batch. To be awaited in a trigger's own coroutine.

        :raises CatalogError: the wait has come to another end.
        :raises airflow_provider_catalog.triggers.waits.OverdueError: its time is over.
        """
        self._waits.add(wait)
        # The sensor has just looked; the random part keeps waits that began together from looking together.
        self._schedule(wait, time.monotonic() + random.uniform(0, wait.poll_interval))  # noqa: S311
        try:
            async with wait.limit(LAST_LOOK_SECONDS):
                return await self._outcome(wait)
        except TimeoutError:
            raise wait.overdue from None
        finally:
            self._leave(wait)

    async def _outcome(self, wait: Wait) -> Batch:
        while True:
            call = await wait.calls.get()
            if isinstance(call, Exception):
                raise call
            if not isinstance(call, asyncio.Future):
                return call
            await self._do(call)

    def _leave(self, wait: Wait) -> None:
        self._waits.discard(wait)
        while not wait.calls.empty():
            call = wait.calls.get_nowait()
            if isinstance(call, asyncio.Future) and not call.done():
                call.set_result(None)  # undone: another trigger will have to do it
        if not self._waits:
            self._stop()

    async def _do(self, errand: asyncio.Future[None]) -> None:
        """Get ready to poll, in the trigger's own coroutine."""
        try:
            await self._get_ready()
        except Exception as error:  # noqa: BLE001 - the poll wants to know
            if not errand.done():
                errand.set_exception(error)
        finally:
            if not errand.done():
                errand.set_result(None)

    async def _get_ready(self) -> None:
        client = await connect(self._conn_id, self._sandbox_name)
        self._read_at = time.monotonic()
        if self._client is not None and self._client.settings == client.settings:
            client.close()
        else:
            before, self._client = self._client, client
            if before is not None:
                before.close()
        self._masked = await mask_token(self._client, self._masked)
        self._is_ready = True

    async def _poll(self) -> None:
        while True:
            await self._pause()
            started = time.time()
            waits = self._take(time.monotonic())
            if not waits:
                continue
            findings = await self._look({wait.batch_id for wait in waits})
            is_common = findings.trouble is not None and not self._is_of_one(waits, findings.trouble)
            self._tell(waits, findings, started)
            if findings.trouble is None:
                self._worked_at = time.monotonic()
                self._failures, self._room = 0, min(2 * self._room, IDS_PER_REQUEST)
            elif is_common:
                self._slow_down(findings.trouble)
                await self._tell_trouble(findings.trouble, self._waits.difference(waits))

    def _is_of_one(self, waits: Sequence[Wait], trouble: CatalogError) -> bool:
        """Whether trouble is that of one batch: looks at others have worked since a look at it alone has failed."""
        return (
            len(waits) == 1
            and _company(waits[0]) == 1
            and waits[0].failed_at < self._worked_at
            and not pause_after(trouble)
        )

    def _schedule(self, wait: Wait, turn: float) -> None:
        wait.turn = turn
        end = wait.end - time.time() + time.monotonic()
        heapq.heappush(self._turns, (min(turn, end), next(self._numbers), wait))
        if self._turns[0][2] is wait:
            self._woken.set()

    async def _pause(self) -> None:
        """Sleep until it is somebody's turn."""
        while True:
            self._woken.clear()
            due = self._turns[0][0] if self._turns else math.inf
            seconds = max(due, self._not_before) - time.monotonic()
            if seconds <= 0:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), None if seconds == math.inf else seconds)

    def _take(self, now: float) -> list[Wait]:
        """Choose the waits whose turn it is, or soon, as many as fit into one request and may be together."""
        room = self._room if self._client is None else min(self._room, self._client.look_ups.size)
        taken: list[Wait] = []
        while self._turns and len(taken) < room:
            due, _, wait = self._turns[0]
            if wait in self._waits:
                if due > now and wait.turn - now > EARLY_SHARE * wait.poll_interval:
                    break
                room = min(room, _company(wait))
                if len(taken) >= room:
                    break
                taken.append(wait)
            heapq.heappop(self._turns)
        return taken

    async def _look(self, batch_ids: Collection[str]) -> Findings:
        try:
            findings = await answered(self._find(batch_ids), LOOKING, self._let_go)
        except CatalogError as error:
            return Findings(trouble=error)
        if findings.errors and time.monotonic() - self._read_at >= REREAD_SECONDS:
            self._is_ready = False
        return findings

    async def _find(self, batch_ids: Collection[str]) -> Findings:
        if not self._is_ready:
            await self._send_errand()
        if (findings := await self._ask(batch_ids)) is None:
            await self._send_errand()
            findings = await self._ask(batch_ids)
        if findings is None:
            raise UnreachableError(LOOKING, "there is a new token each time")
        return findings

    async def _send_errand(self) -> None:
        """Have one of the triggers get ready for the poll."""
        self._is_ready = False
        while not self._is_ready:
            errand = asyncio.get_running_loop().create_future()
            random.choice(tuple(self._waits)).calls.put_nowait(errand)  # noqa: S311
            await errand

    async def _ask(self, batch_ids: Collection[str]) -> Findings | None:
        """Ask the platform, unless there is a new token, which has to be masked first."""
        client, masked = self._client, self._masked

        def ask() -> Findings | None:
            if client is None or client.auth.token() != masked:
                return None
            return call_roll(client.look_ups, batch_ids)

        return await self._thread.run(ask)

    def _tell(self, waits: Collection[Wait], findings: Findings, started: float) -> None:
        """Tell the waits that were looked at what was found, and say when their next turn is."""
        now = time.time()
        for wait in self._waits.intersection(waits):
            batch = findings.batches.get(wait.batch_id)
            error = None if batch else findings.errors.get(wait.batch_id, findings.trouble)
            if error is None or error is not findings.trouble:
                wait.failures = 0
            else:
                wait.failures, wait.failed_at = wait.failures + 1, time.monotonic()
            is_over = wait.saw(batch, now) if batch else error is not None and wait.missed(error, now)
            if is_over or wait.overran(started):
                self._waits.discard(wait)
            else:
                pause = _lengthened(wait.poll_interval, wait.failures - FAILURES_TO_BE_ALONE)
                self._schedule(wait, time.monotonic() + pause)

    async def _tell_trouble(self, trouble: CatalogError, waits: Collection[Wait]) -> None:
        """Tell the waits that would have been looked at next."""
        now = time.time()
        for number, wait in enumerate(waits):
            if wait in self._waits and wait.missed(trouble, now):
                self._waits.discard(wait)
            if number % HANDFUL == 0:
                await asyncio.sleep(0)

    def _slow_down(self, trouble: CatalogError) -> None:
        """Put the next look off, and have the connection read anew, in case that has changed."""
        interval = min((wait.poll_interval for wait in self._waits), default=0.0)
        pause = later(max(_lengthened(interval, self._failures), pause_after(trouble) or 0.0))
        self._not_before = time.monotonic() + pause
        for wait in self._waits:
            wait.expects_nothing_for(pause)
        self._failures += 1
        self._room = max(1, self._room // 2)
        self._is_ready = False
        if self._waits:
            log.warning(
                "Could not look at batches for %d tasks, and goes on in %.0f s. %s",
                len(self._waits),
                pause,
                trouble,
            )

    def _stop(self) -> None:
        self.is_over = True
        self._task.cancel()

    def _let_go(self) -> None:
        """Leave the thread and the client to a look that is under way, which may have to open a connection."""
        client, self._client = self._client, None
        self._is_ready = False
        self._thread.leave(None if client is None else client.close)

    def _wind_up(self, task: asyncio.Task[None]) -> None:
        """Let nobody wait for a poll that has come to an end by a mistake of its own, and clean up."""
        self.is_over = True
        if not task.cancelled() and (error := task.exception()) is not None:
            for wait in self._waits:
                wait.calls.put_nowait(RuntimeError(f"The poll has broken down: {error!r}"))
        self._let_go()


def _company(wait: Wait) -> int:
    """Say with how many others at most a wait is looked at, itself included."""
    return max(1, IDS_PER_REQUEST >> SHRINKING_BITS * wait.failures)


def _lengthened(interval: float, failures: int) -> float:
    """Give an interval as it is after so many failures."""
    return min(math.ldexp(interval, min(max(failures, 0), DOUBLINGS)), max(interval, LONGEST_PAUSE))


_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str | None], Poller]] = (
    weakref.WeakKeyDictionary()
)


async def attend(catalog_conn_id: str, sandbox_name: str | None, wait: Wait) -> Batch:
    """Wait for a batch, together with all others of this event loop that wait through the same connection.

    :param catalog_conn_id: the connection.
    :param sandbox_name: another sandbox than the connection's.
    :param wait: the wait.
    :raises InvalidInputError: the batch's id is none.
    :raises CatalogError: the wait has come to another end.
    :raises airflow_provider_catalog.triggers.waits.OverdueError: its time is over.
    """
    check_request(wait.batch_id, "batchId")
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    key = (catalog_conn_id, sandbox_name)
    poller = pollers.get(key)
    if poller is None or poller.is_over:
        poller = pollers[key] = Poller(catalog_conn_id, sandbox_name)
    try:
        return await poller.attend(wait)
    finally:
        if poller.is_over and pollers.get(key) is poller:
            del pollers[key]
