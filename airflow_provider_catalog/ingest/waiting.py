"""Waiting for a batch in the process that loaded it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import CatalogError, LostSightError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.watch import DEFAULT_MAX_UNREACHABLE, DEFAULT_STALLED_GRACE, BatchWatch


@dataclass(frozen=True)
class Patience:
    """How a batch is waited for. All values are seconds.

    :param poll_interval: between two looks.
    :param timeout: until the wait ends.
    :param stalled_grace: for how long the batch may be stalled.
    :param max_unreachable: for how long the platform may give no useful answer.
    """

    poll_interval: float
    timeout: float
    stalled_grace: float = DEFAULT_STALLED_GRACE
    max_unreachable: float = DEFAULT_MAX_UNREACHABLE


def wait_for(client: CatalogClient, batch_id: str, patience: Patience) -> Batch:
    """Wait until a batch is promoted.

    :raises BatchFailedError: the platform gave it up.
    :raises BatchStalledError: it has been stalled for too long.
    :raises LostSightError: it was not promoted in time, or nothing useful was heard of the platform for too long.
    """
    watch = BatchWatch(batch_id, patience.stalled_grace, patience.max_unreachable)
    deadline = pace.now() + patience.timeout
    while True:
        is_last_look = pace.now() >= deadline
        try:
            batch = client.get_batch(batch_id)
        except CatalogError as error:
            watch.missed(error, time.time())
        else:
            if watch.saw(batch, time.time()):
                return batch
        if is_last_look:
            raise LostSightError(
                f"Batch {batch_id} was not promoted within {patience.timeout:.0f} s; another try goes on waiting."
            )
        pause = max(patience.poll_interval, watch.quiet_seconds)
        pace.sleep(max(0.0, min(pause, deadline - pace.now())))
