"""The ASGI application: the way of a request from the socket to a service, and of the answer back."""

from __future__ import annotations

import logging
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .faults import suffer
from .gateway import PLATFORM_PATHS, bearer_token, refusal
from .journal import Entry, Listener
from .platform import Platform
from .problems import Refusal, answer_refusal, generic, problem, refusal_response
from .routes import (
    bulk_import,
    catalog,
    data_access,
    diagnostics,
    ims,
    pages,
    sandboxes,
    schema_registry,
    steering,
)
from .wire import wire_of

_log = logging.getLogger(__name__)

_SERVICES = (
    ims,
    bulk_import,
    catalog,
    schema_registry,
    sandboxes,
    data_access,
    diagnostics,
    steering,
    pages,
)


def create_app(platform: Platform) -> ASGIApp:
    """Return the application that serves a platform. It runs under `.wire.WireProtocol` only."""
    services = Starlette(
        routes=[route for service in _SERVICES for route in service.routes],
        exception_handlers={
            Refusal: answer_refusal,
            HTTPException: _no_such_thing,
            Exception: _broken,
            **bulk_import.on_errors,
        },
    )
    services.state.platform = platform
    services.router.redirect_slashes = False
    return _Front(platform, services)


class _Front:
    """What happens to every request before a service sees it."""

    def __init__(self, platform: Platform, services: ASGIApp) -> None:
        self._platform = platform
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(steering.ROOT):
            await self._steer(scope, receive, send)
        elif pages.is_page(scope["path"]):
            # Somebody who looks on is no client: not in the log, and not the one whom faults are meant for.
            await self._serve(None, scope, receive, send)
        else:
            await self._log(scope, receive, send)

    async def _steer(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None if steering.is_local(Request(scope)) else problem(403, "Only for this machine.")
        await self._serve(refused, scope, receive, send)

    async def _log(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = self._platform.journal.open(scope, wire_of(scope))
        listener = Listener(entry, receive, _with_request_id(scope, send))
        try:
            await self._fault(entry, scope, listener.receive, listener.send)
        finally:
            listener.close()

    async def _fault(self, entry: Entry, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        effect = self._platform.faults.effect_on(scope["method"], scope["path"], query)
        if effect is None:
            await self._check(scope, receive, send)
            return
        if effect.expire_token:
            self._platform.tokens.expire(bearer_token(Request(scope)) or "")
        hold = partial(self._platform.holds.hold, entry)
        await suffer(effect, hold, self._check, scope, receive, send)

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["path"].startswith(PLATFORM_PATHS)
        refused = refusal(self._platform, Request(scope)) if guarded else None
        await self._serve(refused, scope, receive, send)

    async def _serve(self, refused: Refusal | None, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refusal_response(refused) if refused else self._services
        await answer(scope, receive, send)


def _with_request_id(scope: Scope, send: Send) -> Send:
    """Return a `send` that puts the client's request id, or a new one, on the answer."""
    request_id = Request(scope).headers.get("x-request-id") or uuid4().hex

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            # A fault may have given its answer an id already.
            if not any(name == b"x-request-id" for name, _ in headers):
                headers.append((b"x-request-id", request_id.encode("latin-1")))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_id


async def _no_such_thing(request: Request, error: Exception) -> Response:
    """Answer a path or method that no service has."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for HTTPException alone
    refused = generic(error.status_code, HTTPStatus(error.status_code).phrase)
    refused.headers = dict(error.headers or {})
    return refusal_response(refused)


async def _broken(request: Request, error: Exception) -> Response:
    """Answer a request on which the emulator itself stumbled; the server's log has the reason."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return refusal_response(generic(500, "The emulator failed: see its log."))
