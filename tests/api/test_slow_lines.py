"""How long a file may take to go out, and how long a connection may take to come about."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

import pytest
from client_stage import MakeClient
from desk import CRM_PROFILES
from peers import deaf_port

from airflow_provider_catalog.api import transport
from airflow_provider_catalog.api.errors import UnreachableError

CONTENT = bytes(range(256)) * 32768  # 8 MiB, more than the buffers of both ends take
STALL = 0.5


class HesitantServer:
    """Reads the head of one request, then nothing for a while, and then the rest; it keeps what it has got of the body."""

    def __init__(self) -> None:
        self.body = b""
        self._listener = socket.socket()
        # Connections inherit it: what is not read stays with the sender.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as request:
                self._answer(connection, request)

    def _answer(self, connection: socket.socket, request: BinaryIO) -> None:
        while request.readline().strip():
            pass
        self._over.wait(STALL)
        self.body = request.read(len(CONTENT))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def hesitant() -> Iterator[HesitantServer]:
    """A server behind a line on which nothing moves for a while."""
    server = HesitantServer()
    yield server
    server.stop()


def test_a_file_may_stall_on_its_way_for_longer_than_a_connection_may_take(
    hesitant: HesitantServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", STALL / 5)
    client = make_client(hesitant.url, access_token="ready", attempts=1)
    client.put_file("B1", CRM_PROFILES, "a.json", lambda: BytesIO(CONTENT))
    assert hesitant.body == CONTENT


def test_a_file_that_stalls_for_longer_than_the_timeout_is_given_up(
    hesitant: HesitantServer, make_client: MakeClient
) -> None:
    client = make_client(hesitant.url, access_token="ready", attempts=1, timeout=STALL / 5)
    with pytest.raises(UnreachableError, match="did not answer in time"):
        client.put_file("B1", CRM_PROFILES, "a.json", lambda: BytesIO(CONTENT))


def test_a_call_without_a_file_does_not_wait_the_whole_timeout_for_a_connection(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.05)
    with deaf_port() as url, pytest.raises(UnreachableError, match="did not take the connection in time"):
        make_client(url, access_token="ready", attempts=1, timeout=3600.0).list_sandboxes()
