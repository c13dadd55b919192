"""Prepare one of the project's Python environments under .venv/, or do nothing where it is ready.

Usage: environment.py NAME [PYTHON], with a name of ENVIRONMENTS below, or `tools`, and a Python such as 3.12

Packages are resolved as of a date, so that the same commit gets the same versions years from now.
"""

from __future__ import annotations

import configparser
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
TWINE_VERSION = "7.0.0"

AS_OF = "2026-11-15"
"""The day whose newest versions are installed. Move it to test with newer ones."""

AS_OF_2_11 = "2026-03-30"
"""Airflow 2.11 is tested with what its users have: the versions of the month of its last release.

So are 3.0 to 3.2, and they have to be: neither 3.0 nor 3.2 works with all that has come since.
"""

# In pytest 9.2 xdist 3.8 does not keep together what is to run in one process, and does not say so.
TEST_TOOLS = (
    *("pytest>=9,<9.2", "pytest-xdist", "hypothesis", "jsonschema-rs", "pyarrow", "psycopg2-binary"),
    *("apache-airflow-providers-amazon[s3fs]", "moto[s3]", "flask", "flask-cors", "aiohttp"),
    *("apache-airflow-providers-openlineage>=2.13", "selenium", "axe-core-python"),
)
# What is needed of these came after the months of some of the older versions of Airflow.
NEWER_TOOLS = ("apache-airflow-providers-common-compat", "jsonschema-rs", "pytest")
NEWER_LINEAGE = (
    *("apache-airflow-providers-openlineage", "openlineage-python"),
    *("openlineage-integration-common", "openlineage-sql", "apache-airflow-providers-common-sql"),
)
# The provider takes Celery 5.7, but not what that has made of its result backend.
FLEET_TOOLS = ("apache-airflow-providers-celery", "celery<5.7")
LINT_TOOLS = ("mypy", "ruff", "types-requests", "types-jsonschema")
# The last one is there for the docstrings of what needs it.
DOC_TOOLS = ("sphinx>=8.2", "myst-parser", "furo", "apache-airflow-providers-openlineage")


@dataclass(frozen=True)
class Environment:
    """What one environment holds, and on which day its packages were the newest."""

    what: str
    packages: tuple[str, ...]
    as_of: str = AS_OF
    newer: tuple[str, ...] = ()
    newest_python: tuple[int, int] = (3, 14)
    wheel: bool = False
    lowest: bool = False


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
    "airflow-3.0": Environment(
        "Airflow 3.0, this package and its test tools",
        # Without the form library of this provider, Airflow 3.0 and 3.1 list no field or label of a connection.
        ("apache-airflow==3.0.*", "apache-airflow-providers-fab", "asyncpg", *TEST_TOOLS),
        as_of="2025-09-15",
        newer=(*NEWER_TOOLS, *NEWER_LINEAGE),
        newest_python=(3, 12),
    ),
    "airflow-3.1": Environment(
        "Airflow 3.1, this package and its test tools",
        ("apache-airflow==3.1.*", "apache-airflow-providers-fab", "asyncpg", *TEST_TOOLS),
        as_of="2026-03-25",
        newer=(*NEWER_TOOLS, *NEWER_LINEAGE),
        newest_python=(3, 13),
    ),
    "airflow-3.2": Environment(
        "Airflow 3.2, this package and its test tools",
        ("apache-airflow==3.2.*", "asyncpg", *TEST_TOOLS),
        as_of="2026-06-10",
        newer=NEWER_TOOLS,
    ),
    "lowest": Environment(
        "the lowest versions that this package allows, and its test tools",
        # Airflow 2.11.0 allows later ones, with which it can't reach object stores.
        ("universal-pathlib>=0.2.2,<0.3",),
        as_of=AS_OF_2_11,
        newer=NEWER_TOOLS,
        newest_python=(3, 12),
        lowest=True,
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
    "sphinx": Environment(
        "Airflow 3, this package and what builds its documentation", ("apache-airflow>=3,<4", *DOC_TOOLS)
    ),
}


def main() -> None:
    """Prepare the environment named on the command line."""
    name, *python = sys.argv[1:]
    HOME.mkdir(exist_ok=True)
    with only_one_at_a_time():
        prepare_tools()
        if name != "tools":
            prepare(name, ENVIRONMENTS[name], *python)


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
    """Install uv, which installs everything else, faster than pip and as of a date, and twine, which checks what is built."""
    folder = HOME / "tools"
    python = str(folder / "bin" / "python")
    with preparation(folder, "the installer uv", f"{UV_VERSION} {TWINE_VERSION}") as log:
        if log:
            run([sys.executable, "-m", "venv", "--clear", str(folder)], log)
            run(
                [
                    python,
                    "-m",
                    "pip",
                    "install",
                    "--no-cache-dir",
                    f"uv=={UV_VERSION}",
                    f"twine=={TWINE_VERSION}",
                ],
                log,
            )


def prepare(name: str, environment: Environment, python: str = "") -> None:
    """Create the environment anew, unless it is there and nothing it was made from has changed.

    :param python: which Python it has to be, such as ``3.12``; otherwise any that the environment supports.
    """
    folder = folder_of(name, python)
    source, content = wheel() if environment.wheel else checkout(with_all_extras=environment.lowest)
    with preparation(folder, environment.what, repr(environment) + content) as log:
        if log:
            interpreter = find_python(environment.newest_python, python)
            if interpreter is None:
                newest = ".".join(map(str, environment.newest_python))
                sys.exit(
                    f"This needs Python {python or '3.11'} to {python or newest}; none was found on the path."
                )
            run([str(UV), "venv", "--clear", "--python", interpreter, str(folder)], log)
            own_python = str(folder / "bin" / "python")
            install = [str(UV), "pip", "install", "--python", own_python, *as_of(environment)]
            if environment.lowest:
                run([*install, "--resolution=lowest-direct", *environment.packages, *source], log)
                run([*install, *TEST_TOOLS], log)
                run([own_python, str(ROOT / "scripts" / "lower_bounds.py")], log)
            else:
                run([*install, *environment.packages, *source], log)


def folder_of(name: str, python: str = "") -> Path:
    """Return where an environment is kept, of which there may be one for each Python."""
    return HOME / (f"{name}-python{python}" if python else name)


def checkout(*, with_all_extras: bool) -> tuple[list[str], str]:
    """Return how to install this checkout, and what decides whether it has to be installed again."""
    settings = (ROOT / "setup.cfg").read_text()
    build_system = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    parser = configparser.ConfigParser()
    parser.read_string(settings)
    extras = ",".join(parser["options.extras_require"]) if with_all_extras else "emulator"
    return ["--editable", f".[{extras}]"], settings + repr(build_system)


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


def find_python(newest: tuple[int, int], wanted: str = "") -> str | None:
    """Return an interpreter between 3.11 and the newest version that is supported, or the wanted one, if there is any."""
    for candidate in candidates():
        question = "import sys; print(sys.executable, *sys.version_info[:2], sep='|')"
        answer = (
            subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
            if shutil.which(candidate)
            else None
        )
        if answer and answer.returncode == 0:
            path, major, minor = answer.stdout.strip().rsplit("|", 2)
            if (3, 11) <= (int(major), int(minor)) <= newest and wanted in ("", f"{major}.{minor}"):
                return path
    return None


def candidates() -> Iterator[str]:
    """Name what may be an interpreter: this one, those on the path, and those that pyenv keeps beside it."""
    yield sys.executable
    yield from (f"python3.{minor}" for minor in range(14, 10, -1))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob("versions/3.1[1-9]*/bin/python"), reverse=True))


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
