"""How the rows of a JSON batch are held against the schema of the dataset."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, LOYALTY_MEMBERS, PAGE_VIEWS

from .client import MULTI_LINE, Client

UNKNOWN, UNCONVERTIBLE, VIOLATION = "EMU-UNKNOWN-400", "EMU-CONVERSION-400", "EMU-CONSTRAINT-400"
UNPARSABLE, MISSING = "INGEST-1401-400", "INGEST-1555-400"
EXPLAINED = {"enableErrorDiagnostics": True, "partialIngestionPercent": 100}


def lines(*rows: Any) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def found(batch: dict[str, Any]) -> dict[str, tuple[int, list[str]]]:
    """How many rows, and which, have which code."""
    return {error["code"]: (error["recordCount"], error["rows"]) for error in batch.get("errors", [])[1:]}


def verdicts(api: Client, column: dict[str, Any], values: list[Any]) -> list[str | None]:
    """What is wrong with rows that have these values in a column."""
    dataset_id = api.add_dataset({"it": column})
    batch = api.ingest(lines(*({"it": value} for value in values)), dataset_id=dataset_id, **EXPLAINED)
    assert batch["status"] == "success"
    by_row: list[str | None] = [None] * len(values)
    for code, (_, ranges) in found(batch).items():
        for each in ranges:
            first, _, last = each.partition("-")
            for number in range(int(first), int(last or first) + 1):
                by_row[number - 1] = code
    return by_row


def column(kind: str, **constraints: Any) -> dict[str, Any]:
    base = {"date": "string", "date-time": "string", "boolean": "boolean", "number": "number"}
    types = base | dict.fromkeys(("long", "int", "short", "byte"), "integer")
    return {"type": types.get(kind, kind), "meta:xdmType": kind, **constraints}


CONVERTIBLE: dict[str, list[Any]] = {
    "string": ["", "a", 1, 1.5, 2**70],
    "number": [1, 1.5, "1.5", "-1e3", ".5", "42"],
    "long": [1, "42", "-7", "+7", 1.5, 2**53 - 1, -(2**53) + 1],
    "int": [2**31 - 1, -(2**31), "2147483647"],
    "short": [32767, "-32768"],
    "byte": [127, "-128"],
    "boolean": [True, False],
    "date": ["2019-05-15", "2020-02-29", 1_558_000_000_000],
    "date-time": ["2019-05-15T10:30:00Z", "2019-05-15T10:30:00.123456789+02:00", 1_558_000_000_000],
}
UNFIT: dict[str, list[Any]] = {
    "string": [True, [], {}],
    "number": ["", "x", "1_0", "NaN", "1e999", True, [], {}],
    "long": ["", "x", "1_0", "4.0", " 1", "٤", 2**53, False, [], {}],
    "int": [2**31, -(2**31) - 1, "2147483648"],
    "short": [32768, "-32769"],
    "byte": [128, "-129"],
    "boolean": ["true", 1, 0, [], {}],
    "date": [1.5, True, [], {}],
    "date-time": [1.5, True, [], {}],
}


@pytest.mark.parametrize("kind", CONVERTIBLE)
def test_values_are_brought_into_the_type_of_their_column(api: Client, kind: str) -> None:
    good, bad = CONVERTIBLE[kind], UNFIT[kind]
    verdict = verdicts(api, column(kind), [*good, *bad])
    assert verdict == [None] * len(good) + [UNCONVERTIBLE] * len(bad)


def test_without_an_xdm_type_that_of_json_counts(api: Client) -> None:
    assert verdicts(api, {"type": "integer"}, [2**53 - 1, 2**53]) == [None, UNCONVERTIBLE]
    assert verdicts(api, {"type": "string", "format": "date"}, [0, "x"]) == [None, VIOLATION]
    assert verdicts(api, {"oneOf": [{"type": "string"}]}, [1, [], {"a": 1}]) == [None] * 3


CONSTRAINTS: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    (column("string", enum=["a", "1"]), ["a", 1], ["b", ""]),
    (column("string", const="a"), ["a"], ["b"]),
    (column("string", pattern="^[A-Z]{2}$"), ["US"], ["us", "USA"]),
    (column("string", minLength=2, maxLength=3), ["ab", "abc"], ["a", "abcd"]),
    (column("string", format="email"), ["c1@example.com"], ["c1"]),
    (column("string", format="ipv4"), ["127.0.0.1"], ["127.0.0.256"]),
    (column("string", format="uri"), ["https://example.com/a"], ["example", "http://[", ""]),
    (column("string", format="of-a-kind-unheard-of"), ["a"], []),
    (column("string", pattern="(?<year>"), ["a"], []),
    (column("string", pattern="a{99999999999}"), ["b"], []),
    (column("string", pattern="(" * 900 + ")" * 900), ["a"], []),
    (column("int", minimum=1, maximum=9), [1, "9"], [0, "10"]),
    (column("number", exclusiveMinimum=0, exclusiveMaximum=1), [0.5], [0, 1]),
    (column("int", enum=[1, 2]), [1, "2"], [3]),
    (column("boolean", const=True), [True], [False]),
    (column("array", items=column("int"), minItems=1, maxItems=2), [[1], ["1", 2]], [[], [1, 2, 3]]),
    (column("date"), ["2019-05-15", "2019-5-1"], ["15.05.2019", "2019-02-29", "19-05-15", "20190515", ""]),
    (
        column("date-time"),
        ["2019-05-15T10:30:00-11:00", "2019-05-15T10:30:00.1Z"],
        [
            "2019-05-15T10:30:00",
            "2019-05-15 10:30:00Z",
            "2019-05-15T10:30Z",
            "2019-05-15T10:30:00.Z",
            "2019-05-15T10:30:00.1234567890Z",
            "2019-00-15T10:30:00Z",
            "2019-05-15T25:30:00Z",
            "2019-05-15T10:30:00+0200",
            "2019-05-15T10:30:00+25:00",
            "2019-05-15",
        ],
    ),
]


@pytest.mark.parametrize(("described", "good", "bad"), CONSTRAINTS)
def test_constraints_hold_for_the_converted_value(
    api: Client, described: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    verdict = verdicts(api, described, [*good, *bad])
    assert verdict == [None] * len(good) + [VIOLATION] * len(bad)


def test_a_suggested_value_is_no_must(api: Client) -> None:
    suggested = column("string", **{"meta:enum": {"a": "The first", "b": "The second"}})
    assert verdicts(api, suggested, ["a", "c"]) == [None, None]


def test_null_is_the_same_as_missing(api: Client) -> None:
    assert verdicts(api, column("int", minimum=1), [None, 1]) == [None, None]
    batch = api.ingest(
        lines({"_id": None, "timestamp": 1}, {"timestamp": 1}, {"_id": "", "timestamp": 1}),
        dataset_id=PAGE_VIEWS,
        **EXPLAINED,
    )
    assert found(batch) == {MISSING: (2, ["1-2"])}


def test_required_fields_of_an_object_are_asked_for_only_where_it_is(api: Client) -> None:
    place = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert verdicts(api, place, [{"city": "x"}, None, {}]) == [None, None, MISSING]


def test_fields_are_validated_at_any_depth(api: Client) -> None:
    bad = [
        {"person": {"birthYear": "soon"}},
        {"person": []},
        {"homeAddress": {"_schema": {"latitude": 91}}},
        {"identityMap": {"CRMID": [{"id": "1"}, {"primary": "no"}]}},
        {"identityMap": {"a/b": {}}},
        {"person": {"name": {"nickName": "x"}}},
    ]
    batch = api.ingest(lines(*bad), **EXPLAINED)
    assert found(batch) == {
        UNCONVERTIBLE: (4, ["1-2", "4-5"]),
        VIOLATION: (1, ["3"]),
        UNKNOWN: (1, ["6"]),
    }
    failing = api.ingest(lines(*bad), enableErrorDiagnostics=True)
    listed = api.get(f"export/batches/{failing['externalId']}/failed").json()["data"]
    rows = api.session.get(listed[1]["_links"]["self"]["href"], timeout=10).text.splitlines()
    assert [json.loads(row)["_validationErrors"][0]["pointerToViolation"] for row in rows] == [
        "#/person/birthYear",
        "#/person",
        "#/homeAddress/_schema/latitude",
        "#/identityMap/CRMID/1/primary",
        "#/identityMap/a~1b",
        "#/person/name/nickName",
    ]


def test_null_is_no_element_of_an_array_to_complain_about(api: Client) -> None:
    assert verdicts(api, column("array", items=column("int")), [[1, None]]) == [None]


def test_unknown_fields_are_rejected_unless_set_otherwise(api: Client) -> None:
    rows = lines({"nope": 1}, {"person": {"nope": 1}}, {"_id": 1})
    assert found(api.ingest(rows, **EXPLAINED)) == {UNKNOWN: (2, ["1-2"])}
    api.set(unknown_fields="ignored")
    assert found(api.ingest(rows, **EXPLAINED)) == {}


def test_objects_that_describe_no_fields_take_any(api: Client) -> None:
    assert verdicts(api, {"type": "object"}, [{"a": 1}, 1]) == [None, UNCONVERTIBLE]
    assert verdicts(api, {"type": "object", "additionalProperties": True}, [{"a": 1}]) == [None]
    api.set(unknown_fields="ignored")
    closed = {"type": "object", "additionalProperties": False, "properties": {"b": {"type": "string"}}}
    assert verdicts(api, closed, [{"b": 1}, {"a": 1}]) == [None, UNKNOWN]


def test_a_map_has_values_of_one_type(api: Client) -> None:
    counts = {"type": "object", "meta:xdmType": "map", "additionalProperties": column("int")}
    assert verdicts(api, counts, [{"a": 1, "b": "2"}, {"a": "x"}]) == [None, UNCONVERTIBLE]


def test_a_schema_may_be_put_together(api: Client) -> None:
    parts = {
        "type": "object",
        "properties": {"a": column("int")},
        "allOf": [{"properties": {"b": column("int")}, "required": ["b"]}],
    }
    rows = [{"a": 1, "b": 1}, {"a": 1}, {"b": "x"}, {"b": 1, "c": 1}]
    assert verdicts(api, parts, rows) == [None, MISSING, UNCONVERTIBLE, UNKNOWN]
    referring = {**parts, "allOf": [*parts["allOf"], {"$ref": "https://ns.adobe.com/xdm/context/profile"}]}
    assert verdicts(api, referring, rows)[3] is None


def test_all_that_the_parts_of_a_schema_say_of_a_field_holds(api: Client) -> None:
    """Field groups of one tenant put their fields into the same object."""
    group = {"type": "object", "properties": {"a": column("int")}, "required": ["a"]}
    other = {"type": "object", "properties": {"b": column("string"), "in": group}}
    another = {
        "properties": {"in": {"type": "object", "properties": {"c": column("date")}, "required": ["c"]}}
    }
    parts = {
        "type": "object",
        "properties": {"_t": another},
        "allOf": [{"properties": {"_t": group}}, {"allOf": [{"properties": {"_t": other}}]}],
    }
    tenants = [
        {"a": 1, "b": "x", "in": {"a": 1, "c": "2019-05-15"}},
        {"a": 1},
        {"b": "x"},
        {"a": "x", "b": "x"},
        {"a": 1, "b": []},
        {"a": 1, "in": {"a": 1}},
        {"a": 1, "in": {"c": "2019-05-15"}},
        {"a": 1, "in": {"a": 1, "c": "x"}},
        {"a": 1, "c": 1},
        1,
    ]
    verdict = verdicts(api, parts, [{"_t": each} for each in tenants])
    assert verdict[:5] == [None, None, MISSING, UNCONVERTIBLE, UNCONVERTIBLE]
    assert verdict[5:] == [MISSING, MISSING, VIOLATION, UNKNOWN, UNCONVERTIBLE]


@pytest.mark.parametrize(
    ("parts", "good", "bad"),
    [
        ([column("string", minLength=2), {"maxLength": 3}], ["ab"], ["a", "abcd"]),
        ([column("string", minLength=2), {"minLength": 1}], ["ab"], ["a"]),
        ([{"enum": ["a", "b"]}, column("string", enum=["b", "c"])], ["b"], ["a", "c"]),
        ([{"type": "string"}, {"format": "date"}], ["2019-05-15", 0], ["x"]),
        ([column("array", items=column("int", minimum=1)), {"items": {"maximum": 9}}], [[1, 9]], [[0], [10]]),
        (
            [
                {"type": "object", "additionalProperties": column("int", minimum=1)},
                {"additionalProperties": {"maximum": 9}},
                {"additionalProperties": True},
            ],
            [{"a": 1, "b": 9}],
            [{"a": 0}, {"b": 10}],
        ),
    ],
)
def test_a_field_of_several_parts_has_the_type_and_the_constraints_of_all(
    api: Client, parts: list[Any], good: list[Any], bad: list[Any]
) -> None:
    verdict = verdicts(api, {"allOf": parts}, [*good, *bad])
    assert verdict == [None] * len(good) + [VIOLATION] * len(bad)


def test_a_constraint_that_parts_repeat_is_violated_once(api: Client) -> None:
    repeated = {"allOf": [column("string", maxLength=1)] * 2}
    batch_id = api.ingest(
        lines({"it": "ab"}), dataset_id=api.add_dataset({"it": repeated}), enableErrorDiagnostics=True
    )["externalId"]
    listed = api.get(f"export/batches/{batch_id}/failed").json()["data"]
    row = api.session.get(listed[1]["_links"]["self"]["href"], timeout=10).json()
    assert len(row["_validationErrors"]) == 1


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"patternProperties": {"^b": column("int")}},
        {"anyOf": [{"properties": {"b": column("int")}}, {"required": ["a"]}]},
        {"oneOf": [{"required": ["a"]}, {"patternProperties": {"^b": column("int")}}]},
        {"oneOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]},
        {"anyOf": [{"allOf": [{"oneOf": [{"properties": {"b": column("int")}}]}]}]},
        {"allOf": [{"anyOf": [{"properties": {"b": column("int")}}]}]},
        {"patternProperties": {"^b": column("int")}, "additionalProperties": False},
    ],
)
def test_fields_that_are_described_where_the_emulator_does_not_look_pass(
    api: Client, elsewhere: dict[str, Any]
) -> None:
    place = {"type": "object", "properties": {"a": column("int")}, **elsewhere}
    values = [{"a": 1, "b": 1}, {"a": "x", "b": 1}]
    assert verdicts(api, place, values) == [None, UNCONVERTIBLE]


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
def test_alternatives_that_describe_no_field_leave_an_object_closed(api: Client, word: str) -> None:
    place = {"type": "object", "properties": {"a": column("int")}, word: [{"required": ["a"]}, True]}
    assert verdicts(api, place, [{"a": 1}, {"a": 1, "b": 1}]) == [None, UNKNOWN]


def test_a_row_falls_at_the_first_stage_that_finds_something(api: Client) -> None:
    dataset_id = api.add_dataset({"n": column("int", maximum=9), "m": column("int")}, required=["m"])
    rows = lines({"n": 10, "x": 1}, {"n": 10}, {"n": "x", "x": 1})
    batch = api.ingest(rows, b"{", dataset_id=dataset_id, **EXPLAINED)
    assert found(batch) == {
        UNKNOWN: (2, ["1", "3"]),
        MISSING: (1, ["2"]),
        VIOLATION: (1, ["2"]),
        UNCONVERTIBLE: (1, ["3"]),
        UNPARSABLE: (1, ["4"]),
    }
    assert batch["failedRecordCount"] == 4


def test_a_row_counts_once_for_each_kind_of_error(api: Client) -> None:
    rows = lines({"eventType": "view"}, {"_id": "1"})
    batch = api.ingest(rows, dataset_id=PAGE_VIEWS, **EXPLAINED)
    assert found(batch) == {MISSING: (2, ["1-2"])}
    assert batch["failedRecordCount"] == 2


def test_long_lists_of_rows_are_cut_but_counted(api: Client) -> None:
    batch = api.ingest(lines({"_id": 1}, {"_id": []}) * 150, **EXPLAINED)
    [(count, rows)] = found(batch).values()
    assert (count, len(rows), rows[-1]) == (150, 100, "200")


@pytest.mark.parametrize(("percent", "status"), [(1.37, "success"), (1.36, "failed")])
def test_invalid_rows_count_against_the_allowed_percentage(api: Client, percent: float, status: str) -> None:
    good = lines({"person": {"birthYear": 2004}}) * 9_863
    bad = (
        b"{broken\n" * 37
        + lines({"person": {"birthYear": "x"}}) * 60
        + lines({"person": {"gender": "?"}}) * 40
    )
    batch = api.ingest(good + bad, enableErrorDiagnostics=True, partialIngestionPercent=percent)
    written = 9_863 if status == "success" else 0
    assert batch["status"] == status
    assert [batch["metrics"][f"{name}RecordCount"] for name in ("input", "output", "failed")] == [
        10_000,
        written,
        137,
    ]
    assert (batch["recordCount"], batch["failedRecordCount"]) == (10_000, 137)
    assert {code: count for code, (count, _) in found(batch).items()} == {
        UNPARSABLE: 37,
        UNCONVERTIBLE: 60,
        VIOLATION: 40,
    }
    assert ("failedBatchLocation" in batch) == (status == "failed")
    assert str(written) in batch["errors"][0]["description"]


def test_multi_line_json_is_validated_too(api: Client) -> None:
    rows = json.dumps([{"_id": 1}, {"_id": []}, {"_id": {}}], indent=1).encode()
    assert found(api.ingest(rows, inputFormat=MULTI_LINE, **EXPLAINED)) == {UNCONVERTIBLE: (2, ["2-3"])}


def test_rows_of_csv_are_not_validated(api: Client) -> None:
    api.set(csv_metrics=True)
    csv = b"member_id,points,nope\nA,many,1\n"
    batch = api.ingest(csv, dataset_id=LOYALTY_MEMBERS, inputFormat={"format": "csv"})
    assert (batch["status"], batch["failedRecordCount"]) == ("success", 0)


def test_no_error_of_the_batch_quotes_a_row(api: Client) -> None:
    secret = "somebody@example.com"
    rows = [{secret: 1}, {"person": {"gender": secret}}, {"identityMap": {secret: secret}}, [secret]]
    batch = api.ingest(lines(*rows), enableErrorDiagnostics=True)
    assert batch["failedRecordCount"] == 4
    assert "somebody" not in json.dumps(batch)


def test_rows_as_a_crm_exports_them_are_fine(api: Client) -> None:
    row = {
        "person": {
            "name": {"courtesyTitle": "Dr", "firstName": "Customer", "lastName": "0001"},
            "gender": "female",
            "birthDayAndMonth": "10-3",
            "birthDate": "1970-10-3",
            "birthYear": 1970,
        },
        "identityMap": {"CRMID": [{"id": "customer-0001", "primary": False}], "ECID": []},
        "homePhone": {"number": "555-0101"},
        "personalEmail": {"address": "customer-0001@example.com"},
        "homeAddress": {"country": "US", "_schema": {"latitude": 33.7, "longitude": -85}},
    }
    assert api.ingest(lines(row), dataset_id=CRM_PROFILES)["status"] == "success"
