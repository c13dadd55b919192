"""Running the emulator: in this process beside a test, or for good from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from .app import create_app
from .platform import Platform
from .settings import Settings
from .wire import WireProtocol

CONNECTION_VARIABLE = "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"
_TICK = 0.1  # seconds, as uvicorn has it: its clock for the Date header counts these
_KEEP_ALIVE = 75  # seconds; longer than any test waits between two requests on one connection


class _Server(uvicorn.Server):
    """Uvicorn, but it says when it is ready, and when told to stop it does so at once, hanging up on its clients.

    Uvicorn itself looks only every tenth of a second whether to stop, and then waits for another tenth: too long for
    tests that start an emulator each.
    """

    def __init__(self, platform: Platform) -> None:
        super().__init__(_config(platform))
        self._platform = platform
        self.ready = threading.Event()

    def stop(self) -> None:
        """Stop; may be called from any thread."""
        self.should_exit = True
        with contextlib.suppress(RuntimeError):  # it has stopped already
            self._loop.call_soon_threadsafe(self._awake.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), _TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._platform.promotions.stop()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Emulator:
    """An emulator that answers at `url`.

    `connection` is the Airflow connection that reaches it, as a dict; `platform` is its state, for tests in the same
    process.
    """

    def __init__(self, platform: Platform, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        self.url = f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
        self.platform = platform
        self._listener = listener
        self._server = _Server(platform)
        self._thread = threading.Thread(target=self.serve, name="catalog-emulator", daemon=True)

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection that reaches the emulator, for the sandbox ``dev``."""
        settings = self.platform.settings
        return {
            "conn_type": "adobe_catalog",
            "host": self.url,
            "login": settings.client_id,
            "password": settings.client_secret,
            "extra": {"ims_org_id": settings.org, "sandbox_name": "dev", "ims_host": self.url},
        }

    @property
    def environment(self) -> dict[str, str]:
        """The environment variable that defines the connection."""
        return {CONNECTION_VARIABLE: json.dumps(self.connection)}

    @property
    def issued_tokens(self) -> tuple[str, ...]:
        """Every access token given out so far."""
        return self.platform.tokens.issued

    @property
    def ready(self) -> threading.Event:
        """Set as soon as connections are accepted."""
        return self._server.ready

    def serve(self) -> None:
        """Answer requests until stopped, or interrupted by a signal in the main thread."""
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Answer requests in a thread; return when connections are accepted."""
        self._thread.start()
        self.ready.wait()

    def stop(self) -> None:
        """Hang up on all clients and accept no more. Stopping twice does no harm."""
        self._server.stop()
        self._thread.join()


@contextlib.contextmanager
def running(
    settings: Settings | None = None, data_dir: Path | str | None = None, port: int = 0
) -> Iterator[Emulator]:
    """Run an emulator on the loopback address for the length of a ``with`` block, in a thread of this process.

    Port 0 picks a free one. Without `data_dir` everything is gone afterwards.
    """
    with opened(settings or Settings(), data_dir) as platform:
        emulator = Emulator(platform, listen("127.0.0.1", port))
        emulator.start()
        try:
            yield emulator
        finally:
            emulator.stop()


@contextlib.contextmanager
def opened(settings: Settings, data_dir: Path | str | None) -> Iterator[Platform]:
    """Open a platform in a folder, or in a temporary one that is removed at the end."""
    with contextlib.nullcontext(data_dir) if data_dir else _temporary_folder() as folder:
        platform = Platform(settings, Path(folder))
        with contextlib.closing(platform):
            yield platform


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="catalog-emulator-", ignore_cleanup_errors=True)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio does not recognise TCP, leaves Nagle's algorithm on, and answers 40 ms late.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _config(platform: Platform) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(platform),
        http=WireProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",  # what breaks here is logged by the application; hanging up is no error
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )
