"""Lists and bytes of files, as the Data Access API answers with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from ..batches import Json, StoredFile
from ..bodies import BYTES
from ..problems import generic
from . import base_url, platform_of

Item = TypeVar("Item")

_PAGE = 100
_RANGE = re.compile(rb"bytes=(\d+)-(\d*)")


def here(request: Request) -> str:
    """Return the address of a request, without its query."""
    return f"{base_url(request)}{request.url.path}"


def named_file(href: str, path: str, name: str, size: int) -> Json:
    """Return a list's entry for a file that can be read at `href` with ``?path=``."""
    return {
        "name": name,
        "length": str(size),
        "_links": {"self": {"href": f"{href}?path={quote(path, safe='')}"}},
    }


def page(request: Request, items: Sequence[Item], shown_as: Callable[[Item], Json]) -> Response:
    """Return one page of a list, with a link to the next one if there is more. `count` is the total."""
    start, limit = _parameter(request, "start", 0, None), _parameter(request, "limit", 1, _PAGE)
    path = request.query_params.get("path")
    same = f"{here(request)}?path={quote(path, safe='')}&" if path else f"{here(request)}?"
    links: Json = {"page": {"href": f"{same}start={{start}}&limit={{limit}}", "templated": True}}
    if start + limit < len(items):
        links["next"] = {"href": f"{same}start={start + limit}&limit={limit}"}
    shown = {"limit": limit, "count": len(items)}
    data = [shown_as(item) for item in items[start : start + limit]]
    return JSONResponse({"data": data, "_page": shown, "_links": links})


def content(request: Request, file: StoredFile) -> Response:
    """Return the bytes of a file, or the range of them that the request asks for, up to the platform's limit."""
    platform = platform_of(request)
    # The response looks at the header in the request's scope.
    request.scope["headers"] = [
        (name, _shortened(value, platform.settings.range_limit) if name == b"range" else value)
        for name, value in request.scope["headers"]
    ]
    return FileResponse(platform.store.file(file.stored_as), media_type=BYTES)


def _shortened(wanted: bytes, limit: int) -> bytes:
    match = _RANGE.fullmatch(wanted)
    if not match:
        return wanted
    try:
        first, most = int(match[1]), int(match[1]) + limit - 1
        return f"bytes={first}-{min(int(match[2] or most), most)}".encode()
    except ValueError:  # Python reads no number of thousands of digits
        raise generic(400, "The numbers of the Range are too long.") from None


def _parameter(request: Request, name: str, least: int, most: int | None) -> int:
    """Return a paging parameter: by default the start, or a whole page."""
    value = request.query_params.get(name, str(most or least))
    if not value.isdecimal() or int(value) < least or (most is not None and int(value) > most):
        raise generic(400, f"Invalid value for {name}: {value}")
    return int(value)
