"""Which call is repeated after which trouble: the one table.

========================================  =====================  ============================
trouble                                   a SAFE call            an UNSENT_ONLY call
========================================  =====================  ============================
no connection could be made               repeated               repeated
429 (refused before any work)             repeated               repeated
another one that passes by itself         repeated               not: it may have been done
time-out, reset, truncated or unreadable  repeated               not: it may have been done
401                                       once, new token        once, new token
anything else                             not                    not
========================================  =====================  ============================

Which ones pass by themselves, 408, 425 and most of 5xx, stands in ``errors.TRANSIENT_STATUSES``.

SAFE are all reads, the PUT of a file (it replaces), the signal COMPLETE (Adobe's guide encourages to repeat it) and the token
request. UNSENT_ONLY are ``POST /batches``, which has no idempotency key, and ABORT, REVERT and the calls that send a file in
chunks, of which the documentation does not say what a second one does; whoever sends these looks at the state before sending
again.

Between two tries lies the platform's ``Retry-After`` where it gives one (and not zero), up to a cap, and up to a quarter of it
more; otherwise a random time under an exponentially growing limit.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from enum import Enum

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from airflow_provider_catalog.api.errors import ApiError, UnreachableError

log = logging.getLogger(__name__)

DEFAULT_ATTEMPTS = 6
FIRST_WAIT_LIMIT = 1.0
WAIT_LIMIT = 60.0
RETRY_AFTER_LIMIT = 300.0
JITTER = 0.25

_jitter = wait_random_exponential(multiplier=FIRST_WAIT_LIMIT, max=WAIT_LIMIT)


class Repeat(Enum):
    """What a second sending of a call would do."""

    SAFE = "nothing that the first one did not do"
    UNSENT_ONLY = (
        "possibly the same again, so it is repeated only if the first one was certainly not worked on"
    )


def is_repeated(error: BaseException, repeat: Repeat) -> bool:
    """Whether a call is sent again after an error."""
    if isinstance(error, UnreachableError):
        return not error.permanent and (repeat is Repeat.SAFE or not error.sent)
    if isinstance(error, ApiError):
        return error.failure.status == 429 or (repeat is Repeat.SAFE and not error.permanent)
    return False


def may_have_been_done(call: str, error: ApiError | UnreachableError) -> bool:
    """Whether a call that failed may have been worked on. That no token could be had for it is another call's failure.

    :param call: its method and path.
    :param error: how it failed.
    """
    if isinstance(error, UnreachableError):
        return error.sent and error.call == call
    return error.failure.call == call and (error.failure.status >= 500 or error.failure.status == 408)


def pause_after(error: BaseException | None) -> float | None:
    """Give the seconds that the platform asks to wait, capped; None if it does not say."""
    if not isinstance(error, ApiError) or error.failure.retry_after is None:
        return None
    return min(error.failure.retry_after, RETRY_AFTER_LIMIT)


def later(seconds: float) -> float:
    """Give somewhat more than the seconds that the platform asks for, so that not all who were told come back at once."""
    return seconds * random.uniform(1.0, 1.0 + JITTER)  # noqa: S311


def retrying(repeat: Repeat, attempts: int, sleep: Callable[[float], None]) -> Retrying:
    """Make the loop around one call.

    :param repeat: what a second sending would do.
    :param attempts: how often the call is sent at most.
    :param sleep: waits for so many seconds.
    """
    return Retrying(
        retry=retry_if_exception(lambda error: is_repeated(error, repeat)),
        stop=stop_after_attempt(attempts),
        wait=_wait,
        sleep=sleep,
        before_sleep=_announce,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    asked = pause_after(_error(state))
    return later(asked) if asked else _jitter(state)


def _announce(state: RetryCallState) -> None:
    log.warning("%s Trying again in %.1f s.", _error(state), state.upcoming_sleep)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
