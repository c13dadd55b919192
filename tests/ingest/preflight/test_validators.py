"""The two validators come to the same result."""

from __future__ import annotations

import logging
from importlib import metadata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schemas import ALTERNATIVES, ANYTHING, MIXTURE, PARTS, column, record_schema, records_for

from airflow_provider_catalog.emulator.seeds import SCHEMAS
from airflow_provider_catalog.ingest.preflight import validators
from airflow_provider_catalog.ingest.preflight.translation import translate
from airflow_provider_catalog.ingest.preflight.validators import fast_check, fastest_check, plain_check

ALL = [*SCHEMAS, MIXTURE, PARTS, ALTERNATIVES]
CHECKS = [(plain_check(translation), fast_check(translation)) for translation in map(translate, ALL)]


@pytest.mark.parametrize("number", range(len(ALL)))
def test_both_find_the_same(number: int) -> None:
    plain, fast = CHECKS[number]
    seen = set()

    @settings(max_examples=100)
    @given(records_for(ALL[number]) | ANYTHING)
    def compare(record: Any) -> None:
        found = plain(record)
        seen.add(not found)
        assert fast(record) == found
        assert all(flaw.message and flaw.keyword for flaw in found)

    compare()
    assert seen == {True, False}


@settings(max_examples=150)
@given(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_both_find_the_same_in_any_scalar(value: Any) -> None:
    plain, fast = CHECKS[len(SCHEMAS)]
    record = dict.fromkeys(MIXTURE["properties"], value)
    assert fast(record) == plain(record)


@pytest.mark.parametrize("number", range(len(ALL)))
def test_the_fast_one_alone_would_say_the_same(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not refuse what the plain one then finds nothing in, which would cost its whole advantage."""
    asked: list[Any] = []
    monkeypatch.setattr(validators, "plain_check", lambda translation: asked.append)
    (plain, _), fast = CHECKS[number], fast_check(translate(ALL[number]))

    @settings(max_examples=100)
    @given(records_for(ALL[number]))
    def compare(record: Any) -> None:
        asked.clear()
        fast(record)
        assert bool(asked) == bool(plain(record))

    compare()


def test_what_the_fast_one_does_not_take_is_left_to_the_plain_one() -> None:
    deep: Any = 1
    for _ in range(400):
        deep = {"a": deep}
    translation = translate(record_schema(text=column("string"), any={}))
    for record in ({"text": "\ud800"}, {"any": deep}):
        assert fast_check(translation)(record) == plain_check(translation)(record) == ()


@pytest.mark.parametrize("required", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_each_required_field_is_asked_for_by_both(required: list[str]) -> None:
    schema = {**record_schema(a=column("int"), b=column("int"), c=column("int")), "required": required}
    translation = translate(schema)
    full = dict.fromkeys(required, 1)
    for name in required:
        lacking = {other: 1 for other in required if other != name}
        assert fast_check(translation)(lacking) == plain_check(translation)(lacking) != ()
    assert fast_check(translation)(full) == plain_check(translation)(full) == ()


@pytest.mark.parametrize(
    ("version", "is_used"),
    [
        (None, False),
        ("0.45.0", False),
        ("0.46.9", False),
        ("0.47.0", True),
        ("0.61.0", True),
        ("1.0rc1", True),
    ],
)
def test_the_fast_library_is_used_where_a_version_is_that_can_be_relied_on(
    version: str | None,
    is_used: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def installed(name: str) -> str:
        assert name == "jsonschema-rs"
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    caplog.set_level(logging.INFO)
    chosen = []
    monkeypatch.setattr(metadata, "version", installed)
    monkeypatch.setattr(validators, "fast_check", chosen.append)
    check = fastest_check(translate(record_schema(a=column("int"))))
    assert bool(chosen) == is_used
    assert ("jsonschema-rs>=0.47" in caplog.text) == (not is_used)
    if not is_used:
        assert (len(check({"a": "x"})), check({"a": 1})) == (1, ())


def test_a_schema_that_validators_read_differently_is_left_to_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(validators, "fast_check")
    schema = {**record_schema(a=column("int")), "patternProperties": {"^x": column("byte")}}
    assert len(fastest_check(translate(schema))({"x1": 128})) == 1
