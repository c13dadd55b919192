"""Run the classic DAG against the emulator with a real Airflow, and tell what happens.

The file to load is named by the variable DEMO_FILE (default: the example's own), relative to DEMO_FOLDER.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from catalog_view import CatalogView, record_counts
from input_format import UnusableFileError, recognise

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, LOYALTY_MEMBERS

ROOT = Path(__file__).resolve().parent.parent
DAG_ID = "classic_ingest"
DEFAULT_FILE = ROOT / "example_dags" / "data" / "customers.json"
START_SECONDS = 30
RUN_SECONDS = 600
STOP_SECONDS = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STARTED = time.monotonic()


class DemoError(Exception):
    """The demo cannot go on; Airflow's log tells more."""


class BatchRefusedError(Exception):
    """The platform has not ingested the file; the message has its reasons."""


def main() -> None:
    """Load the file, print the steps and the result."""
    path = chosen_file()
    input_format = recognise(path)
    dataset_id = LOYALTY_MEMBERS if input_format == "csv" else CRM_PROFILES
    print(f"Loading {path}\n  {path.stat().st_size:,} bytes of {input_format}\n", flush=True)
    logs = ROOT / ".venv" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    conf = {"file": str(path), "input_format": input_format, "dataset_id": dataset_id}
    try:
        with tempfile.TemporaryDirectory(prefix="airflow-demo-", ignore_cleanup_errors=True) as home:
            demonstrate(conf, Path(home), log)
    except BatchRefusedError as error:
        sys.exit(f"\n{error}\n\nNothing is left running. Airflow's log: {log}")
    except DemoError as error:
        sys.exit(f"\n{error}\n\nThe end of the log:\n{end_of(log)}\n\nThe whole log: {log}")
    print(f"\nNothing is left running. Airflow's log: {log.relative_to(ROOT)}")


def chosen_file() -> Path:
    """Return the file that the user named, or the example's."""
    named = os.environ.get("DEMO_FILE")
    if not named:
        return DEFAULT_FILE
    return Path(os.environ.get("DEMO_FOLDER", "."), Path(named).expanduser()).resolve()


def demonstrate(conf: dict[str, str], home: Path, log: Path) -> None:
    """Start everything, run the DAG, compare what both sides say in the end."""
    tell("Starting the emulator of the platform")
    with emulator(log) as connection:
        tell(f"  it answers at {connection['host']}")
        tell(f"Preparing a throw-away Airflow {version('apache-airflow')}")
        environ = airflow_environ(home, connection)
        finish(airflow_command("db", "migrate"), environ, log, "Airflow could not prepare its database.")
        tell(f"Running the DAG {DAG_ID}")
        view = CatalogView(connection)
        command = ("dags", "test", DAG_ID, "--conf", json.dumps(conf))
        with background(airflow_command(*command), environ, log) as run:
            follow(run, view, conf["dataset_id"])
        report(view, conf["dataset_id"], home / "airflow.db")


@contextmanager
def emulator(log: Path) -> Iterator[dict[str, Any]]:
    """Start the emulator on a free port; give the fields of the Airflow connection that it prints."""
    with tempfile.TemporaryDirectory(prefix="emulator-demo-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder, "printed.txt")
        # A file of yours hardly fits the schema of the example's dataset: its other fields are let pass.
        options = ("--port", "0", "--set", "unknown_fields=ignored")
        command = [sys.executable, "-m", "airflow_provider_catalog.emulator", *options]
        with background(command, dict(os.environ), log, printed) as process:
            deadline = time.monotonic() + START_SECONDS
            while not (
                exported := [line for line in printed.read_text().splitlines() if line.startswith("export ")]
            ):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DemoError("The emulator did not start.")
                time.sleep(0.05)
            yield json.loads(shlex.split(exported[0])[1].partition("=")[2])


@contextmanager
def background(
    command: list[str], environ: dict[str, str], log: Path, printed: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; in the end stop it and all that it has started, whatever has happened here."""
    process = None
    try:
        with log.open("ab") as errors, (printed or log).open("ab") as output, undisturbed():
            process = subprocess.Popen(
                command,
                env=environ,
                cwd=tempfile.gettempdir(),  # from here no checkout can be imported by chance
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        yield process
    finally:
        if process:
            stop(process)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off an interrupt to the end of the block: a program must not be started and then be forgotten."""
    arrived: list[int] = []
    handlers = {each: signal.signal(each, lambda number, frame: arrived.append(number)) for each in SIGNALS}
    yield
    for each, handler in handlers.items():
        signal.signal(each, handler)
    if arrived:
        signal.raise_signal(arrived[0])


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process group: politely, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def airflow_command(*arguments: str) -> list[str]:
    """Return how to call Airflow's command line."""
    return [sys.executable, "-m", "airflow", *arguments]


def airflow_environ(home: Path, connection: dict[str, Any]) -> dict[str, str]:
    """Return the variables of an Airflow that knows the example DAGs and the emulator, and nothing of yours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return inherited | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT": json.dumps(connection),
    }


def finish(command: list[str], environ: dict[str, str], log: Path, otherwise: str) -> None:
    """Run a program to its end; it must succeed."""
    with background(command, environ, log) as process:
        if process.wait(RUN_SECONDS):
            raise DemoError(otherwise)


def follow(run: subprocess.Popen[bytes], view: CatalogView, dataset_id: str) -> None:
    """Tell each step when the platform has seen it, until the run has ended."""
    told: set[int] = set()
    status, deadline = "loading", time.monotonic() + RUN_SECONDS
    running = True
    while running:
        running = run.poll() is None
        batches = view.batches_of(dataset_id)
        # Files are uploaded at the same time, so that a later request may be done first.
        for number, step in steps(view.requests(), reversed(batches)):
            if number not in told:
                told.add(number)
                tell(f"  {step}")
        newest = next(iter(batches.values()), None)
        if newest and newest["status"] != status:
            status = newest["status"]
            tell(f"  wait        status {status}")
        if time.monotonic() > deadline:
            raise DemoError(f"The DAG did not end within {RUN_SECONDS} seconds.")
        time.sleep(0.2)


def steps(requests: list[dict[str, Any]], batch_ids: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Say what each request to the platform has done, with its number, up to a batch that the Catalog does not show yet."""
    root = "/data/foundation/import/batches"
    for request in requests:
        path, method, number = request["path"], request["method"], request["n"]
        if not path.startswith(root) or request["status"] not in (200, 201):
            continue
        _, is_file, name = path.partition("/files/")
        if path == root:
            batch_id = next(batch_ids, None)
            if batch_id is None:
                return
            yield number, f"open_batch  batch {batch_id} is open"
        elif method in ("PUT", "PATCH"):
            chunk = "a chunk of " if method == "PATCH" else ""
            yield number, f"upload      {chunk}{name}, {request['request_size']:,} bytes"
        elif not is_file:
            yield number, "complete    all files are there, the platform may go on"


def report(view: CatalogView, dataset_id: str, database: Path) -> None:
    """Print what the Catalog and Airflow say about the batch; it must be promoted, and they must agree."""
    batches = view.batches_of(dataset_id)
    if not batches:
        raise DemoError("No batch was opened.")
    batch_id, batch = next(iter(batches.items()))
    print(f"\n  batch    {batch_id}\n  status   {batch['status']}")
    print(f"  records  {in_words(record_counts(batch))}   (the platform's Catalog)")
    if batch["status"] in ("failed", "failure"):
        raise BatchRefusedError("The platform has refused the batch: " + reasons(batch))
    summary = xcom(database, "wait")
    if summary is None:
        raise DemoError("The DAG did not end well.")
    print(f"           {in_words(summary)}   (XCom of the task wait)")
    seen = {"id": batch_id, "status": batch["status"], **record_counts(batch)}
    if not seen.items() <= summary.items():
        raise DemoError(f"Airflow and the platform do not agree: {summary}")


def xcom(database: Path, task_id: str) -> Any:
    """Return what a task has handed on, or None if it has not."""
    query = "SELECT value FROM xcom WHERE task_id = ? AND key = 'return_value'"
    with closing(sqlite3.connect(database)) as connection:
        row = connection.execute(query, (task_id,)).fetchone()
    return json.loads(row[0]) if row else None


def in_words(counts: dict[str, Any]) -> str:
    """Say how many records were read, written and refused."""
    if counts["records_read"] is None:
        return "not counted by the platform for this format"
    return f"{counts['records_read']} read, {counts['records_written']} written, {counts['records_failed']} failed"


def reasons(batch: dict[str, Any]) -> str:
    """Return the platform's words about a batch that failed."""
    errors = [f"{error['code']} {error.get('description', '')}".strip() for error in batch.get("errors", [])]
    return "; ".join(errors) or "the platform gave no reason."


def tell(line: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:4.0f} s] {line}", flush=True)


def end_of(log: Path, lines: int = 25) -> str:
    """Return the last lines of the log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def interrupt(number: int, frame: object) -> NoReturn:
    """Stop and clean up, undisturbed by further signals."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for each in SIGNALS:
        signal.signal(each, interrupt)
    try:
        main()
    except UnusableFileError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started has been stopped.", file=sys.stderr)
        sys.exit(130)
