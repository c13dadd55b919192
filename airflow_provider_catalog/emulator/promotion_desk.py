"""Promoting completed batches: reading their files beside the event loop, and planning how they end."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from .batches import Batch, Outcome
from .lifecycle import RUNNING, Step, promotion
from .promotion import Job, Stopped, ingest, obstacle, unread, without_files

if TYPE_CHECKING:
    from .platform import Platform

_log = logging.getLogger(__name__)

# COMPLETE waits so long (real seconds) for the files to be read. Small batches are read by then, so that what follows
# depends on the clock alone; a large one simply stays in its last running status until it has been read.
_PATIENCE = 5.0


class PromotionDesk:
    """Takes in batches that the client has completed."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._reading: set[asyncio.Task[None]] = set()
        self._stopped = threading.Event()

    async def take_in(self, batch: Batch) -> None:
        """Start the promotion of a batch that was signalled just now."""
        now = self._platform.clock.now()
        batch.replan(now, promotion(now, self._platform.settings.promotion_seconds))
        self._platform.batches.save(batch)
        task = asyncio.create_task(self._read(batch, now))
        self._reading.add(task)
        task.add_done_callback(self._done)
        await asyncio.wait({task}, timeout=_PATIENCE)

    def resume(self) -> None:
        """Read again the batches whose reading was cut short when the emulator stopped."""
        for batch in self._platform.batches.all():
            if batch.signalled_at is not None and batch.outcome is None:
                self._end(batch, self._outcome(batch), batch.signalled_at)

    def stop(self) -> None:
        """Give up reading; `resume` will start again."""
        self._stopped.set()

    async def _read(self, batch: Batch, signalled_at: float) -> None:
        outcome = await asyncio.to_thread(self._outcome, batch)
        if not self._stopped.is_set():
            self._end(batch, outcome, signalled_at)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, Stopped):
            _log.error("The end of a batch could not be kept: it stays as it is.", exc_info=error)

    def _outcome(self, batch: Batch) -> Outcome:
        """Read a batch and return how it ends: it fails if anything at all goes wrong in reading. Raises Stopped."""
        try:
            return self._ingested(batch)
        except Stopped:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, see below
            # Else the batch would stay as it is for ever, and keep the emulator from starting with this folder again.
            _log.exception("The files of batch %s could not be read: it fails.", batch.id)
            return unread()

    def _ingested(self, batch: Batch) -> Outcome:
        platform, opening = self._platform, batch.opening
        files = tuple(batch.files.values())
        if found := obstacle(files, batch.uploads, platform.settings):
            return found
        if not files:
            return without_files(accepted=platform.settings.empty_batch == "success")
        schema = platform.schema_of(batch.sandbox, opening.dataset_id)
        return ingest(
            Job(opening, files, schema, platform.settings, platform.store, stopped=self._stopped.is_set)
        )

    def _end(self, batch: Batch, outcome: Outcome, signalled_at: float) -> None:
        if batch.plan[-1].status not in RUNNING:  # aborted in the meantime
            self._platform.store.delete(file.stored_as for file in outcome.written)
            return
        settings = self._platform.settings
        word = settings.success_word if outcome.succeeded else settings.failure_word
        batch.outcome = outcome
        batch.plan.append(
            Step(max(signalled_at + settings.promotion_seconds, self._platform.clock.now()), word)
        )
        self._platform.batches.save(batch)
        self._platform.batches.drop_uploads(batch)
