"""The Schema Registry API, ``/data/foundation/schemaregistry``: schemas, and little else.

What an answer looks like is chosen with the Accept header: a list has no version, a look-up must name one. Stored
schemas have no references, so the raw and the resolved form of a schema are the same.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from jsonschema import Draft202012Validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .. import seeds
from ..batches import Json
from ..bodies import JSON, json_object, require_media_type
from ..gateway import sandbox_of
from ..problems import problem
from ..settings import TENANT
from . import platform_of

_ROOT = "/data/foundation/schemaregistry"
_ACCEPT = re.compile(
    r"application/vnd\.adobe\.(xed|xdm)(?P<form>-[a-z-]+)?\+json\s*(;\s*version=(?P<version>[\w.]+))?"
)
_LIST_FORMS = frozenset({None, "-id"})
_LOOK_UP_FORMS = frozenset({None, "-id", "-notext", "-full", "-full-notext", "-full-desc"})
_SUMMARY = ("$id", "meta:altId", "version", "title")
_TEXTS = frozenset({"title", "description"})

_NEW_SCHEMA = Draft202012Validator(
    {
        "type": "object",
        "required": ["title", "type"],
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "type": {"const": "object"},
            "properties": {"type": "object"},
            "meta:class": {"type": "string"},
        },
    }
)


async def stats(request: Request) -> Response:
    """``GET /stats``: whose registry this is, and how much there is in it."""
    platform = platform_of(request)
    counts = {"schemas": len(platform.schemas.all(sandbox_of(request))), "classes": len(seeds.CLASSES)}
    return JSONResponse({"imsOrg": platform.settings.org, "tenantId": TENANT, "counts": counts})


async def list_classes(request: Request) -> Response:
    """``GET /global/classes``: the classes that come with the platform."""
    return _listed(request, list(seeds.CLASSES))


async def list_schemas(request: Request) -> Response:
    """``GET /tenant/schemas``; the global container has none here."""
    tenant = request.path_params["container"] == "tenant"
    schemas = platform_of(request).schemas.all(sandbox_of(request)) if tenant else {}
    return _listed(request, list(schemas.values()))


async def get_schema(request: Request) -> Response:
    """``GET /tenant/schemas/{id}``: a schema by its URI or its alternative id."""
    form = _look_up_form(request)
    schema = _find(request, request.path_params["id"])
    if form == "-id":
        return _registry_answer(request, _summary(schema))
    return _registry_answer(request, _without_texts(schema) if form and form.endswith("-notext") else schema)


async def create_schema(request: Request) -> Response:
    """``POST /tenant/schemas``: add a schema, written out in full."""
    platform = platform_of(request)
    require_media_type(request, JSON)
    body = await json_object(request, _NEW_SCHEMA)
    slug = secrets.token_hex(16)
    schema = {
        **body,
        "$id": f"https://ns.adobe.com/{TENANT}/schemas/{slug}",
        "meta:altId": f"_{TENANT}.schemas.{slug}",
        "meta:resourceType": "schemas",
        "version": "1.0",
        "imsOrg": platform.settings.org,
        "meta:containerId": "tenant",
        "meta:tenantNamespace": f"_{TENANT}",
    }
    platform.schemas.put(sandbox_of(request), schema["$id"], schema)
    return JSONResponse(schema, 201)


def _find(request: Request, schema_id: str) -> Json:
    schemas = platform_of(request).schemas.all(sandbox_of(request))
    tenant = request.path_params["container"] == "tenant"
    found = (
        [each for each in schemas.values() if schema_id in (each["$id"], each["meta:altId"])]
        if tenant
        else []
    )
    if not found:
        raise problem(404, f"There is no schema {schema_id}.", "XDM-1012", "Resource not found")
    return found[0]


def _listed(request: Request, resources: list[Json]) -> Response:
    match = _accept(request)
    if match is None or match["version"] or match["form"] not in _LIST_FORMS:
        detail = "A list needs an Accept header such as application/vnd.adobe.xed-id+json, without a version."
        raise problem(400, detail, "XDM-1006", "Accept header invalid")
    results = [_summary(each) for each in resources] if match["form"] else resources
    page = {"orderby": "updated", "next": None, "count": len(results)}
    return JSONResponse({"results": results, "_page": page, "_links": {"next": None}})


def _look_up_form(request: Request) -> str | None:
    match = _accept(request)
    if match is None or match["form"] not in _LOOK_UP_FORMS:
        raise problem(406, "The format in the Accept header is not available.", "XDM-1006", "Not acceptable")
    if not match["version"]:
        detail = "A look-up needs an Accept header with a major version, such as ...xed-full+json; version=1."
        raise problem(400, detail, "XDM-1007", "Accept header version missing")
    if match["version"].partition(".")[0] != "1":
        raise problem(406, "The version in the Accept header is not available.", "XDM-1006", "Not acceptable")
    return match["form"]


def _accept(request: Request) -> re.Match[str] | None:
    return _ACCEPT.fullmatch(request.headers.get("accept", "").strip())


def _summary(resource: Json) -> Json:
    return {name: resource[name] for name in _SUMMARY if name in resource}


def _without_texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_texts(each) for each in value]
    if not isinstance(value, dict):
        return value
    # A field may be called "title" as well: it is then an object, and stays.
    kept = {name: each for name, each in value.items() if not (name in _TEXTS and isinstance(each, str))}
    return {name: _without_texts(each) for name, each in kept.items()}


def _registry_answer(request: Request, body: Json) -> Response:
    return JSONResponse(body, media_type=request.headers["accept"])


routes = [
    Route(f"{_ROOT}/stats", stats),
    Route(f"{_ROOT}/global/classes", list_classes),
    Route(f"{_ROOT}/tenant/schemas", create_schema, methods=["POST"]),
    Route(f"{_ROOT}/{{container}}/schemas", list_schemas),
    Route(f"{_ROOT}/{{container}}/schemas/{{id:path}}", get_schema),
]
