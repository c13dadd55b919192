"""The Sandbox API, ``/data/foundation/sandbox-management``: the list of sandboxes. It ignores ``x-sandbox-name``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..batches import Json
from ..platform import sandbox_id
from ..problems import generic
from ..query import number
from ..settings import DEFAULT_SANDBOX, SANDBOXES
from . import base_url

_ROOT = "/data/foundation/sandbox-management"
_CREATED = "2024-01-15 09:00:00"
_DEFAULT_LIMIT = 50


async def list_sandboxes(request: Request) -> Response:
    """``GET /``: a page of the sandboxes that the caller can use."""
    limit, offset = _paging(request)
    shown = SANDBOXES[offset : offset + limit]
    page = f"{base_url(request)}{_ROOT}/?limit={{limit}}&offset={{offset}}"
    return JSONResponse(
        {
            "sandboxes": [_sandbox(name) for name in shown],
            "_page": {"limit": limit, "count": len(shown)},
            "_links": {"page": {"href": page, "templated": True}},
        }
    )


def _paging(request: Request) -> tuple[int, int]:
    """Give limit and offset. They can only be had together; without them the first 50 are listed.

    Raises Refusal (400).
    """
    given = {name: request.query_params[name] for name in ("limit", "offset") if name in request.query_params}
    if len(given) == 1:
        raise generic(400, "limit and offset have to be specified together")
    limit, offset = given.get("limit", str(_DEFAULT_LIMIT)), given.get("offset", "0")
    return number("limit", limit, 1, None), number("offset", offset, 0, None)


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
