"""What an import costs: Airflow loads the package at every start, and DAG files every few seconds."""

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

PACKAGE = "airflow_provider_catalog"
DAG_PARTS = [
    f"{PACKAGE}.{name}"
    for name in (
        "operators.batch",
        "operators.diagnostics",
        "sensors.batch",
        "links.dataset",
        "assets.dataset",
    )
]
# What every DAG file has loaded anyway; the names are looked up because the module loads them when asked for.
BASE = """
import airflow.providers.common.compat.sdk as sdk
for name in (
    "DAG", "BaseOperator", "BaseSensorOperator", "BaseHook", "BaseOperatorLink", "PokeReturnValue", "XCom", "conf",
    "AirflowFailException", "AirflowSensorTimeout", "AirflowSkipException", "AirflowTaskTimeout",
):
    getattr(sdk, name)
"""


def newly_loaded(modules: Sequence[str], base: str = "") -> set[str]:
    """Import modules in a process of its own, and give all modules that this has loaded on top of a base."""
    code = f"""
import json, sys
{base}
before = set(sys.modules)
import {", ".join(modules)}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def third_party(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {PACKAGE}


def test_the_package_itself_loads_nothing_but_itself() -> None:
    loaded = newly_loaded([PACKAGE])
    assert {name for name in loaded if name.startswith(PACKAGE)} == {PACKAGE}
    assert not third_party(loaded)


@pytest.fixture(scope="module")
def loaded_by_a_dag_file() -> set[str]:
    return newly_loaded(DAG_PARTS, BASE)


def test_a_dag_file_loads_no_library_on_top_of_airflow(loaded_by_a_dag_file: set[str]) -> None:
    assert loaded_by_a_dag_file >= set(DAG_PARTS)
    assert not third_party(loaded_by_a_dag_file) - {"airflow"}


def test_a_dag_file_loads_neither_the_client_nor_the_emulator(loaded_by_a_dag_file: set[str]) -> None:
    """Airflow itself may have loaded the HTTP library already, so what uses it must not be loaded either."""
    parts = {name.removeprefix(f"{PACKAGE}.") for name in loaded_by_a_dag_file if name.startswith(PACKAGE)}
    assert not {part for part in parts if part.startswith(("emulator", "triggers", "ingest"))}
    assert {part for part in parts if part.startswith("api.")} <= {"api.errors"}


def test_a_dag_file_with_a_watcher_loads_neither_the_client_nor_the_emulator() -> None:
    loaded = newly_loaded([f"{PACKAGE}.triggers.dataset"], BASE)
    parts = {name.removeprefix(f"{PACKAGE}.") for name in loaded if name.startswith(PACKAGE)}
    assert not {part for part in parts if part.startswith(("api.", "emulator", "ingest"))}
