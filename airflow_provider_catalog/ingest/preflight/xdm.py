"""XDM schemas as the Schema Registry writes them out (``xed-full``), brought into one shape.

What ``allOf`` has in several parts becomes one; whether fields that nobody named are allowed is decided once. ``meta:*`` is
ignored but for ``meta:xdmType``, which is finer than ``type``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Schema = Mapping[str, Any]


class Kind(StrEnum):
    """The types of columns, by their ``meta:xdmType``. Maps are objects."""

    STRING = "string"
    NUMBER = "number"
    LONG = "long"
    INT = "int"
    SHORT = "short"
    BYTE = "byte"
    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "date-time"
    OBJECT = "object"
    ARRAY = "array"


KINDS = {**{str(kind): kind for kind in Kind}, "map": Kind.OBJECT}
KINDS_OF_TYPES = {**KINDS, "integer": Kind.LONG}


@dataclass(frozen=True)
class Field:
    """What a schema says of one field, or of a whole record.

    :param kind: its type; None if any value will do.
    :param rules: the constraints on its value, by keyword.
    :param properties: the fields of an object.
    :param required: those that it must have.
    :param patterns: fields of an object by a pattern of their names.
    :param others: what its other fields are: those of a map, anything, or forbidden, which is None.
    :param items: what an array holds.
    :param alternatives: groups of which one must fit each.
    """

    kind: Kind | None = None
    rules: Schema = field(default_factory=dict)
    properties: Mapping[str, Field] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    patterns: Mapping[str, Field] = field(default_factory=dict)
    others: Field | None = None
    items: Field | None = None
    alternatives: tuple[tuple[Field, ...], ...] = ()


ANYTHING = Field()


def read_schema(schema: Any) -> Field:
    """Read a schema of a field or of a record."""
    return _read(schema, parent=None, closed=True)


def _read(schema: Any, parent: Kind | None, closed: bool) -> Field:
    """Read a schema.

    :param parent: the type of the field, where the schema is an alternative that may leave that out.
    :param closed: whether fields that it does not name are forbidden where it says nothing of them; an alternative is read
        together with all others, so that it can't say.
    """
    if not isinstance(schema, Mapping):
        return ANYTHING
    whole = _merged(schema)
    kind = _kind(whole) or parent
    own = {name: _read(each, None, closed) for name, each in whole.get("properties", {}).items()}
    groups = tuple(tuple(_read(each, kind, False) for each in group) for group in _groups(whole, kind))
    mentioned = {name: ANYTHING for group in groups for each in group for name in _names(each)}
    patterns = {name: _read(each, None, closed) for name, each in whole.get("patternProperties", {}).items()}
    items = whole.get("items")
    return Field(
        kind=kind,
        rules=whole,
        properties={**mentioned, **own},
        required=tuple(dict.fromkeys(whole.get("required", ()))),
        patterns=patterns,
        others=_others(whole, closed, named=bool(own or mentioned or patterns)),
        items=_read(items, None, closed) if isinstance(items, Mapping) else ANYTHING,
        alternatives=groups,
    )


def _others(schema: Schema, closed: bool, named: bool) -> Field | None:
    given = schema.get("additionalProperties")
    if isinstance(given, Mapping):
        return _read(given, None, closed)
    # What a reference leads to is not known here; the registry was asked to leave none.
    if not closed or given is True or "$ref" in schema:
        return ANYTHING
    return None if given is False or named else ANYTHING


def _kind(schema: Schema) -> Kind | None:
    named = schema.get("meta:xdmType")
    if isinstance(named, str) and named in KINDS:
        return KINDS[named]
    types = _types(schema)
    if len(types) > 1:
        return None
    if types == ["string"] and schema.get("format") in (Kind.DATE, Kind.DATE_TIME):
        return Kind(schema["format"])
    if types:
        return KINDS_OF_TYPES.get(types[0])
    return Kind.OBJECT if "properties" in schema else None


def _types(schema: Schema) -> list[str]:
    given = schema.get("type", [])
    return [given] if isinstance(given, str) else [each for each in given if each != "null"]


def _groups(schema: Schema, kind: Kind | None) -> Iterator[list[Any]]:
    """Give the alternatives. Of ``oneOf`` too several may fit: a text that is a number is both once it is converted."""
    yield from schema.get(ALTERNATIVES, ())
    types = _types(schema)
    if kind is None and len(types) > 1:
        rest = {name: each for name, each in schema.items() if name not in (ALTERNATIVES, "meta:xdmType")}
        yield [{**rest, "type": each} for each in types]


def _names(alternative: Field) -> Iterator[str]:
    # What an alternative's own alternatives name is among its properties.
    yield from alternative.properties
    yield from alternative.required


# The name under which the alternatives of all parts are kept; no keyword has a blank in it.
ALTERNATIVES = "all alternatives"


def _merged(schema: Schema) -> dict[str, Any]:
    """Take the parts of ``allOf`` in, deep ones too, and those of fields, items and maps that several parts describe."""
    own = {name: each for name, each in schema.items() if name not in ("allOf", "anyOf", "oneOf")}
    own[ALTERNATIVES] = [
        *schema.get(ALTERNATIVES, ()),
        *(schema[name] for name in ("anyOf", "oneOf") if name in schema),
    ]
    parts = [_merged(part) for part in schema.get("allOf", ()) if isinstance(part, Mapping)]
    merged: dict[str, Any] = {}
    for part in (*parts, own):
        joined: dict[str, Any] = {
            word: [*merged.get(word, ()), *part.get(word, ())] for word in ("required", ALTERNATIVES)
        }
        for word in ("properties", "patternProperties"):
            if word in part:
                joined[word] = _joined(merged.get(word, {}), part[word])
        for word in ("items", "additionalProperties"):
            if isinstance(merged.get(word), Mapping) and isinstance(part.get(word), Mapping):
                joined[word] = {"allOf": [merged[word], part[word]]}
        merged = {**merged, **part, **joined}
    return merged


def _joined(one: Schema, other: Schema) -> dict[str, Any]:
    fields = dict(one)
    for name, each in other.items():
        fields[name] = {"allOf": [fields[name], each]} if name in fields else each
    return fields
