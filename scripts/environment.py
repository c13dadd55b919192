"""Prepare one of the project's Python environments under .venv/, or do nothing where it is ready.

Usage: environment.py tools | airflow-3 | airflow-2.11 | wheel-3 | wheel-2.11

Packages are resolved as of a date, so that the same commit gets the same versions years from now.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv"
UV = HOME / "tools" / "bin" / "uv"
UV_VERSION = "0.13.9"

AS_OF = "2026-11-15"
"""The day whose newest versions are installed. Move it to test with newer ones."""

AS_OF_2_11 = "2026-03-30"
"""Airflow 2.11 is tested with what its users have: the versions of the month of its last release."""

# In pytest 9.2 xdist 3.8 does not keep together what is to run in one process, and does not say so.
TEST_TOOLS = (
    *("pytest>=9,<9.2", "pytest-xdist", "hypothesis", "jsonschema-rs", "pyarrow", "psycopg2-binary"),
    *("apache-airflow-providers-amazon[s3fs]", "moto[server]", "aiohttp"),
)
# The provider takes Celery 5.7, but not what that has made of its result backend.
FLEET_TOOLS = ("apache-airflow-providers-celery", "celery<5.7")
LINT_TOOLS = ("mypy", "ruff", "types-requests", "types-jsonschema")


@dataclass(frozen=True)
class Environment:
    """What one environment holds, and on which day its packages were the newest."""

    what: str
    packages: tuple[str, ...]
    as_of: str = AS_OF
    newer: tuple[str, ...] = ()
    newest_python: tuple[int, int] = (3, 14)
    wheel: bool = False


ENVIRONMENTS = {
    "airflow-3": Environment(
        "Airflow 3, this package and its test tools",
        ("apache-airflow>=3,<4", "asyncpg", *FLEET_TOOLS, *TEST_TOOLS, *LINT_TOOLS),
    ),
    "airflow-2.11": Environment(
        "Airflow 2.11, this package and its test tools",
        ("apache-airflow==2.11.*", *TEST_TOOLS),
        as_of=AS_OF_2_11,
        # Of the faster validator, that month's version let records pass that are not valid.
        newer=("apache-airflow-providers-common-compat", "jsonschema-rs"),
        newest_python=(3, 12),
    ),
    "wheel-3": Environment("Airflow 3 and the built wheel alone", ("apache-airflow>=3,<4",), wheel=True),
    "wheel-2.11": Environment(
        "Airflow 2.11 and the built wheel alone",
        ("apache-airflow==2.11.*",),
        as_of=AS_OF_2_11,
        newer=("apache-airflow-providers-common-compat",),
        newest_python=(3, 12),
        wheel=True,
    ),
}


def main() -> None:
    """Prepare the environment named on the command line."""
    name = sys.argv[1]
    HOME.mkdir(exist_ok=True)
    with only_one_at_a_time():
        prepare_tools()
        if name != "tools":
            prepare(name, ENVIRONMENTS[name])


@contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Keep a second run from installing into the same folders; it goes on when the first is done."""
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another run is preparing .venv/; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare_tools() -> None:
    """Install uv, which installs everything else: faster than pip, and as of a date."""
    folder = HOME / "tools"
    python = str(folder / "bin" / "python")
    with preparation(folder, "the installer uv", UV_VERSION) as log:
        if log:
            run([sys.executable, "-m", "venv", "--clear", str(folder)], log)
            run([python, "-m", "pip", "install", "--no-cache-dir", f"uv=={UV_VERSION}"], log)


def prepare(name: str, environment: Environment) -> None:
    """Create the environment anew, unless it is there and nothing it was made from has changed."""
    folder = HOME / name
    source, content = wheel() if environment.wheel else checkout()
    with preparation(folder, environment.what, repr(environment) + content) as log:
        if log:
            python = find_python(environment.newest_python)
            run([str(UV), "venv", "--clear", "--python", python, str(folder)], log)
            install = [str(UV), "pip", "install", "--python", str(folder / "bin" / "python")]
            run([*install, *as_of(environment), *environment.packages, *source], log)


def checkout() -> tuple[list[str], str]:
    """Return how to install this checkout, and what decides whether it has to be installed again."""
    build_system = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    return ["--editable", ".[emulator]"], (ROOT / "setup.cfg").read_text() + repr(build_system)


def wheel() -> tuple[list[str], str]:
    """Return how to install the wheel that `make build` left, and what tells it from another one."""
    built = list((ROOT / "dist").glob("*.whl"))
    if len(built) != 1:
        sys.exit(f"dist/ holds {len(built)} wheels instead of one. Run: make build")
    source = f"airflow-provider-catalog[emulator] @ {built[0].as_uri()}"
    return [source], hashlib.sha256(built[0].read_bytes()).hexdigest()


def as_of(environment: Environment) -> list[str]:
    """Return uv's options for the dates."""
    newer = [f"--exclude-newer-package={package}={AS_OF}" for package in environment.newer]
    return [f"--exclude-newer={environment.as_of}", *newer]


def find_python(newest: tuple[int, int]) -> str:
    """Return an interpreter between 3.11 and the newest version that the environment supports."""
    candidates = [sys.executable, *(f"python3.{minor}" for minor in range(newest[1], 10, -1))]
    for candidate in candidates:
        question = "import sys; print(sys.executable, *sys.version_info[:2], sep='|')"
        answer = (
            subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
            if shutil.which(candidate)
            else None
        )
        if answer and answer.returncode == 0:
            path, major, minor = answer.stdout.strip().rsplit("|", 2)
            if (3, 11) <= (int(major), int(minor)) <= newest:
                return path
    sys.exit(f"This environment needs Python 3.11 to {newest[0]}.{newest[1]}; none was found on the path.")


@contextmanager
def preparation(folder: Path, what: str, made_from: str) -> Iterator[Path | None]:
    """Give the log file to install with, or None where the folder is ready; tell the user how it goes."""
    stamp, log = folder / "ready", HOME / f"{folder.name}.log"
    wanted = hashlib.sha256(f"{ROOT} {sys.version} {made_from}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        yield None
        return
    print(f"Preparing .venv/{folder.name}: {what}. Needed once; a minute or so.", flush=True)
    started = time.monotonic()
    log.unlink(missing_ok=True)
    yield log
    stamp.write_text(wanted)
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def run(command: list[str], log: Path) -> None:
    """Run one step with its output in the log; on failure show the end of the log and stop."""
    with log.open("a") as out:
        print(f"$ {shlex.join(command)}", file=out, flush=True)
        code = subprocess.run(
            command, cwd=ROOT, env=environ(), stdout=out, stderr=out, check=False
        ).returncode
    if code:
        tail = log.read_text(errors="replace").splitlines()[-25:]
        sys.exit("\n".join([*tail, "", f"This step failed; the lines above say why. The whole log: {log}"]))


def environ() -> dict[str, str]:
    """Return the installers' variables: caches stay in this folder, and uv uses the mirror set for pip."""
    variables = {"UV_CACHE_DIR": str(HOME / "cache"), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    if "PIP_INDEX_URL" in os.environ:
        variables["UV_DEFAULT_INDEX"] = os.environ["PIP_INDEX_URL"]
    return variables | {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the next run starts this step again.")
