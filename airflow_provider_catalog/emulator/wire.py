"""The socket beneath a request: header names as they were sent, and ways to hang up.

ASGI hides both. Header names arrive there in lower case, and an application cannot break a connection; a test
needs to see the one and to do the other.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, cast

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

_KEY = "emulator.wire"
_MAX_HEAD = 256 * 1024  # a longer URL than the gateway takes must still be read, to be refused


class Wire:
    """One request's connection."""

    def __init__(self, transport: asyncio.Transport, headers: list[tuple[bytes, bytes]]) -> None:
        self._transport = transport
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        peer = transport.get_extra_info("peername")
        self.client_port: int | None = peer[1] if peer else None

    def reset(self) -> None:
        """Break the connection, if it is still there: the peer sees a reset (RST)."""
        if self._transport.is_closing():
            return
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def close(self) -> None:
        """Close the connection after what was already written: the peer sees the end of the stream (FIN)."""
        self._transport.close()


def wire_of(scope: Scope) -> Wire:
    """Return the connection of a request."""
    return cast(Wire, scope[_KEY])


async def until_gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Connection(h11.Connection):
    """Remembers the request that was parsed last."""

    request: h11.Request

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.request = event
        return event


class WireProtocol(H11Protocol):
    """Uvicorn's HTTP protocol, which also hands each request its `Wire`."""

    def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.conn = _Connection(h11.SERVER, _MAX_HEAD)
        application: Any = self.app

        async def with_wire(scope: Scope, receive: Receive, send: Send) -> None:
            raw_headers = cast(_Connection, self.conn).request.headers.raw_items()
            scope[_KEY] = Wire(self.transport, raw_headers)
            await application(scope, receive, send)

        self.app = with_wire
