"""The gateway in front of all platform services: what it checks, in the order in which it checks it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request

from .problems import Refusal, gateway, generic, problem
from .settings import DEFAULT_SANDBOX, SANDBOXES

if TYPE_CHECKING:
    from .platform import Platform

PLATFORM_PATHS = "/data/"
URL_LIMIT = 2000

_BEARER = re.compile(r"Bearer (\S+)")
_ORG = re.compile(r"[0-9A-Za-z]+@[Aa]dobe[Oo]rg")
_SANDBOXLESS = "/data/foundation/sandbox-management"

Check = Callable[["Platform", Request], Refusal | None]


def refusal(platform: Platform, request: Request) -> Refusal | None:
    """Return what the gateway has against a request, or None."""
    return next((found for check in CHECKS if (found := check(platform, request))), None)


def sandbox_of(request: Request) -> str:
    """Return the sandbox of a request. Without the header that is production: the real platform does the same."""
    return request.headers.get("x-sandbox-name", DEFAULT_SANDBOX)


def bearer_token(request: Request) -> str | None:
    """Return the access token of a request, if it carries one in the right form."""
    match = _BEARER.fullmatch(request.headers.get("authorization", ""))
    return match[1] if match else None


def _url(platform: Platform, request: Request) -> Refusal | None:
    too_long = _length_on_the_wire(request) > URL_LIMIT
    return generic(414, f"The URL is longer than {URL_LIMIT} characters.") if too_long else None


def _length_on_the_wire(request: Request) -> int:
    """Return the length of the URL as the client has written it: what is percent-encoded counts three for each byte."""
    path, query = request.scope["raw_path"], request.scope["query_string"]
    server = f"{request.url.scheme}://{request.url.netloc}"
    return len(server) + len(path) + (len(b"?") + len(query) if query else 0)


def _api_key(platform: Platform, request: Request) -> Refusal | None:
    key = request.headers.get("x-api-key")
    if not key:
        return gateway("403000", "Api Key is required")
    return None if key == platform.settings.client_id else gateway("403003", "Api Key is invalid")


def _authorization(platform: Platform, request: Request) -> Refusal | None:
    if not request.headers.get("authorization"):
        return gateway("403010", "Oauth token is missing.")
    valid = platform.tokens.valid(bearer_token(request) or "")
    return None if valid else gateway("401013", "Oauth token is not valid")


def _organisation(platform: Platform, request: Request) -> Refusal | None:
    org = request.headers.get("x-gw-ims-org-id")
    if not org:
        return gateway("400003", "Missing required header x-gw-ims-org-id")
    if org == platform.settings.org:
        return None
    if _ORG.fullmatch(org):
        return gateway("403025", "Profile is not valid")
    return gateway("403027", "User region is missing")


def _sandbox(platform: Platform, request: Request) -> Refusal | None:
    """Refuse a sandbox that is not there.

    A gateway that grants access per sandbox cannot tell "unknown" from "not yours", hence 403 and not 404.
    """
    name = sandbox_of(request)
    if name in SANDBOXES or request.url.path.startswith(_SANDBOXLESS):
        return None
    return problem(403, f"The sandbox {name!r} does not exist, or you have no access to it.", "UIS-4064")


CHECKS: tuple[Check, ...] = (_url, _api_key, _authorization, _organisation, _sandbox)
