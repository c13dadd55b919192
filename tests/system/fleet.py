"""An Airflow 3 as it runs on a fleet: workers of Celery and triggerers, two of each, that are killed and come back."""

from __future__ import annotations

import json
import shutil
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow_stack import (
    AIRFLOW_2,
    RealAirflow,
    postgresql_problem,
    send_signal,
    temporary_database,
)
from cases import in_order
from catalog_view import CatalogView
from desk import CRM_PROFILES, Desk
from sqlalchemy import create_engine, text

from airflow_provider_catalog.emulator.server import Emulator, running

HERE = Path(__file__).parent
DAG = "fleet"
REDIS = "redis://127.0.0.1:6379/0"
LAG_SECONDS = 2
ROWS_PER_FILE = 5

WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
MEMBERS = (*WORKERS, *TRIGGERERS)

SETTINGS = {
    "CORE__EXECUTOR": "CeleryExecutor",
    "CELERY__BROKER_URL": REDIS,
    # When a worker dies between the end of a task and Celery's note of it, a slot stays occupied as long as the scheduler runs.
    "CORE__PARALLELISM": "1000",
    # Left alone, Airflow notices only after minutes that a worker or a triggerer is dead.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
    # What a worker has taken from the queue and not begun with dies with it.
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
}


def fleet_problem() -> str | None:
    """Return why there can be no fleet here, or None if there can be one."""
    if AIRFLOW_2:
        return "the fleet runs on Airflow 3"
    if find_spec("airflow.providers.celery") is None:
        return "needs apache-airflow-providers-celery"
    if problem := postgresql_problem():
        return f"needs PostgreSQL on 127.0.0.1:5432 that lets the user postgres in: {problem}"
    if problem := redis_problem():
        return f"needs Redis on 127.0.0.1:6379: {problem}"
    return None


def redis_problem() -> str | None:
    """Return why Redis cannot be used, or None if it can."""
    import redis

    try:
        redis.Redis.from_url(REDIS, socket_connect_timeout=3).ping()
    except redis.RedisError as error:
        return str(error)
    return None


@contextmanager
def temporary_queue() -> Iterator[str]:
    """Give a beginning for the names of all that Celery keeps in Redis, and delete what has it in the end."""
    import redis

    prefix = f"airflow_tests_{uuid.uuid4().hex[:12]}:"
    try:
        yield prefix
    finally:
        with redis.Redis.from_url(REDIS) as connection:
            for key in connection.scan_iter(f"{prefix}*"):
                connection.delete(key)


@dataclass(frozen=True)
class Task:
    """What Airflow has of one ingestion."""

    state: str | None
    tries: int


class Fleet:
    """The fleet, the platform that it loads files into, and the one run in which it does.

    :param airflow: has a process for each member.
    :param platform: an emulator.
    :param files: the lines of each file, in order of the ingestions.
    :param slots: how many tasks a worker runs at the same time.
    """

    def __init__(self, airflow: RealAirflow, platform: Emulator, files: list[list[str]], slots: int) -> None:
        self.airflow = airflow
        self.platform = platform
        self.files = files
        self.slots = slots
        self.desk = Desk(platform)
        self.desk.set(catalog_lag=LAG_SECONDS)
        self.kills: Counter[str] = Counter()
        self._engine = create_engine(airflow.database)

    def start(self) -> None:
        """Start all processes, and the run."""
        self.airflow.start()
        connection = self.platform.connection | {"extra": json.dumps(self.platform.connection["extra"])}
        self.airflow.api("POST", "/connections", {"connection_id": "adobe_catalog_default"} | connection)
        self.airflow.trigger(DAG)

    def kill(self, member: str) -> None:
        """Kill a member with all that it has started, as when its machine loses power."""
        frozen: set[int] = set()
        # What is stopped starts nothing that would escape.
        while not (family := {each.pid: each for each in self.airflow.family(member)}).keys() <= frozen:
            send_signal(signal.SIGSTOP, family.values())
            frozen |= family.keys()
        send_signal(signal.SIGKILL, family.values())
        self.kills[member.partition("-")[0]] += 1

    def tasks(self) -> dict[int, Task]:
        """Give the ingestions by map index."""
        query = text(
            f"SELECT map_index, state, try_number FROM task_instance WHERE dag_id = '{DAG}' AND map_index >= 0"
        )
        with self._engine.begin() as connection:
            return {index: Task(state, tries) for index, state, tries in connection.execute(query)}

    def both_workers_upload(self) -> bool:
        """Whether all slots of the workers are taken by tasks whose first upload is held back."""
        return len(self.desk.held(wait=0)) == self.slots * len(WORKERS)

    def all_wait(self) -> bool:
        """Whether all ingestions wait, and each triggerer has some of them."""
        triggerer_of = text("SELECT triggerer_id FROM trigger WHERE triggerer_id IS NOT NULL")
        with self._engine.begin() as connection:
            waits = connection.execute(triggerer_of).scalars().all()
        return len(waits) == len(self.files) and len(set(waits)) == len(TRIGGERERS)

    def progress(self) -> int:
        """Count what has been done: batches that were opened, those that were completed, and tasks that have succeeded."""
        statuses = [batch["status"] for batch in self.batches().values()]
        completed = sum(status not in ("loading", "aborted") for status in statuses)
        return len(statuses) + completed + sum(task.state == "success" for task in self.tasks().values())

    def has_ended(self) -> bool:
        """Whether the run is over, in one way or the other."""
        with self._engine.begin() as connection:
            run = connection.execute(text(f"SELECT state FROM dag_run WHERE dag_id = '{DAG}'"))
            return run.scalar() in ("success", "failed")

    def batches(self) -> dict[str, dict[str, Any]]:
        """Give all batches, as the Catalog has them, the newest first."""
        return self._view.batches_of(CRM_PROFILES)

    @cached_property
    def _view(self) -> CatalogView:
        return CatalogView(self.platform.connection)

    def sent_rows(self) -> list[str]:
        """Give all rows that the files hold, in order of their texts."""
        return in_order(json.loads(line) for lines in self.files for line in lines)

    def rows(self) -> list[str]:
        """Give all rows that readers of the dataset see, in order of their texts."""
        return in_order(self.desk.promoted_rows())


@contextmanager
def fleet_of(home: Path, ingestions: int, slots: int, triggerer_capacity: int = 1000) -> Iterator[Fleet]:
    """Make a fleet that is not started yet, and leave nothing of it behind.

    :param home: Airflow's.
    :param ingestions: how many files there are to load.
    :param slots: how many tasks a worker runs at the same time.
    :param triggerer_capacity: how many waits a triggerer takes.
    """
    with ExitStack() as stack:
        database = stack.enter_context(temporary_database())
        prefix = stack.enter_context(temporary_queue())
        own = {
            "CELERY__RESULT_BACKEND": f"db+{database}",
            "CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": prefix,
            "CORE__MAX_ACTIVE_TASKS_PER_DAG": str(slots * len(WORKERS)),
            "TRIGGERER__CAPACITY": str(triggerer_capacity),
        }
        airflow = RealAirflow(home, database, settings=SETTINGS | own, commands=commands(home, slots))
        files = write_files(airflow.dags, ingestions)
        stack.callback(airflow.stop)
        yield Fleet(airflow, stack.enter_context(running()), files, slots)


def commands(home: Path, slots: int) -> dict[str, str]:
    """Give what starts each process."""
    worker = f"celery worker --concurrency {slots} --skip-serve-logs --without-gossip --without-mingle"
    return {
        "scheduler": "scheduler",
        "dag-processor": "dag-processor",
        "api-server": "api-server",
        **{name: f"{worker} --celery-hostname {name} --pid '{home / name}.pid'" for name in WORKERS},
        **dict.fromkeys(TRIGGERERS, "triggerer --skip-serve-logs"),
    }


def write_files(dags: Path, count: int) -> list[list[str]]:
    """Give Airflow the DAG and a file for each ingestion, and return the lines of these."""
    shutil.copytree(HERE / "dags_fleet", dags)
    (dags / "data").mkdir()
    files = [[row(file, number) for number in range(ROWS_PER_FILE)] for file in range(count)]
    for number, lines in enumerate(files):
        (dags / "data" / f"{number:03}.json").write_text("".join(f"{line}\n" for line in lines))
    return files


def row(file: int, number: int) -> str:
    """Give a row that there is only once."""
    return json.dumps({"_id": f"{file}-{number}", "person": {"name": {"firstName": "Grace"}}})
