"""What a schema demands of a record beyond its types, and how a flaw is put into words."""

from __future__ import annotations

from typing import Any

import pytest
from schemas import Schema, column, fits, flaws_of, record_schema

from airflow_provider_catalog.ingest.preflight.translation import translate


def words(schema: Schema, record: Any) -> list[str]:
    """The flaws of a record as users read them."""
    names = translate(schema).names
    [found] = flaws_of(schema, record)
    return [f"{flaw.public_pointer(names)}: {flaw.message}{flaw.advice(names)}" for flaw in found]


@pytest.mark.parametrize(
    ("described", "good", "bad"),
    [
        (column("string", enum=["a", "1"]), ["a", "1", 1], ["b", "", 2]),
        (column("string", enum=["a", 1, ["b"]]), ["a"], ["b", 1]),
        (column("string", const="a"), ["a"], ["b"]),
        (column("string", pattern="^[0-9]{5}$"), ["12345", 12345, "12345\n"], ["1234", 123456, "x"]),
        (column("string", pattern="^\\d$"), ["1"], ["٤"]),
        (column("string", pattern="(?<year>[0-9])"), ["1"], ["x"]),
        (column("string", pattern="(?<year>"), ["a", 1], []),
        (column("string", minLength=2, maxLength=3), ["ab", "é€x", 12], ["a", "abcd", 1, 1.25]),
        (column("string", format="email"), ["c1@example.com"], ["c1", 1]),
        (column("string", format="ipv4"), ["127.0.0.1"], ["127.0.0.256"]),
        (column("string", format="uri"), ["https://example.com/a"], ["example", "http://[", ""]),
        (column("string", format="unheard-of"), ["a"], []),
        (column("number", minimum=0, exclusiveMaximum=1), [0, 0.5, "0.5"], [-1, 1, "1", "-0.1"]),
        (column("number", enum=[1, 2.5]), [1, 1.0, "2.5", "1"], [2, "2"]),
        (column("int", exclusiveMinimum=0, maximum=9.5), [1, "9"], [0, 10, "10"]),
        (column("boolean", const=True), [True, None], [False]),
        (column("array", items=column("int"), minItems=1, maxItems=2), [[1], ["1", None]], [[], [1, 2, 3], ["x"]]),
        (column("array", uniqueItems=True), [[1, True]], [[1, 1.0]]),
        (column("date", pattern="^2"), ["2019-05-15", 1], ["1919-05-15"]),
        (column("string", **{"meta:enum": {"a": "The first"}}), ["a", "b"], []),
        ({"type": "object"}, [{"a": 1}], [1, "a", []]),
        ({"type": "object", "additionalProperties": True, "properties": {"a": column("int")}}, [{"b": 1}], [{"a": "x"}]),
        ({"type": "object", "additionalProperties": False}, [{}], [{"b": 1}]),
        (column("map", additionalProperties=column("int")), [{"a": 1, "b": None}], [{"a": "x"}]),
        ({"oneOf": [column("int"), column("string")]}, ["42", 42, None], [True, []]),
        ({"type": ["integer", "boolean"]}, [1, "1", True, None], ["x", []]),
        ({"title": "anything"}, [1, None, [], {"a": 1}], []),
        ({"properties": {"a": {"$ref": "https://ns.adobe.com/x"}}, "$ref": "https://ns.adobe.com/y"}, [{"b": 1}], [1]),
        (True, [1, {}], []),
    ],
)  # fmt: skip
def test_constraints_hold_for_the_converted_value(described: Any, good: list[Any], bad: list[Any]) -> None:
    assert fits(described, *good, *bad) == [True] * len(good) + [False] * len(bad)


def test_a_null_is_an_absent_value() -> None:
    schema = {**record_schema(a=column("int"), b=column("string", enum=["x"])), "required": ["a", "c"]}
    assert flaws_of(schema, {"a": 1, "b": None, "c": 1}) == [()]
    assert words(schema, {"a": None, "c": None}) == [
        "/a: is required, but null",
        "/c: is required, but null",
    ]
    assert words(schema, {}) == ["/a: is required, but missing", "/c: is required, but missing"]


def test_an_unknown_field_is_an_error_of_its_own_and_its_name_is_not_shown() -> None:
    schema = record_schema(personalEmail=column("string"), person=record_schema(birthYear=column("int")))
    assert words(schema, {"personalEmial": "x", "person": {"somebody@example.com": 1}}) == [
        "/person/*: is not in the schema",
        "/*: is not in the schema (a similar one is personalEmail)",
    ]


def test_an_unknown_field_that_is_null_is_absent_like_any_other() -> None:
    closed = {**record_schema(b=column("int")), "additionalProperties": False}
    schema = record_schema(a=column("int"), inner=record_schema(b=column("int")), closed=closed)
    assert flaws_of(schema, {"nope": None, "inner": {"nope": None}, "closed": {"nope": None}}) == [()]


def test_keys_of_a_map_are_not_shown() -> None:
    schema = record_schema(ids=column("map", additionalProperties=column("array", items=column("int"))))
    assert words(schema, {"ids": {"somebody": [1, "x"]}}) == [
        "/ids/*/1: expected a whole number from -2147483648 to 2147483647, or a text of one"
    ]
    [[flaw]] = flaws_of(schema, {"ids": {"a/b~c": ["x"]}})
    assert flaw.pointer == "/ids/a~1b~0c/0"
    assert flaw.kind({"ids"}).startswith("/ids/*/* expected")


@pytest.mark.parametrize(
    ("described", "value", "message"),
    [
        (column("string"), [], "expected a text or a number"),
        (column("string", maxLength=2), "abc", "violates maxLength 2"),
        (column("string", maxLength=2), 123, "violates maxLength 2"),
        (column("string", pattern="^é"), "abc", 'violates pattern "^é"'),
        (column("string", enum=["a" * 200]), "abc", f'violates enum ["{"a" * 98}…'),
        (column("number", minimum=2), 1, "expected a number, minimum 2, or a text of one"),
        (column("number"), 10**309, "expected a number, or a text of one"),
        (column("int", enum=[1]), 2, "violates enum [1]"),
        (
            column("int", enum=[2]),
            True,
            "expected a whole number from -2147483648 to 2147483647, or a text of one",
        ),
        (column("byte"), "x", "expected a whole number from -128 to 127, or a text of one"),
        (column("boolean"), 1, "expected true or false"),
        (column("boolean", enum=[True]), False, "violates enum [True]"),
        (column("date"), "x", "expected a day such as 2019-05-15, or a whole number of milliseconds"),
        (column("array", minItems=2), [1], "violates minItems 2"),
        (column("array"), {}, "expected an array"),
        (column("object"), [], "expected an object"),
        ({"anyOf": [column("int"), column("boolean")]}, "x", "fits none of the alternatives in the schema"),
    ],
)
def test_what_is_wrong_is_said_in_own_words(described: Schema, value: Any, message: str) -> None:
    assert words(record_schema(it=described), {"it": value}) == [f"/it: {message}"]


@pytest.mark.parametrize("record", [None, 1, "x", [], [{}]])
def test_a_record_is_an_object(record: Any) -> None:
    assert words(record_schema(a=column("int")), record) in (
        [": expected an object"],
        [": is required, but null"],
    )


def test_the_parts_of_a_schema_are_put_together() -> None:
    schema = {
        "type": "object",
        "properties": {"a": column("int")},
        "allOf": [
            {"properties": {"b": column("int"), "in": record_schema(c=column("int"))}, "required": ["b"]},
            {"allOf": [{"properties": {"in": {**record_schema(d=column("int")), "required": ["d"]}}}]},
        ],
    }
    good = {"a": 1, "b": "2", "in": {"c": 1, "d": 2}}
    assert flaws_of(schema, good) == [()]
    for bad in (
        {"a": 1},
        {**good, "a": "x"},
        {**good, "in": {"c": 1}},
        {**good, "in": {"c": "x", "d": 1}},
        {**good, "e": 1},
    ):
        [found] = flaws_of(schema, bad)
        assert len(found) == 1


def test_the_items_and_the_values_of_maps_that_several_parts_describe_are_put_together() -> None:
    parts = [record_schema(a=column("int")), record_schema(b=column("int"))]
    schema = {
        "type": "object",
        "allOf": [
            {
                "properties": {
                    "list": {"type": "array", "items": each},
                    "map": {"type": "object", "additionalProperties": each},
                }
            }
            for each in parts
        ],
    }
    good = {"a": 1, "b": 2}
    assert flaws_of(schema, {"list": [good]}, {"map": {"x": good}}) == [(), ()]
    for bad in ({**good, "a": "x"}, {**good, "b": "x"}, {**good, "c": 1}):
        assert [len(found) for found in flaws_of(schema, {"list": [bad]}, {"map": {"x": bad}})] == [1, 1]


def test_one_alternative_must_fit() -> None:
    schema = {
        "type": "object",
        "properties": {"a": column("int"), "b": column("string"), "z": column("int")},
        "oneOf": [{"required": ["a"]}, {"required": ["b"], "properties": {"c": column("byte")}}],
    }
    good = [{"a": 1}, {"b": 1}, {"a": 1, "b": "x", "c": "x"}, {"b": "x", "c": 1, "z": 1}]
    assert flaws_of(schema, *good) == [()] * 4
    assert [
        len(found) for found in flaws_of(schema, {}, {"a": None}, {"b": "x", "c": 128}, {"a": 1, "d": 1})
    ] == [1] * 4


def test_fields_may_be_described_by_a_pattern_of_their_names() -> None:
    schema = {**record_schema(a=column("int")), "patternProperties": {"^x\\d": column("byte")}}
    assert not translate(schema).portable
    assert flaws_of(schema, {"a": 1, "x1": 1}) == [()]
    assert words(schema, {"x1": 128}) == ["/*: expected a whole number from -128 to 127, or a text of one"]
    assert words(schema, {"y": 1, "x٤": 1}) == ["/*: is not in the schema"] * 2
    unreadable = {**schema, "patternProperties": {"(": column("byte")}}
    assert flaws_of(unreadable, {"(": "x"}) == [()]
