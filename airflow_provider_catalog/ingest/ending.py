"""Giving a batch up, before its promotion or after it.

The documentation does not say what a second ABORT or REVERT does, and a platform under load loses answers. So the batch's state
is read before each sending, and a state that is already what was wished for is a success. The Catalog may lag: before a look that
follows a sending, its lag is waited out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, BatchStateError, CatalogError, NotFoundError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.api.statuses import Phase, phase_of
from airflow_provider_catalog.ingest import pace

log = logging.getLogger(__name__)

TRIES = 3
PAUSE = pace.CATALOG_LAG
REFUSALS = frozenset({400, 409, 412})
TAKEN_OUT = ("inactive", "deleted")
SUCCESSOR_TAG = "acp_successor"


@dataclass(frozen=True)
class _Ending:
    """One way to give a batch up.

    :param wish: what the batch shall be.
    :param reached: whether it is that already.
    :param impossible: the phases in which it can't become that any more, or not yet, with what to do in each.
    :param refused: what to do when the platform refuses in another phase.
    """

    wish: str
    reached: Callable[[Batch], bool]
    impossible: Mapping[Phase, str]
    refused: str


def _is_given_up(batch: Batch) -> bool:
    return batch.phase is Phase.FAILED


def _is_taken_out(batch: Batch) -> bool:
    """Whether its data have left the dataset, and not gone on into another batch."""
    if batch.status.lower() not in TAKEN_OUT:
        return False
    if successors := batch.tags.get(SUCCESSOR_TAG):
        advice = (
            f"The platform has put {', '.join(successors)} in its place, together with other data perhaps. "
            "Revert that one, if its data are to go."
        )
        raise BatchStateError(batch, "reverted", advice)
    return True


ABORTED = _Ending(
    wish="aborted",
    reached=_is_given_up,
    impossible={
        Phase.SUCCEEDED: "It is promoted, but it can be reverted.",
        Phase.SUCCEEDED_ONCE: "It had been promoted, and was replaced, reverted or archived since.",
    },
    refused="It is too late for that. Once it is promoted, it can be reverted.",
)
REVERTED = _Ending(
    wish="reverted",
    reached=_is_taken_out,
    impossible={
        Phase.WAITING_ON_CLIENT: "It is not promoted yet: abort it.",
        Phase.RUNNING: "It is not promoted yet: wait for its end.",
        Phase.FAILED: "It was never promoted, so none of its data are in the dataset.",
    },
    refused="Only promoted batches can be.",
)


def abort_batch(client: CatalogClient, batch_id: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Give up a batch that is not promoted yet.

    :raises BatchStateError: it is promoted already, or the platform says that it is too late.
    """
    _end(client, batch_id, ABORTED, client.abort_batch, sleep)


def abort_once(settings: PlatformSettings, batch_id: str, seconds: float) -> None:
    """Give up a batch that is still loading, with one attempt and no error: for a process that is about to end.

    :param settings: reach the sandbox, over a connection of its own.
    :param batch_id: the batch.
    :param seconds: how long to wait for an answer.
    """
    client = CatalogClient(replace(settings, timeout=seconds), attempts=1)
    try:
        client.abort_batch(batch_id)
    except CatalogError as error:
        log.warning("Batch %s could not be aborted. %s", batch_id, error)
    else:
        log.info("Batch %s is aborted, since the task was killed.", batch_id)
    finally:
        client.close()


def revert_batch(
    client: CatalogClient, batch_id: str, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Take the data of a promoted batch out of the dataset.

    :raises BatchStateError: it is not promoted.
    """
    _end(client, batch_id, REVERTED, client.revert_batch, sleep)


def _end(
    client: CatalogClient,
    batch_id: str,
    ending: _Ending,
    send: Callable[[str], None],
    sleep: Callable[[float], None],
) -> None:
    def look_and_send() -> None:
        if _has_reached(ending, _look(client, batch_id)):
            return
        refusal = _refusal_of(send, batch_id)
        if refusal is not None:
            # An earlier sending whose answer was lost, or somebody else, may have ended it only now.
            sleep(PAUSE)
            _judge(refusal, _look(client, batch_id), ending)

    patiently = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, CatalogError) and not error.permanent),
        stop=stop_after_attempt(TRIES),
        wait=wait_fixed(PAUSE),
        sleep=sleep,
        reraise=True,
    )
    patiently(look_and_send)
    log.info("Batch %s is %s.", batch_id, ending.wish)


def _refusal_of(send: Callable[[str], None], batch_id: str) -> ApiError | None:
    """Send the signal, and give the refusal, if it is one that the batch's state may explain."""
    try:
        send(batch_id)
    except ApiError as error:
        if error.failure.status not in REFUSALS:
            raise
        return error
    return None


def _judge(refusal: ApiError, batch: Batch | None, ending: _Ending) -> None:
    """Pass a refusal on, unless the batch is what it shall be all the same.

    :raises BatchStateError: it is not.
    :raises ApiError: the Catalog does not show it.
    """
    if _has_reached(ending, batch):
        return
    if batch is None:
        raise refusal
    raise BatchStateError(batch, ending.wish, f"{ending.refused} {refusal}") from refusal


def _look(client: CatalogClient, batch_id: str) -> Batch | None:
    try:
        return client.get_batch(batch_id)
    except NotFoundError:
        # The Catalog may lag behind the service that takes the signals, and that one knows whether there is such a batch.
        return None


def _has_reached(ending: _Ending, batch: Batch | None) -> bool:
    if batch is None:
        return False
    if advice := ending.impossible.get(phase_of(batch.status)):
        raise BatchStateError(batch, ending.wish, advice)
    return ending.reached(batch)
