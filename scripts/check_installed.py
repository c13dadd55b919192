"""Fail unless this environment's Airflow knows all that the installed package says about itself.

Usage: check_installed.py, with the environment's Python, from a folder in which the checkout cannot be imported by chance.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import yaml

import airflow_provider_catalog

NAME = "airflow-provider-catalog"
INFO: Any = airflow_provider_catalog.get_provider_info()
[CONNECTION_TYPE] = INFO["connection-types"]


def main() -> None:
    """Ask Airflow's command line."""
    if "site-packages" not in airflow_provider_catalog.__file__:
        sys.exit(f"Not the installed package: {airflow_provider_catalog.__file__}")
    [known] = yaml.safe_load(airflow("get", NAME, "--full"))
    # Airflow shows the description without its full stop, and has some fields of its own besides.
    wanted_info = INFO | {"description": INFO["description"].rstrip(".")}
    wrong = {key: known.get(key) for key, value in wanted_info.items() if known.get(key) != value}
    if wrong:
        sys.exit(f"airflow providers get: these differ from get_provider_info(): {wrong}")
    for command, wanted in listed().items():
        output = airflow(command)
        missing = [text for text in wanted if text not in output]
        if missing:
            sys.exit(f"airflow providers {command}: {missing} not found in\n{output}")


def listed() -> dict[str, list[str]]:
    """Give what each command has to show; no version of Airflow has one for operators and sensors."""
    return {
        "list": [NAME, airflow_provider_catalog.__version__],
        "hooks": [CONNECTION_TYPE["connection-type"], CONNECTION_TYPE["hook-class-name"]],
        "links": INFO["extra-links"],
        "triggers": list(modules("triggers")),
    }


def modules(section: str) -> Iterator[str]:
    """Name the modules of a section."""
    for entry in INFO[section]:
        yield from entry["python-modules"]


def airflow(command: str, *arguments: str) -> str:
    """Run a command of ``airflow providers`` and give what it prints as YAML."""
    program = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "airflow",
        "providers",
        command,
        *arguments,
        "--output",
        "yaml",
    ]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
