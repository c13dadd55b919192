"""The platform's table of type conversions, cell by cell, as far as JSON has the types; Parquet's are in test_parquet."""

from __future__ import annotations

from typing import Any

import pytest
from schemas import column, fits

COLUMNS = {
    "String": column("string"),
    "Byte": column("byte"),
    "Short": column("short"),
    "Integer": column("int"),
    "Long": column("long"),
    "Double": column("number"),
    "Date": column("date"),
    "Date-Time": column("date-time"),
    "Object": {"type": "object", "meta:xdmType": "object", "properties": {"a": column("int")}},
    "Map": column("map", additionalProperties=column("int")),
    "Boolean": column("boolean"),
    "Array": column("array", items=column("int")),
}
NUMBERS = ("String", "Byte", "Short", "Integer", "Long", "Double")
TABLE: dict[str, tuple[Any, tuple[str, ...]]] = {
    "a text of a whole number": ("42", NUMBERS),
    "a text of a number": ("1.5", ("String", "Double")),
    "a text of a day": ("2019-05-15", ("String", "Date")),
    "a text of a moment": ("2019-05-15T10:30:00Z", ("String", "Date-Time")),
    "a text": ("a", ("String",)),
    "Long": (42, (*NUMBERS, "Date", "Date-Time")),
    "Double": (1.5, NUMBERS),
    "Double that looks whole": (1.0, NUMBERS),
    "Object, Map": ({"a": 1}, ("Object", "Map")),
    "Boolean": (True, ("Boolean",)),
    "Array": ([1], ("Array",)),
    "null": (None, tuple(COLUMNS)),
}


@pytest.mark.parametrize("target", COLUMNS)
@pytest.mark.parametrize("given", TABLE)
def test_each_cell_of_the_table(given: str, target: str) -> None:
    value, targets = TABLE[given]
    assert fits(COLUMNS[target], value) == [target in targets]


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("long", -(2**53) + 1, 2**53 - 1),
        ("int", -(2**31), 2**31 - 1),
        ("short", -(2**15), 2**15 - 1),
        ("byte", -(2**7), 2**7 - 1),
    ],
)
def test_whole_numbers_have_a_range(kind: str, least: int, most: int) -> None:
    assert fits(column(kind), least, most, str(least), str(most)) == [True] * 4
    assert fits(column(kind), least - 1, most + 1, str(least - 1), str(most + 1)) == [False] * 4
    assert fits({"type": "integer"}, most) == [True]  # of a long, where the XDM type is missing


def test_digits_behind_the_point_are_cut_off() -> None:
    assert fits(column("byte"), 127.9, 128.0, -128.9, -129.0) == [True, False, True, False]
    assert fits(column("int", minimum=1, maximum=9), 0.9, 1.0, 9.9, 10.0) == [False, True, True, False]
    assert fits(column("int", minimum=-5, maximum=-2), -5.9, -6.0, -2.0, -1.9) == [True, False, True, False]
    assert fits(column("int", minimum=0, maximum=0), -0.5, 0.5, -1, 1) == [True, True, False, False]
    assert fits(column("int", enum=[2]), 2.9, 3.0, "2", "3") == [True, False, True, False]


@pytest.mark.parametrize("text", ["", "x", " 1", "1 ", "1_0", "٤", "4.0", "1e2", "0x1", "9" * 5000])
def test_what_is_no_text_of_a_whole_number(text: str) -> None:
    assert fits(column("long"), text) == [False]


def test_texts_of_numbers() -> None:
    assert fits(column("long"), "+7", "-7", "007", "0" * 50 + "7") == [True] * 4
    assert fits(column("number"), "1e3", "-1.5E-3", ".5", "5.", "+1") == [True] * 5
    assert fits(column("number"), "", ".", "1e999", "NaN", "Infinity", "1,5", 10**309) == [False] * 7


def test_days_and_moments() -> None:
    assert fits(column("date"), "2020-02-29", "1970-10-3", 0) == [True] * 3
    assert (
        fits(column("date"), "2019-02-29", "15.05.2019", "20190515", "2019-05-15Z", "0000-01-01")
        == [False] * 5
    )
    good = ["2019-05-15T10:30:00Z", "2019-05-15T10:30:00-11:00", "2019-05-15T10:30:00.123456789Z"]
    assert fits(column("date-time"), *good) == [True] * 3
    bad = [
        "T10:30:00",
        " 10:30:00Z",
        "T10:30Z",
        "T10:30:00.Z",
        "T10:30:00.1234567890Z",
        "T25:30:00Z",
        "T10:30:00+0200",
    ]
    assert fits(column("date-time"), *(f"2019-05-15{end}" for end in bad)) == [False] * 7
