"""From files to a batch whose completion is signalled, starting wherever an earlier try of the same attempt has stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, BatchLostError, BatchStateError, FileSpoiledError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.statuses import Phase
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.ending import REFUSALS, abort_batch
from airflow_provider_catalog.ingest.identity import LogicalAttempt
from airflow_provider_catalog.ingest.opening import Opening
from airflow_provider_catalog.ingest.plan import UploadPlan
from airflow_provider_catalog.ingest.reruns import OnRerun, earlier_batches, replaceable, still_counting
from airflow_provider_catalog.ingest.upload import DEFAULT_PARALLEL, Upload
from airflow_provider_catalog.ingest.waiting import Patience

log = logging.getLogger(__name__)

ROUNDS = 10
GONE = REFUSALS | {404}


@dataclass(frozen=True)
class Ingestion:
    """What one logical attempt is to bring into its dataset.

    :param attempt: whose batch it is.
    :param payload: the body of ``POST /batches``, without external id.
    :param plan: gives what the batch shall hold; asked only when there is something left to upload.
    :param on_rerun: what becomes of what was loaded before a clear.
    :param patience: how an earlier batch is waited for that has to be replaced.
    :param parallel: how many requests upload at the same time.
    """

    attempt: LogicalAttempt
    payload: Mapping[str, Any]
    plan: Callable[[], UploadPlan]
    on_rerun: OnRerun
    patience: Patience
    parallel: int = DEFAULT_PARALLEL


def bring_in(
    client: CatalogClient,
    ingestion: Ingestion,
    *,
    on_batch: Callable[[Batch], None],
    check_in: Callable[[], None],
    before_completion: Callable[[], None],
) -> Batch:
    """Find or open the run's batch, upload what is missing, and signal completion.

    A batch that is past that point is left alone.

    :param client: reaches the sandbox.
    :param ingestion: what to do.
    :param on_batch: told the run's batch as soon as it is known, and again if it turns out to be another one.
    :param check_in: called from time to time during the upload; what it raises ends it.
    :param before_completion: called right before completion is signalled.
    :return: the run's batch, whose completion is signalled, now or before, or which is promoted already.
    :raises BatchLostError: somebody has ended the batch while it was loading.
    :raises FileSpoiledError: a large file could not be completed; the batch is aborted, so that another try opens a new one.
    """
    opening = Opening(
        client,
        ingestion.attempt,
        ingestion.payload,
        content=lambda: ingestion.plan().identity,
        replaced=lambda: _replaced(client, ingestion),
    )
    batch = opening.find() or _from_before_the_clear(client, ingestion) or opening.create()
    for _ in range(ROUNDS):
        on_batch(batch)
        if batch.phase is not Phase.WAITING_ON_CLIENT:
            log.info("Batch %s is %s: nothing is left to upload.", batch.id, batch.status)
            return batch
        try:
            run_batch = _load(client, opening, ingestion, batch, check_in)
            if (
                run_batch is not None
                and run_batch.id == batch.id
                and run_batch.phase is Phase.WAITING_ON_CLIENT
            ):
                before_completion()
                client.complete_batch(batch.id)
                log.info("The platform has accepted the completion of batch %s.", batch.id)
                return batch
        except ApiError as error:
            run_batch = _after_refusal(opening, batch, error)
        except FileSpoiledError as error:
            run_batch = _after_spoiling(client, opening, batch, error)
        if run_batch is None:
            raise BatchLostError(batch)
        batch = run_batch
    raise BatchLostError(batch)


def _load(
    client: CatalogClient,
    opening: Opening,
    ingestion: Ingestion,
    batch: Batch,
    check_in: Callable[[], None],
) -> Batch | None:
    """Upload what is missing, and give the run's batch as the Catalog shows it then."""
    dataset_id, plan = ingestion.attempt.dataset_id, ingestion.plan()
    Upload(client, batch, dataset_id, plan, parallel=ingestion.parallel, check_in=check_in).run()
    return opening.settle(batch)


def _after_refusal(opening: Opening, batch: Batch, error: ApiError) -> Batch | None:
    """Give the run's batch when the one at hand was refused; somebody else may have completed or aborted it.

    :raises ApiError: nobody did, so the refusal is meant for us.
    """
    if error.failure.status not in GONE:
        raise error
    pace.sleep(pace.CATALOG_LAG)
    found = opening.find()
    if found is not None and found.id == batch.id and found.phase is Phase.WAITING_ON_CLIENT:
        raise error
    return found


def _after_spoiling(client: CatalogClient, opening: Opening, batch: Batch, error: FileSpoiledError) -> Batch:
    """Abort a batch in which a file is spoiled; or give the run's batch, if somebody has completed one.

    :raises FileSpoiledError: nobody has.
    :raises BatchStateError: the batch can't be aborted, and is open.
    """
    try:
        abort_batch(client, batch.id, sleep=pace.sleep)
    except BatchStateError:
        # It may have been aborted before, by the try before this one perhaps, and the Catalog shows it late.
        pace.sleep(pace.CATALOG_LAG)
        found = opening.find()
        if found is not None:
            if found.id == batch.id and found.phase is Phase.WAITING_ON_CLIENT:
                raise
            return found
    raise error


def _from_before_the_clear(client: CatalogClient, ingestion: Ingestion) -> Batch | None:
    if ingestion.on_rerun is not OnRerun.SKIP:
        return None
    batch = still_counting(earlier_batches(client, ingestion.attempt))
    if batch is not None:
        log.info("Batch %s, from before the task was cleared, counts; nothing is loaded again.", batch.id)
    return batch


def _replaced(client: CatalogClient, ingestion: Ingestion) -> list[str]:
    if ingestion.on_rerun is OnRerun.SKIP:
        return []
    # Those that were left open before the clear are aborted by this, whatever becomes of the others.
    earlier = earlier_batches(client, ingestion.attempt)
    return replaceable(client, earlier, ingestion.patience) if ingestion.on_rerun is OnRerun.REPLACE else []
