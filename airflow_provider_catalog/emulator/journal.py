"""The request log: every request that a client sent, without its secrets."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from .bodies import parsed_json
from .clock import Clock
from .wire import Wire

REDACTED = "<redacted>"
_LENGTH = 100_000
_BODY_LIMIT = 256 * 1024
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
_SECRET_FIELDS = frozenset(
    {"client_secret", "access_token", "refresh_token", "id_token", "jwt_token", "password"}
)


@dataclass
class Entry:
    """One request. `status` is None while it is being worked on, and "dropped" if it got no answer."""

    n: int
    time: float
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    connection: int | None
    request_body: Any = None
    request_size: int = 0
    status: int | Literal["dropped"] | None = None


class Journal:
    """The entries, oldest first; the oldest are forgotten after a hundred thousand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._entries: deque[Entry] = deque(maxlen=_LENGTH)

    def open(self, scope: Scope, wire: Wire) -> Entry:
        """Note that a request has arrived."""
        entry = Entry(
            n=next(self._numbers),
            time=self._clock.now(),
            method=scope["method"],
            path=scope["path"],
            query=_without_secrets(
                parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            ),
            headers=[(name, _header_value(name, value)) for name, value in wire.headers],
            connection=wire.client_port,
        )
        self._entries.append(entry)
        return entry

    def entries(self) -> list[Entry]:
        """Return the entries, oldest first."""
        return list(self._entries)

    def clear(self) -> None:
        """Forget all entries; numbers go on."""
        self._entries.clear()


class Listener:
    """Stands between server and application for one request, and writes into its entry what passes by."""

    def __init__(self, entry: Entry, receive: Receive, send: Send) -> None:
        self._entry = entry
        self._receive = receive
        self._send = send
        self._body = bytearray()
        self._client_is_gone = False

    async def receive(self) -> Message:
        """Pass on what the client sends; count it, and keep it if it is short."""
        message = await self._receive()
        self._client_is_gone = message["type"] == "http.disconnect"
        chunk = message.get("body", b"")
        self._entry.request_size += len(chunk)
        if self._entry.request_size <= _BODY_LIMIT:
            self._body += chunk
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the application answers."""
        if message["type"] == "http.response.start" and not self._client_is_gone:
            self._entry.status = message["status"]
        await self._send(message)

    def close(self) -> None:
        """Write down the request's body, and that there was no answer if there was none."""
        self._entry.request_body = self._readable_body()
        self._entry.status = self._entry.status or "dropped"

    def _readable_body(self) -> Any:
        headers = {name.lower(): value for name, value in self._entry.headers}
        content_type = headers.get("content-type", "")
        if self._entry.request_size > _BODY_LIMIT or not self._body:
            return None
        if content_type.startswith("application/x-www-form-urlencoded"):
            return dict(_without_secrets(parse_qsl(self._body.decode("latin-1"))))
        if content_type.startswith("application/json"):
            return _parsed(bytes(self._body))
        return None


def _parsed(body: bytes) -> Any:
    try:
        return _redacted(parsed_json(body))
    except ValueError:
        return None


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: REDACTED if key in _SECRET_FIELDS else _redacted(each) for key, each in value.items()}
    return [_redacted(each) for each in value] if isinstance(value, list) else value


def _without_secrets(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, REDACTED if name in _SECRET_FIELDS else value) for name, value in pairs]


def _header_value(name: str, value: str) -> str:
    return REDACTED if name.lower() in _SECRET_HEADERS else value
