"""Request bodies: their media types, and JSON that must look a certain way."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from starlette.requests import Request

from .problems import generic, problem

JSON = "application/json"
BYTES = "application/octet-stream"


def media_type(request: Request) -> str:
    """Return the media type of a request's body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_media_type(request: Request, expected: str) -> None:
    """Refuse a body of another media type with 415."""
    if media_type(request) != expected:
        raise problem(415, f"The Content-Type must be {expected}.")


def require_catalog_json(request: Request) -> None:
    """Refuse a body that is not JSON the way that the Catalog does: with 400."""
    if media_type(request) != JSON:
        raise generic(400, "A valid content-type must be specified")


async def json_object(request: Request, validator: Draft202012Validator) -> dict[str, Any]:
    """Return the JSON object in a request's body; refuse with 400 what is none, or not as the schema says."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise problem(400, "The request body is not JSON.") from None
    error = best_match(validator.iter_errors(body))
    if error:
        raise problem(400, f"{error.json_path}: {error.message}")
    return dict(body)
