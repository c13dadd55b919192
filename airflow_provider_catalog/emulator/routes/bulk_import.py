"""The Batch Ingestion API, ``/data/foundation/import``."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..batches import Batch, Json, Opening, StoredFile
from ..bodies import BYTES, JSON, json_object, require_media_type
from ..chunks import BadRange, Chunk, named_chunk
from ..faults import is_lost
from ..gateway import sandbox_of
from ..ingestion import (
    act,
    batch_for_upload,
    batch_of_dataset,
    check_no_upload,
    check_remote_path,
    find_batch,
    open_batch,
    put_file,
    related_objects,
)
from ..large_files import complete, initialize, receive_chunk, upload_for_chunk, wrong_length
from ..lifecycle import Action
from ..platform import Platform
from ..problems import problem
from . import platform_of

_ROOT = "/data/foundation/import/batches"
_FILE = f"{_ROOT}/{{batch}}/datasets/{{dataset}}/files/{{path:path}}"
_TEXT = {"type": "string", "minLength": 1}
_CHARACTER = {"type": "string", "minLength": 1, "maxLength": 1}
_DOLLAR_IDS = {"type": "array", "items": {"type": "string", "pattern": r"^\$\S+$"}}

# What is checked about a new batch. Fields that are not named here are ignored, silently.
_NEW_BATCH = {
    "type": "object",
    "required": ["datasetId"],
    "properties": {
        "datasetId": _TEXT,
        "externalId": _TEXT,
        "inputFormat": {
            "type": "object",
            "required": ["format"],
            "properties": {
                "format": {"type": "string", "pattern": "^(?i:json|parquet|csv)$"},
                "isMultiLineJson": {"type": "boolean"},
                "delimiter": _CHARACTER,
                "quote": _CHARACTER,
                "escape": _CHARACTER,
                "header": {"enum": [True, False, "true", "false"]},
                "charset": {"enum": ["US-ASCII", "UTF-8", "ISO-8859-1"]},
            },
        },
        "replay": {
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "predecessors": _DOLLAR_IDS,
                "predecessorsByExternalId": _DOLLAR_IDS,
            },
        },
        "tags": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "enableErrorDiagnostics": {"type": "boolean"},
        "partialIngestionPercent": {"type": "number", "minimum": 0, "maximum": 100},
    },
}
_STRICT = Draft202012Validator({**_NEW_BATCH, "required": ["datasetId", "inputFormat"]})
_LENIENT = Draft202012Validator(_NEW_BATCH)


async def create_batch(request: Request) -> Response:
    """``POST /batches``: open a batch."""
    platform = platform_of(request)
    require_media_type(request, JSON)
    body = await json_object(request, _STRICT if platform.settings.input_format_required else _LENIENT)
    batch = open_batch(platform, sandbox_of(request), _opening(body, platform.settings.scalar_tags))
    return JSONResponse(_created(platform, batch), 201)


async def put(request: Request) -> Response:
    """``PUT /batches/{id}/datasets/{id}/files/{path}``: upload a file, or replace it."""
    platform, batch, path = _target(request, BYTES)
    check_no_upload(platform, batch, path)
    stored = await _receive_file(request, platform, path)
    if is_lost(request.scope):
        platform.store.delete([stored.stored_as])
        created = path not in batch.files
    else:
        created = put_file(platform, batch, stored)
    status = platform.settings.created_status if created else 200
    return _answer(platform, _file(path, stored.size), status)


async def act_on_file(request: Request) -> Response:
    """``POST /batches/{id}/datasets/{id}/files/{path}?action=``: begin to upload a large file, or complete it."""
    action = request.query_params.get("action")
    if action not in ("INITIALIZE", "COMPLETE"):
        raise problem(400, "The action must be one of INITIALIZE, COMPLETE.")
    platform, batch, path = _target(request, JSON)
    size = 0
    if action == "INITIALIZE":
        initialize(platform, batch, path)
    else:
        size = complete(platform, batch, path).size
    return _answer(platform, _file(path, size), platform.settings.file_action_status)


async def patch(request: Request) -> Response:
    """``PATCH /batches/{id}/datasets/{id}/files/{path}``: upload a chunk of a large file."""
    platform, batch, path = _target(request, BYTES)
    upload = upload_for_chunk(batch, path)
    chunk = _chunk(request, platform)
    await receive_chunk(platform, batch, upload, chunk, request.stream(), lost=is_lost(request.scope))
    if platform.settings.bodies == "empty":
        return Response()
    return JSONResponse(_file(path, upload.received), headers=_range_header(platform, upload.ranges))


async def head(request: Request) -> Response:
    """``HEAD /batches/{id}/datasets/{id}/files/{path}``: which bytes of a file have arrived."""
    platform = platform_of(request)
    batch = batch_of_dataset(
        platform, sandbox_of(request), request.path_params["batch"], request.path_params["dataset"]
    )
    path = request.path_params["path"]
    if upload := batch.uploads.get(path):
        return Response(headers=_range_header(platform, upload.ranges))
    file = batch.files.get(path)
    if file is None or not (file.chunked or platform.settings.head_of_small_files):
        raise problem(404, f"The batch {batch.id} has no such file.")
    return Response(headers=_range_header(platform, [(0, file.size - 1)] if file.size else []))


async def signal(request: Request) -> Response:
    """``POST /batches/{id}?action=``: complete, abort, fail or revert a batch."""
    platform = platform_of(request)
    name = request.query_params.get("action", "")
    if name not in set(Action):
        raise problem(400, f"The action must be one of {', '.join(Action)}.")
    batch = find_batch(platform, sandbox_of(request), request.path_params["batch"])
    await act(platform, batch, Action(name))
    return _answer(platform, _signalled(platform, batch), 200)


def _target(request: Request, media_type: str) -> tuple[Platform, Batch, str]:
    """Return where a file is going. Raises Refusal if the body has another media type, or the batch does not take it."""
    platform = platform_of(request)
    path: str = request.path_params["path"]
    require_media_type(request, media_type)
    check_remote_path(path)
    batch = batch_for_upload(
        platform, sandbox_of(request), request.path_params["batch"], request.path_params["dataset"]
    )
    return platform, batch, path


def _chunk(request: Request, platform: Platform) -> Chunk:
    """Return the chunk that a request brings, if it says no nonsense about it."""
    announced = _announced_length(request)
    if announced is not None and announced > platform.settings.chunk_limit:
        raise problem(413, f"A chunk has at most {platform.settings.chunk_limit} bytes.")
    try:
        chunk = named_chunk(request.headers.get("content-range"), platform.settings.chunk_total)
    except BadRange as error:
        raise problem(400, str(error)) from None
    if announced not in (None, chunk.size):
        raise wrong_length(chunk)
    if chunk.size > platform.settings.chunk_limit:
        raise problem(413, f"A chunk has at most {platform.settings.chunk_limit} bytes.")
    return chunk


def _range_header(platform: Platform, ranges: list[tuple[int, int]]) -> dict[str, str]:
    form = platform.settings.received_ranges
    if not ranges or form == "none":
        return {}
    prefix = {"bytes=": "bytes=", "bytes": "bytes ", "bare": ""}[form]
    return {"Range": prefix + ",".join(f"{first}-{last}" for first, last in ranges)}


def _file(path: str, size: int) -> Json:
    return {"name": path, "sizeInBytes": size}


def _announced_length(request: Request) -> int | None:
    length = request.headers.get("content-length")
    return None if length is None else int(length)


async def _receive_file(request: Request, platform: Platform, path: str) -> StoredFile:
    """Write a request's body to disk, piece by piece. Nothing is left of an upload that breaks off."""
    limit = platform.settings.small_file_limit
    if (_announced_length(request) or 0) > limit:
        raise _too_large(limit)
    target = platform.store.new_file()
    size = 0
    try:
        with target.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                file.write(chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return StoredFile(path, size, target.name)


def _too_large(limit: int) -> Exception:
    return problem(413, f"A file of more than {limit} bytes must be uploaded in parts.")


def _opening(body: Json, scalar_tags: bool) -> Opening:
    percent = body.get("partialIngestionPercent")
    diagnostics = body.get("enableErrorDiagnostics")
    options = {"acp_enableErrorDiagnostics": diagnostics, "acp_partialIngestionPercent": percent}
    given = {name: value for name, value in options.items() if value is not None}
    option_tags = given if scalar_tags else {name: [str(value).lower()] for name, value in given.items()}
    return Opening(
        dataset_id=body["datasetId"],
        input_format=body.get("inputFormat", {"format": "parquet"}),
        external_id=body.get("externalId"),
        tags={**body.get("tags", {}), **option_tags},
        replay=_without_dollars(body["replay"]) if body.get("replay") else None,
        diagnostics=bool(diagnostics),
        allowed_percent=percent or 0.0,
    )


def _without_dollars(replay: Json) -> Json:
    return {
        name: [each.lstrip("$") for each in value] if isinstance(value, list) else value
        for name, value in replay.items()
    }


def _created(platform: Platform, batch: Batch) -> Json:
    """Return the answer to a new batch, in which Adobe's examples have zeros for both moments."""
    owner = platform.ownership(batch.sandbox)
    opening = batch.opening
    answer: Json = {
        "id": batch.id,
        "imsOrg": owner["imsOrg"],
        "updated": 0,
        "status": "loading",
        "created": 0,
        "relatedObjects": related_objects(batch),
        "version": "1.0.0",
        "tags": opening.tags,
        "inputFormat": opening.input_format,
        "externalId": opening.external_id,
        "replay": opening.replay,
        "createdUser": owner["createdUser"],
        "updatedUser": owner["updatedUser"],
    }
    return {name: value for name, value in answer.items() if value is not None}


def _signalled(platform: Platform, batch: Batch) -> Json:
    status = platform.batches.status(batch, platform.clock.now())
    return {"id": batch.id, "imsOrg": platform.settings.org, "status": status}


def _answer(platform: Platform, body: Any, status: int) -> Response:
    """Answer with a body, or without: the documentation has both."""
    return JSONResponse(body, status) if platform.settings.bodies == "json" else Response(status_code=status)


async def client_is_gone(request: Request, error: Exception) -> Response:
    """Answer nobody: the client hung up while its body was being read."""
    return Response(status_code=400)


on_errors = {ClientDisconnect: client_is_gone}

routes = [
    Route(_ROOT, create_batch, methods=["POST"]),
    Route(_FILE, put, methods=["PUT"]),
    Route(_FILE, act_on_file, methods=["POST"]),
    Route(_FILE, patch, methods=["PATCH"]),
    Route(_FILE, head, methods=["HEAD"]),
    Route(f"{_ROOT}/{{batch}}", signal, methods=["POST"]),
]
