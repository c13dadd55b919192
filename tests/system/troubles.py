"""Runs cases of trouble in one real Airflow, a few at a time."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AIRFLOW, AIRFLOW_2, RealAirflow, postgresql_problem, temporary_database
from cases import REGIONS, Case, EmulatorProcess, Platform

from airflow_provider_catalog.emulator.server import running

HERE = Path(__file__).parent
AT_A_TIME = 6

# Left alone, Airflow notices only after minutes that a task's supervisor is dead.
SETTINGS = {
    "CORE__PARALLELISM": "12",
    "SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "2",
    # When a task was killed, Airflow 3.0 reads its file without its DAGs, and would take those for deleted that it read long ago.
    "DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
}


@dataclass(frozen=True)
class Trouble:
    """A case of trouble.

    :param act: what happens, and what is asserted.
    :param arguments: the task's.
    :param platform_dies: whether the platform is killed, so that it has to be a process of its own.
    :param disturbs: whether it would disturb the others, so that it comes when they have ended.
    """

    act: Callable[[Case], None]
    arguments: Mapping[str, Any]
    platform_dies: bool
    disturbs: bool


TROUBLES: dict[str, Trouble] = {}


def trouble(
    *,
    since: tuple[int, int] = (2, 11),
    but_not: tuple[int, int] | None = None,
    platform_dies: bool = False,
    disturbs: bool = False,
    **arguments: Any,
) -> Callable[[Callable[[Case], None]], None]:
    """Let a function be a case of trouble for a task with these arguments, since a version of Airflow, but not on another one."""

    def note(act: Callable[[Case], None]) -> None:
        if since <= AIRFLOW != but_not:
            TROUBLES[act.__name__] = Trouble(act, arguments, platform_dies, disturbs)

    return note


@contextmanager
def outcomes_of(names: Sequence[str], home: Path) -> Iterator[dict[str, Future[None]]]:
    """Start an Airflow and let the cases of these names go on in it, until all have ended."""
    with ExitStack() as stack:
        airflow = RealAirflow(
            home,
            database_in(home, stack),
            pythonpath=str(HERE),
            settings=SETTINGS,
        )
        write_dags(airflow.dags, names)
        stack.callback(airflow.stop)
        airflow.start()
        cases = {name: Case(name, airflow, platform_of(name, home, stack)) for name in names}
        for case in cases.values():
            case.connect()
        pool = stack.enter_context(ThreadPoolExecutor(AT_A_TIME))
        yield started(cases, pool)


def started(cases: Mapping[str, Case], pool: ThreadPoolExecutor) -> dict[str, Future[None]]:
    """Let the cases go on, those that disturb the others after these."""
    late = [name for name in cases if TROUBLES[name].disturbs]
    outcomes = {name: pool.submit(TROUBLES[name].act, cases[name]) for name in cases if name not in late}
    others = list(outcomes.values())

    def act_late(name: str) -> None:
        wait(others)
        TROUBLES[name].act(cases[name])

    return outcomes | {name: pool.submit(act_late, name) for name in late}


def database_in(home: Path, stack: ExitStack) -> str:
    """Give the address of a PostgreSQL database, or of a file where there is no server."""
    problem = postgresql_problem()
    if not problem:
        return stack.enter_context(temporary_database())
    if AIRFLOW_2:
        pytest.skip(f"Airflow 2 runs one task at a time without PostgreSQL: {problem}")
    return f"sqlite:///{home}/airflow.db"


def write_dags(folder: Path, names: Sequence[str]) -> None:
    """Give Airflow a DAG for each case."""
    shutil.copytree(HERE / "dags_one_batch", folder)
    shutil.copytree(REGIONS, folder / "data")
    (folder / "cases.json").write_text(json.dumps({name: TROUBLES[name].arguments for name in names}))


def platform_of(name: str, home: Path, stack: ExitStack) -> Platform:
    """Start the platform of a case."""
    if not TROUBLES[name].platform_dies:
        return stack.enter_context(running())
    process = EmulatorProcess(home / name)
    stack.callback(process.kill)
    return process
