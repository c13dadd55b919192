"""Giving a batch up, before its promotion or after it.

The documentation does not say what a second ABORT or REVERT does, and a platform under load loses answers. So the batch's state
is read before each sending, and a state that is already what was wished for is a success.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, BatchStateError, CatalogError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.statuses import Phase, phase_of

log = logging.getLogger(__name__)

TRIES = 3
PAUSE = 2.0
REFUSALS = frozenset({400, 409, 412})


def abort_batch(
    client: CatalogClient, batch_id: str, *, sleep: Callable[[float], None] = time.sleep
) -> Batch:
    """Give up a batch that is not promoted yet, and give its state as last seen.

    :raises BatchStateError: it is promoted already, or the platform says that it is too late.
    """

    def is_done(batch: Batch) -> bool:
        if phase_of(batch.status) in (Phase.SUCCEEDED, Phase.SUCCEEDED_ONCE):
            raise BatchStateError(batch, "aborted", "Its data were promoted: revert it instead.")
        return batch.phase is Phase.FAILED

    return _until_done(client, batch_id, is_done, client.abort_batch, "aborted", sleep)


def revert_batch(
    client: CatalogClient, batch_id: str, *, sleep: Callable[[float], None] = time.sleep
) -> Batch:
    """Take the data of a promoted batch out of the dataset, and give its state as last seen.

    :raises BatchStateError: it is not promoted.
    """

    def is_done(batch: Batch) -> bool:
        phase = phase_of(batch.status)
        if phase not in (Phase.SUCCEEDED, Phase.SUCCEEDED_ONCE):
            raise BatchStateError(
                batch, "reverted", "Only promoted batches can be; abort one that is on its way."
            )
        return phase is Phase.SUCCEEDED_ONCE

    return _until_done(client, batch_id, is_done, client.revert_batch, "reverted", sleep)


def _until_done(
    client: CatalogClient,
    batch_id: str,
    is_done: Callable[[Batch], bool],
    send: Callable[[str], None],
    wish: str,
    sleep: Callable[[float], None],
) -> Batch:
    def look_and_send() -> Batch:
        batch = client.get_batch(batch_id)
        if is_done(batch):
            return batch
        try:
            send(batch_id)
        except ApiError as error:
            if error.failure.status not in REFUSALS:
                raise
            batch = client.get_batch(batch_id)
            if is_done(batch):
                return batch
            raise BatchStateError(batch, wish, str(error)) from error
        return batch

    patiently = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, CatalogError) and not error.permanent),
        stop=stop_after_attempt(TRIES),
        wait=wait_fixed(PAUSE),
        sleep=sleep,
        reraise=True,
    )
    batch = patiently(look_and_send)
    log.info("Batch %s, last seen as %s, is %s.", batch_id, batch.status, wish)
    return batch
