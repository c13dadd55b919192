"""The Catalog API, ``/data/foundation/catalog``: batches and datasets."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..batches import Json
from ..bodies import json_object, require_catalog_json
from ..catalog import batch_document
from ..clock import milliseconds
from ..gateway import sandbox_of
from ..lifecycle import FAILED, SUCCEEDED
from ..platform import Platform
from ..problems import generic
from ..query import Query, moment_test, parse, tags_test, value_test
from . import platform_of

_ROOT = "/data/foundation/catalog"

_COMMON_FIELDS = frozenset({"created", "createdClient", "createdUser", "updated", "updatedUser", "version"})
_BATCH_FIELDS = _COMMON_FIELDS | {
    "status",
    "recordCount",
    "failedRecordCount",
    "size",
    "started",
    "completed",
    "externalId",
}
_DATASET_FIELDS = _COMMON_FIELDS | {"name", "description", "enableErrorDiagnostics"}
_BY_MOMENT = {
    "createdAfter": moment_test(operator.gt, "created"),
    "createdBefore": moment_test(operator.lt, "created"),
}
_BATCH_FILTERS = {
    **_BY_MOMENT,
    "startAfter": moment_test(operator.gt, "availableDates", "startDate"),
    "startBefore": moment_test(operator.lt, "availableDates", "startDate"),
    "endAfter": moment_test(operator.gt, "availableDates", "endDate"),
    "endBefore": moment_test(operator.lt, "availableDates", "endDate"),
    "tags": tags_test,
    "batch": lambda value: value_test(value, lambda key, body: [key]),
    "dataSet": lambda value: value_test(value, _datasets_of),
}
_DATASET_FILTERS = {**_BY_MOMENT, "tags": tags_test}

_LAST_FIELDS = frozenset(
    {"lastBatchId", "lastBatchStatus", "lastSuccessfulBatchId", "lastFailedBatchId", "created", "updated"}
)
_LAST_FILTERS = {"dataSetId": lambda value: value_test(value, lambda key, body: [key])}

_TEXT = {"type": "string", "minLength": 1}
_NEW_DATASET = Draft202012Validator(
    {
        "type": "object",
        "required": ["name", "schemaRef"],
        "properties": {
            "name": _TEXT,
            "description": {"type": "string"},
            "schemaRef": {
                "type": "object",
                "required": ["id", "contentType"],
                "properties": {"id": _TEXT, "contentType": _TEXT},
            },
            "fileDescription": {"type": "object"},
            "tags": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
            "enableErrorDiagnostics": {"type": "boolean"},
        },
    }
)


async def list_batches(request: Request) -> Response:
    """``GET /batches``: the batches that fit a query."""
    query = parse(request.query_params.multi_items(), _BATCH_FIELDS, _BATCH_FILTERS)
    ids = request.query_params.get("batch", "!")
    candidates = None if ids.startswith("!") else ids.split(",")  # the filter alone would look at every batch
    return JSONResponse(query.select(_batches(platform_of(request), sandbox_of(request), candidates)))


async def list_last_batches(request: Request) -> Response:
    """``GET /lastBatches``: of each dataset that has batches, which came last."""
    platform, sandbox = platform_of(request), sandbox_of(request)
    query = parse(request.query_params.multi_items(), _LAST_FIELDS, _LAST_FILTERS)
    oldest_first = sorted(_batches(platform, sandbox), key=lambda each: (each[1]["created"], each[0]))
    found: dict[str, Json] = {}
    for batch_id, body in oldest_first:
        for dataset_id in _datasets_of(batch_id, body):
            found[dataset_id] = {**found.get(dataset_id, {}), **_as_last(batch_id, body)}
    return JSONResponse(query.select(found.items()))


async def get_batches(request: Request) -> Response:
    """``GET /batches/{id}`` or ``/batches/{id1},{id2}``: batches by their ids."""
    documents = dict(
        _batches(platform_of(request), sandbox_of(request), request.path_params["ids"].split(","))
    )
    return _looked_up(request, documents, parse(request.query_params.multi_items(), frozenset(), {}))


async def list_datasets(request: Request) -> Response:
    """``GET /dataSets``: the datasets that fit a query."""
    query = parse(request.query_params.multi_items(), _DATASET_FIELDS, _DATASET_FILTERS)
    return JSONResponse(query.select(_datasets(platform_of(request), sandbox_of(request)).items()))


async def get_datasets(request: Request) -> Response:
    """``GET /dataSets/{id}`` or ``/dataSets/{id1},{id2}``: datasets by their ids."""
    visible = _datasets(platform_of(request), sandbox_of(request))
    documents = {key: visible[key] for key in request.path_params["ids"].split(",") if key in visible}
    return _looked_up(request, documents, parse(request.query_params.multi_items(), frozenset(), {}))


async def create_dataset(request: Request) -> Response:
    """``POST /dataSets``: add a dataset, or with ``Pragma: validate-only`` say whether it could be added."""
    platform, sandbox = platform_of(request), sandbox_of(request)
    require_catalog_json(request)
    body = await json_object(request, _NEW_DATASET)
    schema = platform.schemas.get(sandbox, body["schemaRef"]["id"])
    if schema is None:
        raise generic(400, f"The schema {body['schemaRef']['id']} does not exist.")
    dataset_id = secrets.token_hex(12)
    if not _validates_only(request):
        platform.new_dataset(sandbox, dataset_id, {**_defaults(body, schema), **body}, platform.clock.now())
    location = f"@/dataSets/{dataset_id}"
    return JSONResponse([location], 201, {"Location": f"{_ROOT}/dataSets/{dataset_id}"})


def _validates_only(request: Request) -> bool:
    directives = ",".join(request.headers.getlist("pragma")).lower().split(",")
    return "validate-only" in (each.strip() for each in directives)


def _batches(platform: Platform, sandbox: str, ids: list[str] | None = None) -> Iterator[tuple[str, Json]]:
    """Yield id and document of the batches that the Catalog shows by now."""
    if ids is None:
        batches = platform.batches.in_sandbox(sandbox)
    else:
        batches = filter(None, (platform.batches.get(sandbox, each) for each in dict.fromkeys(ids)))
    at = platform.visible_at
    for batch in batches:
        document = batch_document(platform, batch, at)
        if document is not None:
            yield batch.id, document


def _datasets(platform: Platform, sandbox: str) -> dict[str, Json]:
    """Return the datasets that the Catalog shows by now."""
    latest = milliseconds(platform.visible_at)
    return {key: body for key, body in platform.datasets.all(sandbox).items() if body["created"] <= latest}


def _looked_up(request: Request, documents: dict[str, Json], query: Query) -> Response:
    """Answer a look-up: ids that are missing among several are left out, a single one is a 404."""
    ids: str = request.path_params["ids"]
    shown = {key: query.show(body) for key, body in documents.items()}
    if "," in ids:
        limited = platform_of(request).settings.limited_look_ups
        return JSONResponse(dict(list(shown.items())[: query.limit if limited else None]))
    if not documents:
        raise generic(404, f"No object with the id {ids} was found")
    return JSONResponse(shown, headers={"E-Tag": documents[ids]["version"]})


def _datasets_of(key: str, body: Json) -> list[Any]:
    return [each["id"] for each in body["relatedObjects"] if each["type"] == "dataSet"]


def _as_last(batch_id: str, body: Json) -> Json:
    """Return what a dataset's entry says if this is its newest batch so far."""
    last = {"lastBatchId": batch_id, "lastBatchStatus": body["status"]}
    if body["status"] in SUCCEEDED:
        last["lastSuccessfulBatchId"] = batch_id
    if body["status"] in FAILED:
        last["lastFailedBatchId"] = batch_id
    return {**last, **{name: body[name] for name in ("imsOrg", "sandboxId", "created", "updated")}}


def _defaults(body: Json, schema: Json) -> Json:
    """Return what a dataset gets if its creator says nothing about it."""
    table = "".join(character if character.isalnum() else "_" for character in body["name"].lower())
    behavior = "time-series" if schema.get("meta:class", "").endswith("experienceevent") else "record"
    return {
        "classification": {"dataBehavior": behavior, "managedBy": "CUSTOMER"},
        "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
        "tags": {"adobe/pqs/table": [table]},
    }


routes = [
    Route(f"{_ROOT}/batches", list_batches),
    Route(f"{_ROOT}/batches/{{ids}}", get_batches),
    Route(f"{_ROOT}/lastBatches", list_last_batches),
    Route(f"{_ROOT}/dataSets", list_datasets, methods=["GET"]),
    Route(f"{_ROOT}/dataSets", create_dataset, methods=["POST"]),
    Route(f"{_ROOT}/dataSets/{{ids}}", get_datasets),
]
