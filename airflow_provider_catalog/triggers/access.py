"""How a trigger reaches the platform: its connection in the trigger's own coroutine, its calls in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_catalog.hooks.catalog import CatalogHook

if TYPE_CHECKING:
    from airflow_provider_catalog.api.client import CatalogClient

THREADS = 4

T = TypeVar("T")


class Access:
    """Calls the platform for one trigger; connects anew after trouble, in case the connection has changed."""

    def __init__(self, catalog_conn_id: str, sandbox_name: str | None) -> None:
        self._conn_id = catalog_conn_id
        self._sandbox_name = sandbox_name
        self._client: CatalogClient | None = None
        self._masked: str | None = None

    async def ask(self, question: Callable[[CatalogClient], T]) -> T:
        """Have a question answered in a thread.

        :param question: asks a client, and nobody else.
        :raises CatalogError: it did not work, for whatever reason.
        """
        from airflow_provider_catalog.api.errors import CatalogError

        try:
            client = self._client = self._client or await connect(self._conn_id, self._sandbox_name)
            self._masked = await mask_token(client, self._masked)
            return await in_thread(lambda: question(client))
        except CatalogError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the client."""
        if self._client is not None:
            self._client.close()
            self._client = None


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

    token = await in_thread(client.auth.token)
    if token != masked:
        try:
            await sync_to_async(mask_secret)(token)
        except Exception as error:  # noqa: BLE001 - of any kind
            # Airflow hands it on to other processes of its own. The error's text is left out, since the token may be in it.
            reason = f"Airflow failed with {type(error).__name__}"
            raise UnreachableError("Masking the token in logs", reason, sent=False) from None
    return token


async def in_thread(function: Callable[[], T]) -> T:
    """Run what blocks on a thread of this package's own."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), function)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="adobe-catalog-arrivals")
