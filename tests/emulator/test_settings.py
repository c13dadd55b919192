"""Settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_catalog.emulator.settings import InvalidSetting, Settings, as_dict, changed


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("promotion_seconds", "2.5", 2.5),
        ("small_file_limit", "10", 10),
        ("external_id_unique", "true", True),
        ("scalar_tags", False, False),
        ("created_status", "201", 201),
        ("created_status", 201, 201),
        ("bodies", "json", "json"),
        ("client_id", "me", "me"),
    ],
)
def test_values_come_from_json_or_from_a_command_line(name: str, value: Any, expected: Any) -> None:
    found = getattr(changed(Settings(), {name: value}), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("nope", 1, "no such setting: nope"),
        ("promotion_seconds", "soon", "promotion_seconds is a number"),
        ("promotion_seconds", -1, "not negative"),
        ("token_lifetime", "inf", "finite"),
        ("token_lifetime", "nan", "finite"),
        pytest.param("token_lifetime", 10**400, "finite", id="too large for a float"),
        ("small_file_limit", None, "number"),
        ("small_file_limit", float("inf"), "finite"),
        ("promotion_seconds", 1e300, "a hundred years"),
        ("diagnostics_rows", 0, "at least 1"),
        ("range_limit", 0, "at least 1"),
        ("bodies", "xml", "one of empty, json"),
        ("created_status", 204, "one of 200, 201"),
        ("external_id_unique", "maybe", "one of true, false"),
        ("received_ranges", None, "one of bytes=, bytes, bare, none, not None"),
        ("client_id", None, "client_id is a text"),
        ("org", {}, "org is a text"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, value: Any, hint: str) -> None:
    with pytest.raises(InvalidSetting, match=hint):
        changed(Settings(), {name: value})


def test_the_secret_is_never_shown() -> None:
    with pytest.raises(InvalidSetting, match="client_secret is a text") as refused:
        changed(Settings(), {"client_secret": 1234})
    assert "1234" not in str(refused.value)
    assert set(as_dict(Settings())) == {each.name for each in dataclasses.fields(Settings)} - {
        "client_secret"
    }
