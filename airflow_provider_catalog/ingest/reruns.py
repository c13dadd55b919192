"""What a cleared task's new batch does about the batches that the task instance left before the clear."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import StrEnum

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import BatchFailedError, BatchStateError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.statuses import Phase, phase_of
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.ending import SUCCESSOR_TAG, abort_batch
from airflow_provider_catalog.ingest.identity import ATTEMPT_TAG, OWNER_TAG, LogicalAttempt
from airflow_provider_catalog.ingest.waiting import Patience, wait_for

log = logging.getLogger(__name__)


class OnRerun(StrEnum):
    """What becomes of the data that the task loaded before it was cleared."""

    REPLACE = "replace"
    APPEND = "append"
    SKIP = "skip"


def earlier_batches(client: CatalogClient, attempt: LogicalAttempt) -> list[Batch]:
    """Find the batches from before the last clear, oldest first, and abort those that were left open.

    A task that was never cleared has none, and the Catalog is not asked. Otherwise its lag is waited out first: the last try
    before the clear may have opened a batch right at its end, and nobody would look for that one again.
    """
    if attempt.clears == 0:
        return []
    pace.sleep(pace.CATALOG_LAG)
    found = client.list_batches(dataset_id=attempt.dataset_id, tags={OWNER_TAG: attempt.owner})
    # A Catalog that does not know the filter must not make other people's batches ours to abort and to replace.
    own = [batch for batch in found if batch.tags.get(OWNER_TAG) == (attempt.owner,)]
    earlier = [batch for batch in own if batch.tags.get(ATTEMPT_TAG) != (attempt.attempt,)]
    return [_ended_or_running(client, batch) for batch in earlier]


def replaceable(client: CatalogClient, earlier: Sequence[Batch], patience: Patience) -> list[str]:
    """Give the ids of the earlier batches whose data are in the dataset, once none of them is on its way there any more.

    :raises BatchStateError: the platform has merged one into a batch of its own, so that it can't be replaced alone.
    :raises BatchStalledError: one is stuck.
    """
    ended = [_awaited(client, batch, patience) for batch in earlier]
    known = {batch.id for batch in ended}
    for batch in ended:
        merged_into = set(batch.tags.get(SUCCESSOR_TAG, ())) - known
        if phase_of(batch.status) is Phase.SUCCEEDED_ONCE and merged_into:
            advice = (
                f"The platform has merged it into {', '.join(sorted(merged_into))}, together with other data perhaps. "
                "Decide with on_rerun='append' or 'skip'."
            )
            raise BatchStateError(batch, "replaced", advice)
    return [batch.id for batch in ended if phase_of(batch.status) is Phase.SUCCEEDED]


def still_counting(earlier: Sequence[Batch]) -> Batch | None:
    """Give the newest earlier batch whose data are in the dataset, or are on their way there."""
    counting = [batch for batch in earlier if _counts(batch)]
    return counting[-1] if counting else None


def _counts(batch: Batch) -> bool:
    if SUCCESSOR_TAG in batch.tags:
        return batch.phase is Phase.SUCCEEDED
    return phase_of(batch.status) in (Phase.RUNNING, Phase.SUCCEEDED)


def _ended_or_running(client: CatalogClient, batch: Batch) -> Batch:
    if batch.phase is not Phase.WAITING_ON_CLIENT:
        return batch
    log.info("Batch %s was left open before the task was cleared.", batch.id)
    try:
        abort_batch(client, batch.id, sleep=pace.sleep)
    except BatchStateError:
        log.info("Batch %s was completed in the meantime.", batch.id)
    pace.sleep(pace.CATALOG_LAG)
    return client.get_batch(batch.id)


def _awaited(client: CatalogClient, batch: Batch, patience: Patience) -> Batch:
    if batch.phase is not Phase.RUNNING:
        return batch
    log.info(
        "Waiting for batch %s, from before the task was cleared: only then can it be replaced.", batch.id
    )
    try:
        return wait_for(client, batch.id, patience)
    except BatchFailedError as error:
        return error.batch
