"""What an import costs: Airflow loads the package at every start, and DAG files every few seconds."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

import airflow_provider_catalog

PACKAGE = airflow_provider_catalog.__name__
INFO: Any = airflow_provider_catalog.get_provider_info()
DAG_PARTS = [
    *(name for part in ("operators", "sensors") for entry in INFO[part] for name in entry["python-modules"]),
    f"{PACKAGE}.links.dataset",
    f"{PACKAGE}.assets.dataset",
]
MAX_MILLISECONDS = 10
ROUNDS = 200
# What every DAG file has loaded anyway; the names are looked up because the module loads them when asked for.
BASE = """
import airflow.providers.common.compat.sdk as sdk
for name in (
    "DAG", "BaseOperator", "BaseSensorOperator", "BaseHook", "BaseOperatorLink", "PokeReturnValue", "XCom", "conf",
    "AirflowException", "AirflowFailException", "AirflowSensorTimeout", "AirflowSkipException", "AirflowTaskTimeout",
):
    getattr(sdk, name)
"""


# Again and again: the first time our modules may have to be compiled, and the machine may be busy with something else.
COST = f"""
import sys, time
{BASE}
before = set(sys.modules)
for _ in range({ROUNDS}):
    started = time.process_time()
    import {", ".join(DAG_PARTS)}
    print(time.process_time() - started)
    for name in set(sys.modules) - before:
        del sys.modules[name]
"""


def output_of(code: str) -> list[str]:
    """Run code in a process of its own, in which modules may be compiled for the next time, and give the lines that it prints."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()


def newly_loaded(modules: Sequence[str], base: str = "", afterwards: str = "") -> set[str]:
    """Import modules in a process of its own, and give all modules that this has loaded on top of a base."""
    code = f"""
import json, sys
{base}
before = set(sys.modules)
import {", ".join(modules)}
{afterwards}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    return set(json.loads(output_of(code)[-1]))


def third_party(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {PACKAGE}


def test_describing_the_package_to_airflow_loads_nothing_but_the_package_itself() -> None:
    loaded = newly_loaded([PACKAGE], afterwards=f"{PACKAGE}.get_provider_info()")
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


def test_the_operators_and_sensors_cost_a_dag_file_at_most_ten_milliseconds_of_cpu() -> None:
    """Compiled once, and all of them together."""
    assert min(float(line) for line in output_of(COST)[-ROUNDS:]) * 1000 <= MAX_MILLISECONDS


def test_a_dag_file_with_a_watcher_loads_neither_the_client_nor_the_emulator() -> None:
    loaded = newly_loaded([f"{PACKAGE}.triggers.dataset"], BASE)
    parts = {name.removeprefix(f"{PACKAGE}.") for name in loaded if name.startswith(PACKAGE)}
    assert not {part for part in parts if part.startswith(("api.", "emulator", "ingest"))}
