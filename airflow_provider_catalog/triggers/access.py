"""How a trigger reaches the platform: its connection in the trigger's own coroutine, its calls in threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_catalog.hooks.catalog import CatalogHook

if TYPE_CHECKING:
    from airflow_provider_catalog.api.client import CatalogClient

log = logging.getLogger(__name__)

THREADS = 4

LOOK_SECONDS = 300.0
"""After so long a look counts as failed, whatever it does: even an answer that arrives byte by byte."""

LAST_LOOK_SECONDS = 30.0
"""For so long after its deadline a wait goes on for the look that is due at it, when the platform is slow to answer."""

T = TypeVar("T")


class Threads:
    """Threads of this package's own, for what blocks.

    :param count: so many at most.
    :param name: what their names begin with.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._pool = self._new_pool()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, thread_name_prefix=self._name)

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function on one of them."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def leave(self, last: Callable[[], None] | None = None) -> None:
        """Leave them to what they are busy with, after which they end; whatever comes next gets new ones.

        :param last: what is to be done there in the end, after all else if it is one thread only.
        """
        left, self._pool = self._pool, self._new_pool()
        if last is not None:
            left.submit(last)
        left.shutdown(wait=False)


CALLS = Threads(THREADS, "adobe-catalog-arrivals")

TOKENS = Threads(THREADS, "adobe-catalog-tokens")
"""Apart from the others, since all that wait need a token from time to time, whichever platform they ask."""


async def answered(
    work: Awaitable[T], call: str, give_up: Callable[[], None], seconds: float = LOOK_SECONDS
) -> T:
    """Await what may take too long or fail in any way, and say so as of trouble that may pass.

    :param work: what is awaited.
    :param call: what that is, in words.
    :param give_up: what is done when it takes too long.
    :param seconds: how long it may take, but never longer than ``LOOK_SECONDS``.
    :raises CatalogError: it did not work, for whatever reason.
    """
    from airflow_provider_catalog.api.errors import CatalogError, UnreachableError

    seconds = min(seconds, LOOK_SECONDS)
    try:
        async with asyncio.timeout(seconds):
            return await work
    except CatalogError:
        raise
    except TimeoutError:
        give_up()
        raise UnreachableError(call, f"there was none within {seconds:.0f} s") from None
    except Exception as error:
        # A mistake of ours over one strange answer must not end what waits.
        log.exception("Asking the platform has failed.")
        raise UnreachableError(call, f"{type(error).__name__}: {error}") from error


class Access:
    """Calls the platform for one trigger; connects anew after trouble, in case the connection has changed."""

    def __init__(self, catalog_conn_id: str, sandbox_name: str | None) -> None:
        self._conn_id = catalog_conn_id
        self._sandbox_name = sandbox_name
        self._client: CatalogClient | None = None
        self._masked: str | None = None

    async def ask(self, question: Callable[[CatalogClient], T], seconds: float = LOOK_SECONDS) -> T:
        """Have a question answered in a thread.

        :param question: asks a client, and nobody else.
        :param seconds: how long that may take.
        :raises CatalogError: it did not work, for whatever reason.
        """
        from airflow_provider_catalog.api.errors import CatalogError

        try:
            return await answered(self._ask(question), "Asking the platform", _leave_threads, seconds)
        except CatalogError:
            self.close()
            raise

    async def _ask(self, question: Callable[[CatalogClient], T]) -> T:
        client = self._client = self._client or await connect(self._conn_id, self._sandbox_name)
        self._masked = await mask_token(client, self._masked)
        return await CALLS.run(lambda: question(client))

    def close(self) -> None:
        """Let go of the client."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _leave_threads() -> None:
    CALLS.leave()
    TOKENS.leave()


async def connect(catalog_conn_id: str, sandbox_name: str | None) -> CatalogClient:
    """Make a client that sends each call once. To be awaited in a trigger's own coroutine, not in a task beside it.

    :raises CatalogError: it did not work, for whatever reason.
    """
    from airflow_provider_catalog.api.errors import CatalogError, UnreachableError

    try:
        return await CatalogHook(catalog_conn_id, sandbox_name, attempts=1).connect()
    except CatalogError:
        raise
    except Exception as error:
        # Airflow's database, its API server or a secrets backend is in trouble, each with exceptions of its own.
        call = f"Reading the connection {catalog_conn_id!r}"
        raise UnreachableError(call, f"{type(error).__name__}: {error}", sent=False) from error


async def mask_token(client: CatalogClient, masked: str | None) -> str:
    """Have the client's token masked in logs, if it is a new one, and give it. In the trigger's own coroutine as well.

    :param masked: the token that was masked before.
    :raises CatalogError: there is no token to be had.
    """
    from airflow.providers.common.compat.sdk import mask_secret
    from asgiref.sync import sync_to_async

    from airflow_provider_catalog.api.errors import UnreachableError

    token = await answered(TOKENS.run(client.auth.token), "Fetching a token", TOKENS.leave)
    if token != masked:
        try:
            await sync_to_async(mask_secret)(token)
        except Exception as error:  # noqa: BLE001 - of any kind
            # Airflow hands it on to other processes of its own. The error's text is left out, since the token may be in it.
            reason = f"Airflow failed with {type(error).__name__}"
            raise UnreachableError("Masking the token in logs", reason, sent=False) from None
    return token
