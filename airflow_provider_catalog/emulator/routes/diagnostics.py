"""The part of the Data Access API that explains failures: ``/batches/{id}/meta`` and ``/batches/{id}/failed``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..batches import Json, StoredFile
from ..diagnostics import FAILED, INPUT_FILES, META, ROW_ERRORS, reports_of
from ..gateway import sandbox_of
from ..ingestion import find_batch
from ..problems import problem
from . import platform_of
from .listing import content, here, named_file, page

_ROOT = "/data/foundation/export/batches/{batch}"
_FOLDERS = (INPUT_FILES, ROW_ERRORS)


async def get_meta(request: Request) -> Response:
    """``GET /batches/{id}/meta?path=``: what is known about input files and bad rows, if diagnostics were asked for."""
    files = _files(request, META)
    path = request.query_params.get("path", "").strip("/")
    if path in files:
        return content(request, files[path])
    if files and path in ("", *_FOLDERS):
        address, sizes = here(request), _entries(files, path)
        return page(request, sorted(sizes), lambda each: _named(address, each, sizes[each]))
    raise problem(404, f"The batch has no meta file {path}.")


async def get_failed(request: Request) -> Response:
    """``GET /batches/{id}/failed[?path=]``: the rows that made a batch fail; nothing for other batches."""
    files = _files(request, FAILED)
    path = request.query_params.get("path")
    if path is None:
        address = here(request)
        return page(request, sorted(files), lambda name: named_file(address, name, name, files[name].size))
    if path not in files:
        raise problem(404, f"The batch has no failed file {path}.")
    return content(request, files[path])


def _files(request: Request, folder: str) -> dict[str, StoredFile]:
    """Return what lies in a folder of the batch's diagnostics, by path from there."""
    platform = platform_of(request)
    batch = find_batch(platform, sandbox_of(request), request.path_params["batch"])
    reports = reports_of(batch, platform.clock.now(), platform.settings.diagnostics_retention)
    return {file.path.removeprefix(folder): file for file in reports if file.path.startswith(folder)}


def _entries(files: dict[str, StoredFile], folder: str) -> dict[str, int]:
    """Return the sizes of what lies directly in a folder, by path; folders have no length."""
    sizes = {path: file.size for path, file in files.items()}
    if not folder:
        return {path: size for path, size in sizes.items() if "/" not in path} | dict.fromkeys(_FOLDERS, 0)
    return {path: size for path, size in sizes.items() if path.startswith(f"{folder}/")}


def _named(address: str, path: str, size: int) -> Json:
    return named_file(address, path, path.rpartition("/")[2], size)


routes = [Route(f"{_ROOT}/meta", get_meta), Route(f"{_ROOT}/failed", get_failed)]
