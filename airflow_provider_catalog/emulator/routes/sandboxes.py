"""The Sandbox API, ``/data/foundation/sandbox-management``: the list of sandboxes. It ignores ``x-sandbox-name``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..batches import Json
from ..platform import sandbox_id
from ..settings import DEFAULT_SANDBOX, SANDBOXES
from . import base_url

_ROOT = "/data/foundation/sandbox-management"
_CREATED = "2024-01-15 09:00:00"


async def list_sandboxes(request: Request) -> Response:
    """``GET /``: the sandboxes that the caller can use."""
    page = f"{base_url(request)}{_ROOT}/?limit={{limit}}&offset={{offset}}"
    return JSONResponse(
        {
            "sandboxes": [_sandbox(name) for name in SANDBOXES],
            "_page": {"limit": 100, "count": len(SANDBOXES)},
            "_links": {"page": {"href": page, "templated": True}},
        }
    )


def _sandbox(name: str) -> Json:
    default = name == DEFAULT_SANDBOX
    return {
        "id": sandbox_id(name),
        "name": name,
        "title": name.capitalize(),
        "state": "active",
        "type": "production" if default else "development",
        "region": "VA7",
        "isDefault": default,
        "eTag": 1,
        "createdDate": _CREATED,
        "lastModifiedDate": _CREATED,
    }


routes = [Route(f"{_ROOT}/", list_sandboxes), Route(_ROOT, list_sandboxes)]
