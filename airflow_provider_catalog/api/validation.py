"""Checks of what is sent and of what is relied on in answers, against the JSON Schemas in ``schemas/``.

The schemas are the one place where the limits of an argument stand. A refusal is written from them: the ``title`` nearest to
the fault names the argument, its ``description`` says what is allowed.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.api.errors import InvalidInputError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator


def check_request(value: Any, definition: str) -> None:
    """Check what is about to be sent.

    :param value: the value.
    :param definition: its name in ``schemas/requests.json``.
    :raises InvalidInputError: it does not conform.
    """
    error = _first_error(value, "requests", definition)
    if error is not None:
        blamed = _blamed_schema("requests", definition, error)
        raise InvalidInputError(
            blamed.get("title", definition),
            error.instance,
            blamed.get("description", error.message),
        )


def find_fault(value: Any, definition: str) -> str | None:
    """Say where an answer breaks what we rely on, or None. The text holds no value of the answer.

    :param value: the answer, parsed.
    :param definition: its name in ``schemas/answers.json``.
    """
    error = _first_error(value, "answers", definition)
    if error is None:
        return None
    return f"the answer breaks the rule {error.validator!r} at {error.json_path}"


def _first_error(value: Any, file: str, definition: str) -> ValidationError | None:
    from jsonschema.exceptions import best_match

    error: ValidationError | None = best_match(_validator(file, definition).iter_errors(value))
    return error


@cache
def _validator(file: str, definition: str) -> Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": _schemas(file)["$defs"]})


@cache
def _schemas(file: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath("schemas", f"{file}.json").read_text("utf-8")
    schemas: dict[str, Any] = json.loads(text)
    return schemas


def _blamed_schema(file: str, definition: str, error: ValidationError) -> dict[str, Any]:
    """Find the innermost schema with a title on the way to the fault."""
    definitions = _schemas(file)["$defs"]
    schema: Any = definitions[definition]
    blamed: dict[str, Any] = schema
    # jsonschema leaves references out of the path.
    for step in error.absolute_schema_path:
        schema = schema[step]
        if isinstance(schema, dict) and "$ref" in schema:
            schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
        if isinstance(schema, dict) and "title" in schema:
            blamed = schema
    return blamed
