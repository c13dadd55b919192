"""The pages for people: sandboxes, datasets and batches. They show no secrets and no records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ..batches import Batch, Json
from ..catalog import batch_document
from ..diagnostics import reports_of
from ..platform import Platform
from ..settings import SANDBOXES
from . import platform_of

_NEWEST = 20
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .35rem .6rem; }
th { font-weight: 600; } tr { border-bottom: 1px solid var(--line); } td.number { font-variant-numeric: tabular-nums; }
code { font-size: .9em; } .status { padding: .1rem .5rem; border-radius: 1rem; background: var(--soft); }
.success, .active { background: #2a84; } .failed, .failure, .aborted, .abandoned { background: #c334; }
nav, footer { opacity: .75; font-size: .9rem; } footer { margin-top: 3rem; }
"""


async def overview(request: Request) -> Response:
    """``GET /``: every sandbox with its datasets and its newest batches."""
    platform = platform_of(request)
    parts = []
    for sandbox in SANDBOXES:
        batches = list(platform.batches.in_sandbox(sandbox))
        parts += [f"<h2>Sandbox <code>{escape(sandbox)}</code></h2>", _datasets(platform, sandbox, batches)]
        parts.append(_batches(platform, batches[-_NEWEST:]))
    return _page("Catalog emulator", "".join(parts))


async def dataset(request: Request) -> Response:
    """``GET /ui/{sandbox}/datasets/{id}``: a dataset and its batches."""
    platform = platform_of(request)
    sandbox, dataset_id = request.path_params["sandbox"], request.path_params["dataset"]
    body = platform.datasets.get(sandbox, dataset_id)
    if body is None:
        raise HTTPException(404)
    batches = [each for each in platform.batches.in_sandbox(sandbox) if each.opening.dataset_id == dataset_id]
    facts = {"Id": dataset_id, "Schema": body.get("schemaRef", {}).get("id", ""), "Sandbox": sandbox}
    return _page(body["name"], _facts(facts) + "<h2>Batches</h2>" + _batches(platform, batches))


async def batch(request: Request) -> Response:
    """``GET /ui/{sandbox}/batches/{id}``: a batch with its files, its errors, and the names of its diagnostics."""
    platform = platform_of(request)
    found = platform.batches.get(request.path_params["sandbox"], request.path_params["batch"])
    shown = batch_document(platform, found, platform.clock.now()) if found else None
    if found is None or shown is None:
        raise HTTPException(404)
    link = _dataset_link(platform, found.sandbox, found.opening.dataset_id)
    facts = {"External id": found.external_id, "Sandbox": found.sandbox, "Created": _moment(found.created_at)}
    files = _table(("File", "Bytes"), _files(found))
    errors = _table(("Code", "Description", "Rows"), (_error(each) for each in shown.get("errors", [])))
    reports = reports_of(found, platform.clock.now(), platform.settings.diagnostics_retention)
    told = _table(("File", "Bytes"), ((escape(each.path), each.size) for each in reports))
    content = f"<p>{_status(shown['status'])} in {link}</p>{_facts(facts)}{_facts(shown.get('metrics', {}))}"
    content += f"<h2>Files</h2>{files}<h2>Errors</h2>{errors}<h2>Diagnostics</h2>{told}"
    return _page(f"Batch {found.id}", content)


def _files(batch: Batch) -> Iterable[tuple[str | int, ...]]:
    for file in batch.files.values():
        yield escape(file.path), file.size
    for upload in batch.uploads.values():
        yield f"{escape(upload.path)} (not completed)", upload.received


def _datasets(platform: Platform, sandbox: str, batches: list[Batch]) -> str:
    counts = dict.fromkeys(platform.datasets.all(sandbox), 0)
    for each in batches:
        counts[each.opening.dataset_id] += 1
    return _table(
        ("Dataset", "Id", "Batches"),
        (
            (_dataset_link(platform, sandbox, dataset_id), f"<code>{escape(dataset_id)}</code>", count)
            for dataset_id, count in counts.items()
        ),
    )


def _batches(platform: Platform, batches: Iterable[Batch]) -> str:
    newest_first = sorted(batches, key=lambda each: each.created_at, reverse=True)
    header = ("Batch", "Status", "Dataset", "Created", "Files", "Read", "Written", "Failed")
    return _table(header, (_batch_row(platform, each) for each in newest_first))


def _batch_row(platform: Platform, each: Batch) -> tuple[str | int, ...]:
    shown = batch_document(platform, each, platform.clock.now()) or {}
    metrics = shown.get("metrics", {})
    names = ("inputRecordCount", "outputRecordCount", "failedRecordCount")
    return (
        f'<a href="/ui/{quote(each.sandbox)}/batches/{quote(each.id)}"><code>{escape(each.id)}</code></a>',
        _status(shown.get("status", "")),
        _dataset_link(platform, each.sandbox, each.opening.dataset_id),
        _moment(each.created_at),
        len(each.files),
        *(_count(metrics.get(name, "")) for name in names),
    )


def _dataset_link(platform: Platform, sandbox: str, dataset_id: str) -> str:
    body = platform.datasets.get(sandbox, dataset_id) or {}
    name = escape(body.get("name", dataset_id))
    return f'<a href="/ui/{quote(sandbox)}/datasets/{quote(dataset_id)}">{name}</a>'


def _status(status: str) -> str:
    return f'<span class="status {escape(status)}">{escape(status)}</span>'


def _error(error: Json) -> tuple[str | int, ...]:
    code = f"<code>{escape(str(error.get('code', '')))}</code>"
    return code, escape(str(error.get("description", ""))), _count(error.get("recordCount", ""))


def _count(value: object) -> str | int:
    """Return a number as it is, and as text what a test may have put in its place."""
    return value if isinstance(value, int) else escape(str(value))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _facts(facts: Json) -> str:
    return _table(
        (), ((escape(str(name)), f"<code>{escape(str(value))}</code>") for name, value in facts.items())
    )


def _table(header: tuple[str, ...], rows: Iterable[tuple[str | int, ...]]) -> str:
    """Return a table. Texts in cells are HTML already; numbers are set to the right."""
    lines = ["".join(_cell(value) for value in row) for row in rows]
    if not lines:
        return "<p>None yet.</p>" if header else ""
    head = "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>" if header else ""
    return f"<table>{head}{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(value: str | int) -> str:
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f"<td>{value}</td>"


def _page(title: str, content: str) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<nav><a href="/">Catalog emulator</a></nav><h1>{escape(title)}</h1>{content}'
        "<footer>An emulator of Adobe Experience Platform's batch ingestion. Not affiliated with Adobe.</footer>"
        "</body></html>",
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


routes = [
    Route("/", overview),
    Route("/ui/{sandbox}/datasets/{dataset}", dataset),
    Route("/ui/{sandbox}/batches/{batch}", batch),
]
