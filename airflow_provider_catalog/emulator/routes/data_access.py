"""The Data Access API, ``/data/foundation/export``: what a promoted batch consists of.

The real platform rewrites a batch into Parquet. Here a batch is one dataset file, a directory that holds the files
as they were uploaded; those of which some rows were rejected hold the others, as JSON with one row on each line.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..batches import Batch, Json
from ..clock import milliseconds
from ..gateway import sandbox_of
from ..ingestion import find_batch
from ..lifecycle import SUCCEEDED
from ..platform import Platform
from ..problems import problem
from . import base_url, platform_of
from .listing import content, here, named_file, page

_ROOT = "/data/foundation/export"


async def list_batch_files(request: Request) -> Response:
    """``GET /batches/{id}/files``: the dataset files of a batch; none before it is promoted."""
    platform = platform_of(request)
    batch = find_batch(platform, sandbox_of(request), request.path_params["batch"])
    batches = [batch] if _promoted(platform, batch) else []
    return page(request, batches, lambda each: _dataset_file(request, platform, each))


async def get_file(request: Request) -> Response:
    """``GET /files/{dataSetFileId}``: the list of its parts, or with ``?path=`` the bytes of one (or a range of them)."""
    platform = platform_of(request)
    file_id: str = request.path_params["file"]
    batch = platform.batches.get(sandbox_of(request), file_id.removesuffix("-1"))
    if batch is None or file_id != _file_id(batch) or not _promoted(platform, batch):
        raise problem(404, f"The file {file_id} does not exist.")
    path = request.query_params.get("path")
    if path is None:
        address, parts = here(request), list(batch.parts.values())
        return page(request, parts, lambda part: named_file(address, part.path, part.path, part.size))
    if path not in batch.parts:
        raise problem(404, f"The file {file_id} has no part {path}.")
    return content(request, batch.parts[path])


def _promoted(platform: Platform, batch: Batch) -> bool:
    return platform.batches.status(batch, platform.clock.now()) in SUCCEEDED


def _file_id(batch: Batch) -> str:
    return f"{batch.id}-1"


def _dataset_file(request: Request, platform: Platform, batch: Batch) -> Json:
    moment = str(milliseconds(batch.succeeded_at or batch.created_at))
    metrics = batch.outcome.metrics if batch.outcome else {}
    dataset = platform.datasets.get(batch.sandbox, batch.opening.dataset_id) or {}
    return {
        "dataSetFileId": _file_id(batch),
        "dataSetViewId": dataset.get("viewId", ""),
        "version": "1.0.0",
        "created": moment,
        "updated": moment,
        "isValid": False,  # as on the real platform, where it says nothing about the file
        "records": str(metrics.get("outputRecordCount", 0)),
        "size": str(sum(part.size for part in batch.parts.values())),
        "_links": {"self": {"href": f"{base_url(request)}{_ROOT}/files/{_file_id(batch)}"}},
    }


routes = [
    Route(f"{_ROOT}/batches/{{batch}}/files", list_batch_files),
    Route(f"{_ROOT}/files/{{file}}", get_file),
]
