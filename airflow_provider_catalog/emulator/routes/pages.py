"""The pages for people: sandboxes, datasets and batches. They show no secrets and no records.

They come from the templates and files in ``../web``, and need neither scripts nor anything from elsewhere: the one script
there is only keeps a page up to date.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .. import views
from ..settings import SANDBOXES
from . import base_url, platform_of

ROOT = "/ui/"

_WEB = Path(__file__).parent.parent / "web"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def is_page(path: str) -> bool:
    """Say whether a path is that of a page or of what it is made of, rather than one of the platform's."""
    return path == "/" or path.startswith(ROOT)


async def overview(request: Request) -> Response:
    """``GET /``: every sandbox with its datasets, and the newest batches of all."""
    platform = platform_of(request)
    sandboxes = {sandbox: views.dataset_rows(platform, sandbox) for sandbox in SANDBOXES}
    batches = views.newest_first(platform.batches.all())
    rows = views.batch_rows(platform, batches[: views.NEWEST])
    return _page(
        request, "overview", sandboxes=sandboxes, batches=rows, total=len(batches), api=base_url(request)
    )


async def dataset(request: Request) -> Response:
    """``GET /ui/{sandbox}/datasets/{id}?page=``: a dataset and its batches, the newest first."""
    platform = platform_of(request)
    sandbox, dataset_id = request.path_params["sandbox"], request.path_params["dataset"]
    body = platform.datasets.get(sandbox, dataset_id)
    if body is None:
        return _missing(request, "dataset", dataset_id, sandbox)
    batches = (each for each in platform.batches.in_sandbox(sandbox) if each.opening.dataset_id == dataset_id)
    newest = views.newest_first(batches)
    last = max(1, -(-len(newest) // views.PAGE))
    number = _number(request.query_params.get("page", ""), last)
    some = newest[(number - 1) * views.PAGE : number * views.PAGE]
    return _page(
        request,
        "dataset",
        row=views.dataset_row(platform, views.Dataset(sandbox, dataset_id, body), newest),
        batches=views.batch_rows(platform, some),
        total=len(newest),
        page=number,
        last=last,
        newer=f"?{urlencode({'page': number - 1})}" if number > 1 else None,
        older=f"?{urlencode({'page': number + 1})}" if number < last else None,
    )


async def batch(request: Request) -> Response:
    """``GET /ui/{sandbox}/batches/{id}``: a batch, its files, errors, diagnostics by name, statuses and requests."""
    platform = platform_of(request)
    sandbox, batch_id = request.path_params["sandbox"], request.path_params["batch"]
    found = platform.batches.get(sandbox, batch_id)
    rows = views.batch_rows(platform, [found]) if found else []
    if found is None or not rows:
        return _missing(request, "batch", batch_id, sandbox)
    requests, older_requests = views.request_rows(platform, found)
    return _page(
        request,
        "batch",
        row=rows[0],
        files=views.file_rows(found),
        reports=views.report_rows(platform, found),
        steps=views.step_rows(platform, found),
        requests=requests,
        older_requests=older_requests,
    )


def _number(text: str, last: int) -> int:
    """Read the number of a page; anything else leads to the first one, and a number too large to the last."""
    return min(max(int(text), 1), last) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


def _missing(request: Request, kind: str, name: str, sandbox: str) -> Response:
    return _page(request, "missing", 404, kind=kind, name=name, sandbox=sandbox)


def _page(request: Request, template: str, status: int = 200, **shown: Any) -> Response:
    platform = platform_of(request)
    html = _templates.get_template(f"{template}.html").render(
        **shown, now=platform.clock.now(), clock=platform.clock, settings=platform.settings
    )
    return HTMLResponse(html, status, _HEADERS)


def _age(seconds: float) -> str:
    """Say how long something takes or is ago, in one unit: ``12 s``."""
    size, unit = next((each for each in _AGES if seconds >= each[0]), (1, "s"))
    return f"{int(seconds // size)} {unit}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _machine_moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _count(value: object) -> str:
    """Return a number with separators, and as text what a test may have put in its place."""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _tag(value: object) -> str:
    """Return the value of a tag, of which some are lists, as text."""
    if isinstance(value, list):
        return ", ".join(map(_tag, value))
    return value if isinstance(value, str) else json.dumps(value)


_templates = Environment(
    loader=FileSystemLoader(_WEB),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "age": _age,
    "moment": _moment,
    "machine_moment": _machine_moment,
    "count": _count,
    "tag": _tag,
}
_templates.globals |= {"meanings": views.MEANINGS, "record_counts": views.RECORD_COUNTS, "most": views.MOST}

routes = [
    Route("/", overview),
    Mount("/ui/static", StaticFiles(directory=_WEB / "static")),
    Route("/ui/{sandbox}/datasets/{dataset}", dataset),
    Route("/ui/{sandbox}/batches/{batch}", batch),
]
