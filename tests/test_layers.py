"""Arrows point down only: faces -> ingest -> api, the emulator beside them, and Airflow known to the faces alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_catalog

PACKAGE = airflow_provider_catalog.__name__
ROOT = Path(airflow_provider_catalog.__file__).parent

MAY_IMPORT = {
    "api": {"api"},
    "ingest": {"api", "ingest"},
    "emulator": {"emulator"},
}


def modules(folder: str) -> list[str]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [
        ".".join([PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
        for path in paths
    ]


def imported(path: Path) -> Iterator[str]:
    """The modules that a file names in any import, wherever in it."""
    package = [PACKAGE, *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *filter(None, [node.module])])


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_layer_imports_only_what_lies_below(folder: str) -> None:
    allowed = {PACKAGE, *(f"{PACKAGE}.{name}" for name in MAY_IMPORT[folder])}
    own = {
        (path.name, name)
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in (PACKAGE, "airflow")
    }
    assert own
    assert {(file, name) for file, name in own if ".".join(name.split(".")[:2]) not in allowed} == set()


def test_nobody_needs_the_emulator() -> None:
    own = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "emulator"]
    assert [
        path.name for path in own for name in imported(path) if name.startswith(f"{PACKAGE}.emulator")
    ] == []


@pytest.mark.parametrize("folder", ["api", "ingest"])
def test_the_client_runs_without_airflow(folder: str) -> None:
    program = (
        f"import importlib, sys\n"
        f"for name in {modules(folder)!r}: importlib.import_module(name)\n"
        f"print(*[name for name in sys.modules if name.split('.')[0] == 'airflow'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT.parent
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")
