"""Holding rows against an XDM schema.

A schema is turned into a function once; checking a row costs little, and keeps nothing. Looked at are types, required
and unknown fields, and the constraints listed in `_CONSTRAINTS`; ``meta:enum`` only suggests. What several parts of an
``allOf`` say of a field holds together. Not looked at are ``oneOf``, ``anyOf``, ``patternProperties`` and references,
which the platform resolves before it validates: what they describe passes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
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


def _check_of(schema: Any, at: str, lenient: bool) -> Check:
    parts = _parts(schema)
    kind = _type_of(_whole(parts))
    if kind == "object":
        return _object(parts, at, lenient)
    if kind == "array":
        return _array(parts, at, lenient)
    return _scalar(parts, kind, at) if kind else _anything


def _parts(schema: Any) -> list[Json]:
    """Return what a schema is put together from: the parts of its ``allOf``, deep ones too, and what it says itself."""
    if not isinstance(schema, dict):
        return []  # such as true, which says nothing
    return [*(each for part in schema.get("allOf", ()) for each in _parts(part)), schema]


def _whole(parts: Sequence[Json]) -> Json:
    """Return what the parts of a schema say, with the last word where they contradict one another."""
    return {name: value for part in parts for name, value in part.items()}


def _said(parts: Sequence[Json], word: str) -> list[Any]:
    """Return what each part of a schema that has a word says there."""
    return [part[word] for part in parts if word in part]


def _type_of(schema: Json) -> str | None:
    """Return the type of a column as XDM calls it; None if its schema does not tell."""
    named = schema.get("meta:xdmType")
    if named in CONVERSIONS:
        return str(named)
    kind = schema.get("type")
    if kind == "string":
        return schema["format"] if schema.get("format") in ("date", "date-time") else "string"
    return _TYPES.get(str(kind)) or ("object" if "properties" in schema else None)


def _fields(parts: Sequence[Json]) -> dict[str, Json]:
    """Return the schemas of an object's fields. What several parts describe is again put together from all of them."""
    described: defaultdict[str, list[Any]] = defaultdict(list)
    for fields in _said(parts, "properties"):
        for name, column in fields.items():
            described[name].append(column)
    return {name: {"allOf": columns} for name, columns in described.items()}


def _object(parts: Sequence[Json], at: str, lenient: bool) -> Check:
    columns = {
        name: _check_of(column, f"{at}/properties/{name}", lenient) for name, column in _fields(parts).items()
    }
    others = _other_fields(parts, at, lenient or not columns)
    required = {
        name: Flaw(Kind.MISSING, "is required", "required", at).below(name)
        for names in _said(parts, "required")
        for name in names
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


def _other_fields(parts: Sequence[Json], at: str, lenient: bool) -> Check:
    """Return the check of fields that an object's schema does not name: those of a map, or unknown ones."""
    if any(_describes_unseen_fields(part) for part in parts):
        return _anything
    maps = [each for each in _said(parts, "additionalProperties") if isinstance(each, dict)]
    if maps:
        return _check_of({"allOf": maps}, f"{at}/additionalProperties", lenient)
    unknown = (Flaw(Kind.UNKNOWN, "is not in the schema", "additionalProperties", at),)
    return _anything if _whole(parts).get("additionalProperties", lenient) else lambda value: unknown


def _describes_unseen_fields(part: Json) -> bool:
    """Say whether a part of an object's schema describes fields where nobody looks here."""
    if "$ref" in part or "patternProperties" in part:
        return True
    branches = (*part.get("anyOf", ()), *part.get("oneOf", ()))
    nested = [each for branch in branches for each in _parts(branch)]
    return any("properties" in each or _describes_unseen_fields(each) for each in nested)


def _array(parts: Sequence[Json], at: str, lenient: bool) -> Check:
    items = _check_of({"allOf": _said(parts, "items")}, f"{at}/items", lenient)
    tests = _tests(parts, "array", at)
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


def _scalar(parts: Sequence[Json], kind: str, at: str) -> Check:
    convert = CONVERSIONS[kind]
    tests = _tests(parts, kind, at)
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


def _tests(parts: Sequence[Json], kind: str, at: str) -> Sequence[tuple[Flaw, Test]]:
    """Return the constraints of a column, each with what to say if it is violated."""
    return [
        (Flaw(Kind.VIOLATION, _broken(word, constraint), word, at), _CONSTRAINTS[word](constraint))
        for word in _APPLICABLE.get(kind, _TO_NUMBERS)
        for constraint in _given(parts, word, kind)
    ]


def _given(parts: Sequence[Json], word: str, kind: str) -> Sequence[Any]:
    """Return the constraints of one kind that the parts of a column's schema have, without what they repeat."""
    given = _said(parts, word)
    if word == "format" and kind in ("date", "date-time"):
        given = given or [kind]
    return [each for index, each in enumerate(given) if each not in given[:index]]


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
    except (re.error, OverflowError, RecursionError):  # legal in ECMAScript, perhaps, but not here
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
