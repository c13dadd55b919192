"""Holding rows against an XDM schema.

A schema is turned into a function once; checking a row costs little, and keeps nothing. Looked at are types, required
and unknown fields, and the constraints listed in `_CONSTRAINTS`; ``meta:enum`` only suggests. Not looked at are
``oneOf``, ``anyOf`` and references, which the platform resolves before it validates: what they describe passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft7Validator

from .conversion import CONVERSIONS, is_date, is_date_time
from .flaws import Flaw, Kind, first_found

Json = dict[str, Any]
Check = Callable[[Any], Sequence[Flaw]]
Test = Callable[[Any], bool]

_FINE: tuple[Flaw, ...] = ()
_SHOWN = 100  # characters of a constraint in a message

_TYPES = {"integer": "long", "number": "number", "boolean": "boolean", "array": "array", "object": "object"}


def row_check(schema: Json, unknown_fields: bool) -> Check:
    """Return the function that finds what is wrong with a row; `unknown_fields` says whether it may have any."""
    check = _check_of(schema, "#", unknown_fields)

    def check_row(row: Any) -> Sequence[Flaw]:
        flaws = check(row)
        return first_found(flaws) if flaws else flaws

    return check_row


def _check_of(schema: Json, at: str, lenient: bool) -> Check:
    kind = _type_of(schema)
    if kind == "object":
        return _object(_merged(schema), at, lenient)
    if kind == "array":
        return _array(schema, at, lenient)
    return _scalar(schema, kind, at) if kind else _anything


def _type_of(schema: Json) -> str | None:
    """Return the type of a column as XDM calls it; None if its schema does not tell."""
    named = schema.get("meta:xdmType")
    if named in CONVERSIONS:
        return str(named)
    kind = schema.get("type")
    if kind == "string":
        return schema["format"] if schema.get("format") in ("date", "date-time") else "string"
    return _TYPES.get(str(kind)) or ("object" if "properties" in schema else None)


def _merged(schema: Json) -> Json:
    """Return an object's schema with the parts of its ``allOf`` taken in."""
    parts = [_merged(part) for part in schema.get("allOf", ())]
    own = {name: value for name, value in schema.items() if name != "allOf"}
    merged: Json = {"additionalProperties": True} if "$ref" in schema else {}
    for part in (*parts, own):
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged = {**merged, **part, "properties": properties, "required": required}
    return merged


def _object(schema: Json, at: str, lenient: bool) -> Check:
    columns = {
        name: _check_of(column, f"{at}/properties/{name}", lenient)
        for name, column in schema["properties"].items()
    }
    others = _other_fields(schema, at, lenient)
    required = {
        name: Flaw(Kind.MISSING, "is required", "required", at).below(name) for name in schema["required"]
    }
    unconvertible = _unconvertible("object", at)

    def check(value: Any) -> Sequence[Flaw]:
        if type(value) is not dict:
            return unconvertible
        flaws = [flaw for name, flaw in required.items() if value.get(name) is None]
        for name, item in value.items():
            found = _FINE if item is None else columns.get(name, others)(item)
            if found:
                flaws += [flaw.below(name) for flaw in found]
        return flaws

    return check


def _other_fields(schema: Json, at: str, lenient: bool) -> Check:
    """Return the check of fields that an object's schema does not name: those of a map, or unknown ones."""
    described = schema.get("additionalProperties", lenient or not schema["properties"])
    if isinstance(described, dict):
        return _check_of(described, f"{at}/additionalProperties", lenient)
    unknown = (Flaw(Kind.UNKNOWN, "is not in the schema", "additionalProperties", at),)
    return _anything if described else lambda value: unknown


def _array(schema: Json, at: str, lenient: bool) -> Check:
    items = _check_of(schema.get("items", {}), f"{at}/items", lenient)
    tests = _tests(schema, "array", at)
    unconvertible = _unconvertible("array", at)

    def check(value: Any) -> Sequence[Flaw]:
        if type(value) is not list:
            return unconvertible
        flaws = [flaw for flaw, passes in tests if not passes(value)]
        for index, item in enumerate(value):
            found = _FINE if item is None else items(item)
            flaws += [flaw.below(index) for flaw in found]
        return flaws

    return check


def _scalar(schema: Json, kind: str, at: str) -> Check:
    convert = CONVERSIONS[kind]
    tests = _tests(schema, kind, at)
    unconvertible = _unconvertible(kind, at)

    def check(value: Any) -> Sequence[Flaw]:
        try:
            converted = convert(value)
        except ValueError:
            return unconvertible
        return [flaw for flaw, passes in tests if not passes(converted)] if tests else _FINE

    return check


def _anything(value: Any) -> Sequence[Flaw]:
    return _FINE


def _unconvertible(kind: str, at: str) -> Sequence[Flaw]:
    return (Flaw(Kind.UNCONVERTIBLE, f"cannot be converted to {kind}", "type", at),)


def _tests(schema: Json, kind: str, at: str) -> Sequence[tuple[Flaw, Test]]:
    """Return the constraints of a column, each with what to say if it is violated."""
    given = {"format": kind, **schema} if kind in ("date", "date-time") else schema
    return [
        (Flaw(Kind.VIOLATION, _broken(word, given[word]), word, at), _CONSTRAINTS[word](given[word]))
        for word in _APPLICABLE.get(kind, _TO_NUMBERS)
        if word in given
    ]


def _broken(word: str, constraint: Any) -> str:
    return f"violates {word} {json.dumps(constraint)[:_SHOWN]}"


def _format(name: str) -> Test:
    own = _FORMATS.get(name)
    # A moment may have come as a number.
    return lambda value: (
        type(value) is not str
        or (own(value) if own else Draft7Validator.FORMAT_CHECKER.conforms(value, name))
    )


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _pattern(expression: str) -> Test:
    try:
        found = re.compile(expression).search
    except re.error:  # legal in ECMAScript, perhaps, but not here
        return lambda value: True
    return lambda value: found(value) is not None


# jsonschema checks the other formats; of a URI only if further libraries are there.
_FORMATS: dict[str, Callable[[str], bool]] = {"date": is_date, "date-time": is_date_time, "uri": _is_uri}

_CONSTRAINTS: dict[str, Callable[[Any], Test]] = {
    "enum": lambda allowed: lambda value: value in allowed,
    "const": lambda wanted: lambda value: value == wanted,
    "format": _format,
    "pattern": _pattern,
    "minLength": lambda least: lambda value: len(value) >= least,
    "maxLength": lambda most: lambda value: len(value) <= most,
    "minItems": lambda least: lambda value: len(value) >= least,
    "maxItems": lambda most: lambda value: len(value) <= most,
    "minimum": lambda least: lambda value: value >= least,
    "maximum": lambda most: lambda value: value <= most,
    "exclusiveMinimum": lambda bound: lambda value: value > bound,
    "exclusiveMaximum": lambda bound: lambda value: value < bound,
}
_TO_NUMBERS = ("enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_APPLICABLE: dict[str, tuple[str, ...]] = {
    "string": ("enum", "const", "format", "pattern", "minLength", "maxLength"),
    "date": ("format",),
    "date-time": ("format",),
    "boolean": ("enum", "const"),
    "array": ("minItems", "maxItems"),
}
