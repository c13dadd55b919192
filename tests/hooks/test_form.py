"""The connection form of Airflow 2.11 and 3.1 comes from the hook, that of later versions from the provider info: they agree."""

import json
import sys
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from airflow_provider_catalog import get_provider_info
from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.hooks.catalog import CatalogHook

INFO: Any = get_provider_info()
[CONNECTION_TYPE] = INFO["connection-types"]
FIELDS = CONNECTION_TYPE["conn-fields"]


def test_the_labels_are_in_the_form_that_airflow_accepts() -> None:
    schema = Path(airflow.__file__).parent / "customized_form_field_behaviours.schema.json"
    jsonschema.validate(CatalogHook.get_ui_field_behaviour(), json.loads(schema.read_text()))


@pytest.mark.parametrize(
    ("in_the_hook", "in_the_info"),
    [("hidden_fields", "hidden-fields"), ("relabeling", "relabeling"), ("placeholders", "placeholders")],
)
def test_the_labels_are_those_of_the_provider_info(in_the_hook: str, in_the_info: str) -> None:
    assert (
        CatalogHook.get_ui_field_behaviour()[in_the_hook]
        == CONNECTION_TYPE["ui-field-behaviour"][in_the_info]
    )


def test_the_fields_are_those_of_the_provider_info() -> None:
    pytest.importorskip(
        "flask_appbuilder", reason="this Airflow has no form library, and reads the provider info"
    )
    widgets = CatalogHook.get_connection_form_widgets()
    shown = {
        name: (field.args[0], field.kwargs["description"], "Password" in field.field_class.__name__)
        for name, field in widgets.items()
    }
    assert shown == {
        name: (field["label"], field["description"], field["schema"].get("format") == "password")
        for name, field in FIELDS.items()
    }


def test_a_missing_form_library_costs_the_fields_but_not_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask_appbuilder.fieldwidgets", None)
    assert CatalogHook.get_connection_form_widgets() == {}
    assert CatalogHook.get_ui_field_behaviour()["relabeling"]["login"] == "Client ID"


def test_every_field_is_one_that_the_hook_reads() -> None:
    assert set(FIELDS) <= set(PlatformSettings.__dataclass_fields__)
