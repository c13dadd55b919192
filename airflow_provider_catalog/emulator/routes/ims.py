"""IMS, Adobe's identity service: tokens for a client id and secret (OAuth Server-to-Server).

Errors have the shape of OAuth 2.0 (RFC 6749, section 5.2), since Adobe documents none.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..bodies import LIMIT, media_type, short_body
from ..problems import Refusal
from . import platform_of

_REQUIRED = ("grant_type", "client_id", "client_secret", "scope")
_SCOPES = frozenset(
    {
        "openid",
        "session",
        "AdobeID",
        "read_organizations",
        "additional_info.projectedProductContext",
        "additional_info.roles",
        "adobeio_api",
        "read_client_secret",
        "manage_client_secrets",
    }
)


async def token(request: Request) -> Response:
    """Give out an access token. The fields are in the form body or, discouraged, in the query."""
    platform = platform_of(request)
    fields = {**request.query_params, **await _form(request)}
    _check_request(fields)
    _check_client(fields, platform.settings.client_id, platform.settings.client_secret)
    lifetime = platform.settings.token_lifetime
    body = {
        "access_token": platform.tokens.issue(lifetime),
        "token_type": "bearer",
        "expires_in": int(lifetime),
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def _form(request: Request) -> dict[str, str]:
    try:
        body = await short_body(request)
    except Refusal as refused:
        raise _oauth_error(
            refused.status, "invalid_request", f"the body has more than {LIMIT} bytes"
        ) from None
    if not body:
        return {}
    if media_type(request) != "application/x-www-form-urlencoded":
        raise _oauth_error(400, "invalid_request", "the body must be a form")
    return dict(parse_qsl(body.decode("latin-1")))


def _check_request(fields: dict[str, str]) -> None:
    missing = [name for name in _REQUIRED if not fields.get(name)]
    if missing:
        raise _oauth_error(400, "invalid_request", f"missing: {', '.join(missing)}")
    if fields["grant_type"] != "client_credentials":
        raise _oauth_error(400, "unsupported_grant_type", "the grant type must be client_credentials")
    unknown = {scope.strip() for scope in fields["scope"].split(",")} - _SCOPES
    if unknown:
        raise _oauth_error(400, "invalid_scope", f"unknown scopes: {', '.join(sorted(unknown))}")


def _check_client(fields: dict[str, str], client_id: str, client_secret: str) -> None:
    if fields["client_id"] != client_id:
        raise _oauth_error(400, "invalid_client", "the client id is unknown")
    if not hmac.compare_digest(fields["client_secret"].encode(), client_secret.encode()):
        raise _oauth_error(401, "invalid_client", "the client secret is wrong")


def _oauth_error(status: int, error: str, description: str) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})


routes = [Route("/ims/token/v3", token, methods=["POST"])]
