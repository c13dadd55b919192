"""XDM schemas of the tests, records for them, and what validators find in those."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from airflow_provider_catalog.ingest.preflight.flaws import Flaw
from airflow_provider_catalog.ingest.preflight.translation import translate
from airflow_provider_catalog.ingest.preflight.validators import fast_check, fastest_check, plain_check
from airflow_provider_catalog.ingest.sources import LOCAL, SourceFile

Schema = dict[str, Any]
MakeSource = Callable[..., SourceFile]

TYPES = {
    **dict.fromkeys(("string", "date", "date-time"), "string"),
    **dict.fromkeys(("long", "int", "short", "byte"), "integer"),
    **dict.fromkeys(("object", "map"), "object"),
}


def column(kind: str, **rules: Any) -> Schema:
    """A column as the registry describes it."""
    formats = {"format": kind} if kind in ("date", "date-time") else {}
    return {"type": TYPES.get(kind, kind), "meta:xdmType": kind, **formats, **rules}


def record_schema(**fields: Schema) -> Schema:
    return {"type": "object", "meta:xdmType": "object", "properties": fields}


def flaws_of(schema: Schema, *records: Any) -> list[Sequence[Flaw]]:
    """What is wrong with records; both validators must agree on it."""
    translation = translate(schema)
    plain = plain_check(translation)
    found = [plain(record) for record in records]
    if translation.portable:
        assert [fast_check(translation)(record) for record in records] == found
    assert [fastest_check(translation)(record) for record in records] == found
    return found


def fits(described: Schema, *values: Any) -> list[bool]:
    """Whether values are fine in a column."""
    return [not each for each in flaws_of(record_schema(it=described), *({"it": value} for value in values))]


def source_of(path: Path) -> SourceFile:
    return SourceFile(LOCAL, str(path), str(path), path.name, LOCAL.look(str(path)))


def lines(*records: Any) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


# Every type with the constraints that both the platform's documents and its emulator know.
MIXTURE = record_schema(
    text=column("string", minLength=1, maxLength=4),
    code=column("string", pattern="^[A-Z]{2}$"),
    level=column("string", enum=["low", "high", "1", "1.5"]),
    fixed=column("string", const="a"),
    mail=column("string", format="email"),
    link=column("string", format="uri"),
    free=column("string", **{"meta:enum": {"a": "A"}}),
    amount=column("number", minimum=-1, exclusiveMaximum=100),
    total=column("number"),
    ratio=column("number", enum=[0.5, 1, 2]),
    big=column("long"),
    count=column("int", minimum=1, maximum=9),
    few=column("short", exclusiveMinimum=-3, exclusiveMaximum=1.5),
    tiny=column("byte"),
    choice=column("int", enum=[1, 2]),
    flag=column("boolean"),
    yes=column("boolean", enum=[True]),
    day=column("date"),
    moment=column("date-time"),
    numbers=column("array", items=column("int"), minItems=1, maxItems=2),
    counts=column("map", additionalProperties=column("long")),
    inner={**record_schema(a=column("int"), b=column("string")), "required": ["a"]},
    any={"title": "Anything"},
    loose={"type": "object"},
)
# Some parts describe the same fields, as field groups of one tenant do.
PARTS = {
    "type": "object",
    "properties": {"a": column("int"), "inner": {"properties": {"e": column("string", maxLength=3)}}},
    "required": ["a"],
    "allOf": [
        {"properties": {"a": {"minimum": 1}, "b": column("date"), "inner": record_schema(c=column("byte"))}},
        {
            "properties": {"inner": {**record_schema(d=column("boolean")), "required": ["d"]}},
            "required": ["b"],
        },
    ],
}
# What the emulator does not look into.
ALTERNATIVES = {
    "type": "object",
    "properties": {
        "a": {"oneOf": [column("int"), column("string")]},
        "b": {"type": ["integer", "boolean", "null"]},
        "c": {"anyOf": [column("array", items=column("int")), record_schema(d=column("int"))]},
        "set": column("array", items=column("string"), uniqueItems=True),
    },
    "anyOf": [{"required": ["a"]}, {"required": ["b"], "properties": {"e": column("short")}}],
}

TEXTS = [
    *(
        "",
        "a",
        "x" * 5,
        "low",
        "US",
        "us",
        "US\n",
        "female",
        "c1@example.com",
        "https://example.com/a",
        "http://[",
        "é",
    ),
    *(
        "1",
        "42",
        "-7",
        "+7",
        "007",
        "1.5",
        "4.0",
        " 1",
        "٤",
        "1_0",
        "1e2",
        "1e999",
        ".5",
        "5.",
        "NaN",
        "128",
        "-129",
    ),
    *("2147483647", "2147483648", "9007199254740992", "-9007199254740991", "9" * 30, "0" * 30 + "1"),
    *("2019-05-15", "2019-5-1", "2019-02-29", "19-05-15", "2019-05-15T10:30:00Z", "2019-05-15T10:30:00"),
    *("2019-05-15T10:30:00.123456789+02:00", "2019-05-15T10:30:00.1234567890Z", "2019-05-15t10:30:00z"),
]
NUMBERS = [
    *(
        0,
        1,
        2,
        -1,
        9,
        10,
        99,
        127,
        128,
        -128,
        -129,
        2**15,
        -(2**15),
        2**31 - 1,
        2**31,
        -(2**31) - 1,
        2**53,
        2**70,
    ),
    *(
        -(2**53),
        10**308,
        10**309,
        1.0,
        0.5,
        1.5,
        -1.5,
        -0.0,
        127.9,
        128.0,
        -128.9,
        9.5,
        1e300,
        9007199254740992.0,
    ),
]
SCALARS = st.sampled_from([None, True, False, *TEXTS, *NUMBERS])
# In the place of a schema: of a field that there is not.
UNKNOWN = object()

ANYTHING = SCALARS | st.sampled_from([[], [1], ["1", 1], {}, {"a": 1}, {"d": "1"}])


@cache
def apt_scalars(described: str) -> list[Any]:
    """The values of the pool that fit a column, as one of the validators sees it."""
    column = json.loads(described)
    check = plain_check(translate(record_schema(it=column)))
    return [value for value in [*column.get("enum", ()), *TEXTS, *NUMBERS] if not check({"it": value})]


def values_for(schema: Any) -> st.SearchStrategy[Any]:
    """Values for a column: often of the right shape, sometimes of any."""
    if schema is UNKNOWN:
        return st.sampled_from([None, None, 1, "a", {}])
    if not isinstance(schema, dict):
        return ANYTHING
    choices: list[st.SearchStrategy[Any]] = []
    if any(part.get("properties") for part in parts_of(schema)):
        choices.append(records_for(schema))
    if isinstance(schema.get("additionalProperties"), dict):
        choices.append(
            st.dictionaries(st.sampled_from("ab"), values_for(schema["additionalProperties"]), max_size=2)
        )
    if "items" in schema:
        choices.append(st.lists(values_for(schema["items"]), max_size=3))
    apt = apt_scalars(json.dumps(schema))
    if apt and not choices:
        choices.append(st.sampled_from(apt))
    return st.one_of(*choices, *choices, *choices, ANYTHING)


def parts_of(schema: Schema) -> list[Schema]:
    """What a schema is put together from."""
    return [schema, *(each for part in schema.get("allOf", ()) for each in parts_of(part))]


def joined(*descriptions: Any) -> Any:
    """What several parts say of a field."""
    return descriptions[0] if len(descriptions) == 1 else {"allOf": list(descriptions)}


def records_for(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Records with a few of the fields, so that about half of them are fine."""
    parts = [*parts_of(schema), *schema.get("anyOf", ())]
    described = [each for part in parts for each in part.get("properties", {}).items()]
    fields: dict[str, Any] = {
        name: joined(*(each for n, each in described if n == name)) for name, _ in described
    }
    required = {name for part in parts for name in part.get("required", ())}
    fields["nope"] = UNKNOWN
    chosen = st.sets(st.sampled_from(list(fields)), max_size=3)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries(
            {name: values_for(fields.get(name)) for name in sorted(names | required)}
        )
    )
