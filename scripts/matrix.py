"""Run the tests on every version of Airflow and of Python that the package supports, and print what became of them.

Usage: matrix.py [--environments NAME ...] [--pythons VERSION ...] [-- PYTEST ARGUMENT ...]

Without pytest's arguments that is the whole suite. Only versions of Python that are here take part; nothing but packages is
downloaded. Each run's output is in .venv/matrix/. The table is Markdown, and names what did not run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from environment import ENVIRONMENTS, HOME, ROOT, find_python, folder_of

NAMES = ("airflow-2.11", "airflow-3.0", "airflow-3.1", "airflow-3.2", "airflow-3", "lowest")
PYTHONS = ("3.11", "3.12", "3.13")
OUTPUT = HOME / "matrix"
VERSIONS = "import platform, airflow; print(airflow.__version__, platform.python_version())"
COUNTS = ("passed", "failed", "skipped")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    :param airflow: its version.
    :param python: its version.
    :param counts: of tests by what became of them, or why there are none.
    :param ok: whether nothing has failed.
    """

    airflow: str
    python: str
    counts: dict[str, int] | str
    ok: bool = True

    def __str__(self) -> str:
        cells = [self.airflow, self.python]
        if isinstance(self.counts, str):
            return f"| {' | '.join([*cells, self.counts])} | | |"
        return f"| {' | '.join([*cells, *(f'{self.counts.get(name, 0):,}' for name in COUNTS)])} |"


def main() -> None:
    """Run every cell of the matrix, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", nargs="+", default=NAMES, choices=NAMES, metavar="NAME")
    parser.add_argument("--pythons", nargs="+", default=PYTHONS, metavar="VERSION")
    parser.add_argument("tests", nargs="*")
    chosen = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    rows = [cell(name, python, chosen.tests) for name in chosen.environments for python in chosen.pythons]
    print("\n".join(["", *table(rows)]))
    sys.exit(not all(row.ok for row in rows))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Give the lines of the table."""
    yield f"| Airflow | Python | {' | '.join(COUNTS)} |"
    yield "|---|---|--:|--:|--:|"
    yield from map(str, rows)


def cell(name: str, python: str, tests: Sequence[str]) -> Row:
    """Run the tests in one environment."""
    newest = ENVIRONMENTS[name].newest_python
    if tuple(map(int, python.split("."))) > newest:
        return Row(name, python, "not supported by this Airflow")
    if find_python(newest, python) is None:
        return Row(name, python, "this Python is not here")
    prepared = subprocess.run(
        [sys.executable, ROOT / "scripts" / "environment.py", name, python], check=False
    )
    if prepared.returncode:
        return Row(name, python, "could not be installed", ok=False)
    own_python = folder_of(name, python) / "bin" / "python"
    [airflow, exact_python] = output_of([own_python, "-W", "ignore", "-c", VERSIONS]).split()[-2:]
    label = f"{airflow}, lowest versions of all dependencies" if ENVIRONMENTS[name].lowest else airflow
    log = OUTPUT / f"{own_python.parent.parent.name}.txt"
    print(f"Airflow {label}, Python {exact_python}: running, see {log}", flush=True)
    started = time.monotonic()
    code = run_tests(own_python, tests, log)
    counts = counts_in(log)
    print(f"  {counts} in {(time.monotonic() - started) / 60:.0f} min", flush=True)
    return Row(label, exact_python, counts, ok=code == 0)


def output_of(command: Sequence[str | Path]) -> str:
    """Run a program and give what it prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=HOME).stdout


def run_tests(python: Path, tests: Sequence[str], log: Path) -> int:
    """Run pytest with its output in a file, and show what has failed."""
    command = [python, "-m", "pytest", "--numprocesses", "auto", "--dist", "loadgroup", *tests]
    with log.open("w") as out:
        code = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    failures = [line for line in log.read_text().splitlines() if line.startswith(("FAILED", "ERROR "))]
    print("\n".join(failures), end="\n" if failures else "")
    return code


def counts_in(log: Path) -> dict[str, int]:
    """Read pytest's last line; what has failed outside of a test counts as failed as well."""
    *_, last = log.read_text().splitlines() or [""]
    found = {
        name.rstrip("s"): int(number)
        for number, name in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", last)
    }
    return {
        "passed": found.get("passed", 0),
        "failed": found.get("failed", 0) + found.get("error", 0),
        "skipped": found.get("skipped", 0),
    }


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted.")
