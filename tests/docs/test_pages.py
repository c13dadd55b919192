"""The pages name everything that there is, and lead nowhere that there is nothing. What they say is built by `make docs`."""

import importlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_catalog
from airflow_provider_catalog.emulator.routes import steering

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("howto/*.md")]
INFO: dict[str, Any] = airflow_provider_catalog.get_provider_info()


def public_classes() -> Iterator[str]:
    """The operators, sensors, triggers and hooks for DAGs, without those that others are made of."""
    modules = [
        importlib.import_module(name)
        for section in ("operators", "sensors", "triggers", "hooks")
        for entry in INFO[section]
        for name in entry["python-modules"]
    ]
    classes = {
        item
        for module in modules
        for name, item in vars(module).items()
        if isinstance(item, type) and item.__module__ == module.__name__ and not name.startswith("_")
    }
    bases = {base for item in classes for base in item.__mro__[1:]}
    endings = ("Operator", "Sensor", "Trigger", "Hook")
    yield from sorted(item.__name__ for item in classes - bases if item.__name__.endswith(endings))


@pytest.mark.parametrize("name", list(public_classes()))
def test_every_operator_sensor_trigger_and_hook_has_its_how_to(name: str) -> None:
    assert any(re.search(rf"\b{name}\b", page.read_text()) for page in DOCS.glob("howto/*.md"))


@pytest.mark.parametrize("path", sorted(ROOT.glob("example_dags/*.py")), ids=lambda path: path.name)
def test_every_example_is_linked_from_a_page(path: Path) -> None:
    link = f"../example_dags/{path.name})"
    assert any(link in page.read_text() for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", page.read_text())
    targets = [page.parent / link for link in links if "://" not in link]
    assert [str(target) for target in targets if not target.exists()] == []


SNIPPETS = [
    pytest.param(ROOT / source, code, id=f"{page.stem}: {source}")
    for page in PAGES
    for source, code in re.findall(r"<!-- (\S+) -->\n```python\n(.*?)```", page.read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("source", "code"), SNIPPETS)
def test_every_snippet_stands_in_a_file_that_tests_run(source: Path, code: str) -> None:
    text = source.read_text()
    assert any(textwrap.indent(code, indent) in text for indent in ("", " " * 4, " " * 8))


def test_every_how_to_that_is_about_a_task_shows_one() -> None:
    shown = {page.stem for page in DOCS.glob("howto/*.md") if "-->\n```python" in page.read_text()}
    assert shown == {page.stem for page in DOCS.glob("howto/*.md")} - {"files"}


def test_every_field_of_the_connection_is_explained() -> None:
    text = (DOCS / "connection.md").read_text()
    [connection_type] = INFO["connection-types"]
    behaviour = connection_type["ui-field-behaviour"]
    labels = behaviour["relabeling"] | {
        f"{name}` (extra)": field["label"] for name, field in connection_type["conn-fields"].items()
    }
    rows = [f"| `{name.replace('` (extra)', '')}`" for name in labels]
    assert [row for row in rows if row not in text] == []
    assert [label for label in labels.values() if f"| {label} |" not in text] == []


def test_every_option_of_the_emulator_is_in_its_manual() -> None:
    command = [sys.executable, "-m", "airflow_provider_catalog.emulator", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^  (--[a-z-]+)", told, re.MULTILINE))
    assert len(options) > 5
    assert options <= set(re.findall(r"--[a-z-]+", (DOCS / "emulator.md").read_text()))


def test_every_call_that_steers_the_emulator_is_in_its_manual() -> None:
    text = (DOCS / "emulator.md").read_text()
    calls = {
        f"`{method} {route.path.removeprefix(steering.ROOT)}`"
        for route in steering.routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {call for call in calls if call not in text} == set()
