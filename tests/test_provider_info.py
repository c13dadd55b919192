"""What Airflow is told about the package is true, complete, and in the form that Airflow asks for."""

import importlib
import importlib.metadata
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import (
    BaseHook,
    BaseOperator,
    BaseOperatorLink,
    BaseSensorOperator,
)
from airflow.triggers.base import BaseTrigger

import airflow_provider_catalog
from airflow_provider_catalog.hooks.catalog import CatalogHook

INFO: dict[str, Any] = airflow_provider_catalog.get_provider_info()
[CONNECTION_TYPE] = INFO["connection-types"]
DISTRIBUTION = "airflow-provider-catalog"


def schema(name: str) -> Any:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


def loaded(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def listed_modules(section: str) -> set[str]:
    return {module for entry in INFO[section] for module in entry["python-modules"]}


def modules_of(folder: str) -> Iterator[ModuleType]:
    package = importlib.import_module(f"airflow_provider_catalog.{folder}")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def public_classes(folder: str, base: type) -> set[type]:
    return {
        item
        for module in modules_of(folder)
        for name, item in vars(module).items()
        if isinstance(item, type)
        and issubclass(item, base)
        and item.__module__ == module.__name__
        and not name.startswith("_")
    }


def test_the_description_is_what_airflow_accepts() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


@pytest.mark.parametrize("part", ["conn-fields", "ui-field-behaviour"])
def test_the_connection_form_is_what_airflow_accepts(part: str) -> None:
    provider_yaml = schema("provider.yaml.schema.json")
    rules = provider_yaml["properties"]["connection-types"]["items"]["properties"]
    if part not in rules:
        pytest.skip(f"Airflow {airflow.__version__} reads {part} from the hook")
    jsonschema.validate(CONNECTION_TYPE[part], {**rules[part], "definitions": provider_yaml["definitions"]})


def test_the_version_is_that_of_the_package() -> None:
    assert INFO["versions"] == [airflow_provider_catalog.__version__]


def test_every_integration_that_a_section_names_is_described() -> None:
    described = {integration["integration-name"] for integration in INFO["integrations"]}
    named = {
        entry["integration-name"]
        for part in ("hooks", "operators", "sensors", "triggers")
        for entry in INFO[part]
    }
    assert named == described


@pytest.mark.parametrize(
    ("section", "base"),
    [
        ("hooks", BaseHook),
        ("operators", BaseOperator),
        ("sensors", BaseSensorOperator),
        ("triggers", BaseTrigger),
    ],
)
def test_every_module_with_public_classes_is_listed_and_no_other(section: str, base: type) -> None:
    assert listed_modules(section) == {item.__module__ for item in public_classes(section, base)}


def test_every_link_is_listed_and_no_other() -> None:
    links = public_classes("links", BaseOperatorLink)
    assert {loaded(path) for path in INFO["extra-links"]} == links


def test_the_connection_type_is_that_of_the_hook() -> None:
    hook = loaded(CONNECTION_TYPE["hook-class-name"])
    assert hook is CatalogHook
    assert (CONNECTION_TYPE["connection-type"], CONNECTION_TYPE["hook-name"]) == (
        hook.conn_type,
        hook.hook_name,
    )
    assert "__" not in hook.conn_type, "Airflow's form splits the names of its fields there"


def test_fields_that_hold_secrets_are_hidden_in_the_form_and_masked_by_name() -> None:
    from airflow.providers.common.compat.sdk import redact

    hidden = {
        name
        for name, field in CONNECTION_TYPE["conn-fields"].items()
        if field["schema"].get("format") == "password"
    }
    assert hidden == {"access_token"}
    values = dict.fromkeys(CONNECTION_TYPE["conn-fields"], "something to hide")
    shown: Any = redact(values)
    assert {name for name, value in shown.items() if value == "***"} == hidden


@pytest.fixture(scope="module")
def airflow_knows() -> Any:
    """Airflow's own list of what is installed."""
    from airflow.providers_manager import ProvidersManager

    try:
        importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{DISTRIBUTION} is run from its checkout here, not installed")
    return ProvidersManager()


def test_airflow_finds_the_installed_package(airflow_knows: Any) -> None:
    assert airflow_knows.providers[DISTRIBUTION].version == airflow_provider_catalog.__version__


def test_airflow_finds_the_hook_of_the_installed_package(airflow_knows: Any) -> None:
    hook = airflow_knows.hooks["adobe_catalog"]
    assert (hook.hook_class_name, hook.hook_name) == (
        CONNECTION_TYPE["hook-class-name"],
        CONNECTION_TYPE["hook-name"],
    )


def test_airflow_shows_the_labels_and_fields_of_the_form(airflow_knows: Any) -> None:
    behaviour = airflow_knows.field_behaviours["adobe_catalog"]
    assert behaviour["relabeling"] == CONNECTION_TYPE["ui-field-behaviour"]["relabeling"]
    shown = airflow_knows.connection_form_widgets
    fields = {field.field_name for name, field in shown.items() if name.startswith("extra__adobe_catalog__")}
    assert fields == set(CONNECTION_TYPE["conn-fields"])
