"""Servers that keep no rules: one that writes down what arrives, byte for byte, and answers as it is told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Protocol

Act = Callable[[socket.socket, "Peer"], None]


class Peer(Protocol):
    """What a running server tells and knows."""

    url: str
    received: list[bytes]
    over: threading.Event


class _Server:
    """Answers the first request with the first act, the second with the second, and all later ones with the last."""

    def __init__(self, acts: Sequence[Act], tls: ssl.SSLContext | None) -> None:
        self.received: list[bytes] = []
        self.over = threading.Event()
        self._acts = acts
        self._turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self._secured(connection) as connection:
            while request := _read_request(connection):
                with self._turn:
                    act = self._acts[min(len(self.received), len(self._acts) - 1)]
                    self.received.append(request)
                act(connection, self)


@contextlib.contextmanager
def peer(*acts: Act, tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Run a server for the length of a ``with`` block; with a certificate, if it is given one."""
    server = _Server(acts, tls)
    try:
        yield server
    finally:
        server.stop()


def answer(status: int = 200, body: str | bytes = "", kind: str = "application/json", **headers: str) -> Act:
    """Answer properly. Underscores in names of headers stand for hyphens."""
    content = body.encode() if isinstance(body, str) else body
    lines = {
        "Content-Type": kind,
        "Content-Length": str(len(content)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return say(head.encode() + b"\r\n" + content)


def say(data: bytes) -> Act:
    """Send bytes, whatever they mean."""
    return lambda connection, _: connection.sendall(data)


def hang_up(data: bytes = b"") -> Act:
    """Send bytes, and close the connection."""

    def act(connection: socket.socket, _: Peer) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return act


def reset() -> Act:
    """Break the connection."""

    def act(connection: socket.socket, _: Peer) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return act


def silence() -> Act:
    """Say nothing for as long as the server runs."""

    def act(_: socket.socket, server: Peer) -> None:
        server.over.wait()

    return act


def tunnel(tls: ssl.SSLContext, calls: list[bytes]) -> Act:
    """Be a proxy whose tunnel leads to a platform that notes each call, and closes the connection without an answer."""

    def act(connection: socket.socket, _: Peer) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as secured:
            calls.append(_read_request(secured))

    return act


def closed_port() -> str:
    """Give an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def deaf_port() -> Iterator[str]:
    """Give an address that takes no further connection: its queue is full, so that a knock is not even refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            knock = stack.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(65536)
        if not block:
            return b""
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    while len(body) < _content_length(head):
        block = connection.recv(65536)
        if not block:
            break
        body += block
    return head + b"\r\n\r\n" + body


def _content_length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)
