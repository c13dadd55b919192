"""Fail unless what is installed are the lowest versions that this package says it works with.

Usage: lower_bounds.py, with the Python of the environment in question. A bound that nobody can have is wrong: raise it.
"""

from __future__ import annotations

import sys
from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.version import Version


def main() -> None:
    """Compare each requirement's lower bound with what is installed."""
    wrong = [
        text
        for requirement in map(Requirement, requires("airflow-provider-catalog") or ())
        if (text := problem(requirement))
    ]
    if wrong:
        sys.exit("\n".join(wrong))


def problem(requirement: Requirement) -> str | None:
    """Say what is wrong, if the installed version is not the lowest one."""
    [bound] = [each.version for each in requirement.specifier if each.operator == ">="]
    installed = version(requirement.name)
    if Version(installed) == Version(bound):
        return None
    return f"{requirement.name}: the lower bound is {bound}, but {installed} is the lowest that could be installed"


if __name__ == "__main__":
    main()
