"""A real Airflow for tests: its usual processes on free ports, with a home and a database of its own."""

import contextlib
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests
from cryptography.fernet import Fernet
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
AIRFLOW_2 = AIRFLOW < (3, 0)
POSTGRESQL = {"host": "127.0.0.1", "port": 5432, "user": "postgres"}

if AIRFLOW_2:
    PROCESSES, HEALTH, API = ("scheduler", "triggerer", "webserver"), "/health", "/api/v1"
else:
    PROCESSES, HEALTH, API = (
        ("scheduler", "triggerer", "dag-processor", "api-server"),
        "/api/v2/monitor/health",
        "/api/v2",
    )

# The system gives none of these away by itself: Linux those from 32768 on, others from 49152 on.
PORTS = range(20_000, 32_000)

# The DAGs with a schedule run once: a day that begins while the tests run would add another run.
# Airflow 2 dates a run by the beginning of its day, and starts it at the end.
LAST_DAY = timedelta(days=1) if AIRFLOW_2 else timedelta()
NOTHING_LATER = """
from datetime import datetime


def dag_policy(dag):
    schedule = dag.schedule_interval if hasattr(dag, "schedule_interval") else dag.schedule
    if isinstance(schedule, str) and schedule != "Dataset":  # so Airflow 2 calls a schedule of events
        dag.end_date = datetime.fromisoformat({last!r})
"""

STARTUP_SECONDS = 120
STOP_SECONDS = 15
API_SECONDS = 60


class RealAirflow:
    """A running Airflow and its REST API."""

    def __init__(
        self,
        home: Path,
        database: str,
        pythonpath: str = "",
        settings: Mapping[str, str] | None = None,
        commands: Mapping[str, str] | None = None,
    ) -> None:
        self._commands = commands or {name: name for name in PROCESSES}
        self.home = home
        self.database = database
        self.dags = home / "dags"
        self.fernet_key = Fernet.generate_key().decode()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.env = environment(home, database, port, self.fernet_key) | variables(settings or {})
        self.env["PYTHONPATH"] = os.pathsep.join([pythonpath, os.environ.get("PYTHONPATH", "")])
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._replaced: list[subprocess.Popen[bytes]] = []
        self._run_ids: dict[str, str] = {}
        self._session = requests.Session()
        self._session.trust_env = False  # see Desk
        # Airflow 2's web server hangs up now and then when the machine is busy.
        again = Retry(total=3, backoff_factor=0.5, allowed_methods={"GET"})
        self._session.mount(self.url, HTTPAdapter(max_retries=again))

    def start(self) -> None:
        """Migrate the database, start the processes, wait until the scheduler is healthy."""
        self.dags.mkdir(parents=True, exist_ok=True)
        (self.home / "output").mkdir()
        (self.home / "config").mkdir()
        (self.home / "config" / "airflow_local_settings.py").write_text(
            NOTHING_LATER.format(last=(datetime.now(UTC) - LAST_DAY).isoformat())
        )
        if AIRFLOW_2:
            (self.home / "webserver_config.py").write_text(
                "AUTH_ROLE_PUBLIC = 'Admin'\nWTF_CSRF_ENABLED = False\n"
            )
        assert self._spawn("db", "db migrate").wait(STARTUP_SECONDS) == 0, self._end_of("db")
        for name, command in self._commands.items():
            self._processes[name] = self._spawn(name, command)
        wait_for(self._is_healthy, STARTUP_SECONDS, f"Airflow did not become healthy: {self.home}")
        if not AIRFLOW_2:
            token = requests.get(f"{self.url}/auth/token", timeout=20).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"

    def _spawn(self, name: str, command: str) -> subprocess.Popen[bytes]:
        with (self.home / "output" / f"{name}.txt").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", *shlex.split(command)],
                env=self.env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_healthy(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, self._end_of(name)
        try:
            health = requests.get(self.url + HEALTH, timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        return bool(health["scheduler"]["status"] == health["triggerer"]["status"] == "healthy")

    def output_of(self, name: str) -> str:
        """Return everything that a process has printed."""
        return (self.home / "output" / f"{name}.txt").read_text(errors="replace")

    def _end_of(self, name: str) -> str:
        return f"{name} ended:\n{self.output_of(name)[-3000:]}"

    def family(self, name: str) -> list[psutil.Process]:
        """Return a process and all that it has started."""
        return _family(self._processes[name])

    def start_another(self, name: str) -> None:
        """Start a process that takes the place of one that has died, or that does not work any more."""
        self._replaced.append(self._processes[name])
        self._processes[name] = self._spawn(name, self._commands[name])

    def stop(self) -> None:
        """End the processes and whatever they have started."""
        processes = [*self._processes.values(), *self._replaced]
        family = [member for process in processes for member in _family(process)]
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            send_signal(signal_number, family)
            _, family = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for process in processes:
            process.wait()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API and return the JSON of its answer."""
        answer = self._session.request(method, self.url + API + path, json=body, timeout=API_SECONDS)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until the DAG file has been parsed, then let it be scheduled."""
        url = f"{self.url}{API}/dags/{dag_id}"
        wait_for(lambda: self._session.get(url, timeout=API_SECONDS).ok, 90, f"{dag_id} was not parsed")
        self.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> None:
        """Start a run of a DAG that is not scheduled."""
        self.wait_for_dag(dag_id)
        when = {} if AIRFLOW_2 else {"logical_date": None}
        self.api("POST", f"/dags/{dag_id}/dagRuns", {"conf": conf or {}} | when)

    def clear(self, dag_id: str, task_id: str) -> None:
        """Clear a task of the DAG's only run, as a user does who wants it to run again."""
        what = {"task_ids": [task_id], "dag_run_id": self._run_id(dag_id), "only_failed": False}
        how = {"dry_run": False, "reset_dag_runs": True} | ({"only_running": False} if AIRFLOW_2 else {})
        self.api("POST", f"/dags/{dag_id}/clearTaskInstances", what | how)

    def mark(self, dag_id: str, task_id: str, state: str) -> None:
        """Mark a task of the DAG's only run as ``failed`` or ``success``."""
        self.api(
            "PATCH",
            self._task(dag_id, task_id),
            {"new_state": state} | ({"dry_run": False} if AIRFLOW_2 else {}),
        )

    def run_of(self, dag_id: str) -> dict[str, Any] | None:
        """Return the only run of the DAG, or None while there is none."""
        runs = self.api("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        return runs[0] if runs else None

    def tasks_of(self, dag_id: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of the DAG's only run by task id."""
        run_id = self._find_run(dag_id)
        if run_id is None:
            return {}
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return {task["task_id"]: task for task in self.api("GET", path)["task_instances"]}

    def state_of(self, dag_id: str, task_id: str) -> str | None:
        """Return the state of one task."""
        task = self.tasks_of(dag_id).get(task_id)
        return task["state"] if task else None

    def xcom_of(self, dag_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return what a task has handed on."""
        entry = self.api("GET", f"{self._task(dag_id, task_id)}/xcomEntries/{key}?stringify=false")
        return entry["value"]

    def links_of(self, dag_id: str, task_id: str) -> dict[str, str]:
        """Return the extra links of a task by their names."""
        links = self.api("GET", f"{self._task(dag_id, task_id)}/links")
        return links if AIRFLOW_2 else links["extra_links"]

    def log_of(self, dag_id: str, task_id: str) -> str:
        """Return everything that the task has logged, as Airflow keeps it on disk."""
        folder = (
            self.home / "logs" / f"dag_id={dag_id}" / f"run_id={self._run_id(dag_id)}" / f"task_id={task_id}"
        )
        return "".join(path.read_text() for path in sorted(folder.rglob("*.log")))

    def _task(self, dag_id: str, task_id: str) -> str:
        return f"/dags/{dag_id}/dagRuns/{self._run_id(dag_id)}/taskInstances/{task_id}"

    def _run_id(self, dag_id: str) -> str:
        run_id = self._find_run(dag_id)
        assert run_id, f"{dag_id} has no run"
        return run_id

    def _find_run(self, dag_id: str) -> str | None:
        """Return the id of the DAG's only run, or None while there is none. Once found it is known: each look costs time."""
        if dag_id not in self._run_ids and (run := self.run_of(dag_id)):
            self._run_ids[dag_id] = run["dag_run_id"]
        return self._run_ids.get(dag_id)


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def send_signal(number: int, family: Iterable[psutil.Process]) -> None:
    """Send a signal to those processes that still exist."""
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(number)


def environment(home: Path, database: str, port: int, fernet_key: str) -> dict[str, str]:
    """Return the variables that every process of the stack gets."""
    settings = {
        "CORE__DAGS_FOLDER": str(home / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "SequentialExecutor"
        if AIRFLOW_2 and database.startswith("sqlite")
        else "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__FERNET_KEY": fernet_key,
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__WORKERS": "1",
        "API__SECRET_KEY": uuid.uuid4().hex,
        "API__AUTH_BACKENDS": "airflow.api.auth.backend.default",
        "API_AUTH__JWT_SECRET": uuid.uuid4().hex * 2,
        "API_AUTH__JWT_ISSUER": "airflow-tests",
        "WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
        "WEBSERVER__WEB_SERVER_PORT": str(port),
        "WEBSERVER__WORKERS": "1",
        "WEBSERVER__SECRET_KEY": uuid.uuid4().hex,
        "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # The files of DAGs do not change while the tests run, so they need to be parsed only once.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "300",  # Airflow 2
        "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        # Tasks give the API server 5 s otherwise, which is not enough for its first answers on a busy machine.
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    path = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # Airflow 2 starts `airflow` by name
    )
    return inherited | variables(settings) | {"AIRFLOW_HOME": str(home), "PATH": path}


def variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return Airflow's settings, such as ``CORE__PARALLELISM``, as the variables that it reads."""
    return {f"AIRFLOW__{name}": value for name, value in settings.items()}


@contextlib.contextmanager
def temporary_database() -> Iterator[str]:
    """Create a PostgreSQL database and drop it in the end; the address is given as SQLAlchemy wants it."""
    name = f"airflow_tests_{uuid.uuid4().hex[:12]}"
    execute_sql(f"CREATE DATABASE {name}")
    try:
        yield f"postgresql+psycopg2://postgres@127.0.0.1:5432/{name}"
    finally:
        execute_sql(f"DROP DATABASE {name} WITH (FORCE)")


def postgresql_problem() -> str | None:
    """Return why the PostgreSQL server cannot be used, or None if it can."""
    try:
        execute_sql("SELECT 1")
    except psycopg2.OperationalError as error:
        return str(error).splitlines()[0]
    return None


def execute_sql(statement: str) -> None:
    """Run one statement outside of any transaction, as CREATE DATABASE wants it."""
    with contextlib.closing(
        psycopg2.connect(**POSTGRESQL, dbname="postgres", connect_timeout=3)
    ) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody gets who asks for any port before it is used."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port is free between {PORTS.start} and {PORTS.stop}")


def wait_for(condition: Callable[[], object], seconds: float, otherwise: str, pause: float = 0.5) -> None:
    """Ask again and again until the answer is yes."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(pause)
