"""Cases of trouble: each has a DAG with one run of one task, and a platform of its own that the task loads files into."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import psutil
from airflow_stack import RealAirflow, free_port, wait_for
from catalog_view import CatalogView
from desk import CRM_PROFILES, Desk
from sqlalchemy import create_engine, text

REGIONS = Path(__file__).parent.parent.parent / "example_dags" / "data" / "regions"
TASK = "load"
BATCHES = "/data/foundation/import/batches"
FILES = f"{BATCHES}/*/files/*"

STEP_SECONDS = 120
KILL_SECONDS = 30
PROMOTION_SECONDS = 1
LONG = 600
LAG_SECONDS = 1


def in_order(rows: Iterable[Any]) -> list[str]:
    """Give rows in a form in which they can be compared, whatever order they have come in."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


ROWS = in_order(json.loads(row) for file in REGIONS.glob("*.json") for row in file.read_text().splitlines())


class Platform(Protocol):
    """A running emulator."""

    @property
    def url(self) -> str: ...

    @property
    def connection(self) -> dict[str, Any]: ...


class EmulatorProcess:
    """An emulator that can be killed, and that comes back at the same address with what it has stored."""

    def __init__(self, folder: Path) -> None:
        self._command = [sys.executable, "-m", "airflow_provider_catalog.emulator"]
        self._command += ["--port", str(free_port()), "--data-dir", str(folder)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        lines = [self._process.stdout.readline() for _ in range(2)]
        assignment = shlex.split(lines[1])[1]
        self.connection = json.loads(assignment.partition("=")[2])
        self.url: str = self.connection["host"]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Case:
    """What a test does to one run, and what it sees of it."""

    def __init__(self, name: str, airflow: RealAirflow, platform: Platform) -> None:
        self.name = name
        self.airflow = airflow
        self.platform = platform
        self.desk = Desk(platform)
        self.desk.set(catalog_lag=LAG_SECONDS, promotion_seconds=PROMOTION_SECONDS)

    def connect(self) -> None:
        """Let Airflow know the platform."""
        connection = self.platform.connection
        fields = connection | {"connection_id": self.name, "extra": json.dumps(connection["extra"])}
        self.airflow.api("POST", "/connections", fields)

    def start(self) -> None:
        """Start the run."""
        self.airflow.trigger(self.name)

    def start_until_uploading(self) -> None:
        """Start the run, and hold its second file back."""
        self.desk.hold_requests("before", FILES, method="PUT", skip=1)
        self.start()
        self.wait_for_held()

    def start_until_waiting(self, **settings: Any) -> None:
        """Start the run, until its trigger has looked at the batch; the platform takes its time with the promotion."""
        self.desk.set(promotion_seconds=LONG, **settings)
        self.start()
        self.wait_until("deferred")
        self.wait_for_looks()

    def clear(self) -> None:
        """Clear the task."""
        self.airflow.clear(self.name, TASK)

    def mark(self, state: str) -> None:
        """Mark the task as ``failed`` or ``success``."""
        self.airflow.mark(self.name, TASK, state)

    def wait_until(self, state: str, try_number: int = 1) -> None:
        """Wait until the task is in a state, at a certain try or a later one."""

        def is_so() -> bool:
            task = self.airflow.tasks_of(self.name)[TASK]
            return task["state"] == state and task["try_number"] >= try_number

        wait_for(is_so, STEP_SECONDS, f"{self.name} was never {state}", pause=1)

    def wait_until_run_has_ended(self) -> None:
        """Wait until Airflow takes the whole run for a success, and would start it anew."""

        def has_ended() -> bool:
            run = self.airflow.run_of(self.name)
            return run is not None and run["state"] == "success"

        wait_for(has_ended, STEP_SECONDS, f"the run of {self.name} did not end", pause=1)

    def wait_for_held(self, count: int = 1) -> None:
        """Wait until the platform holds so many requests back."""
        wait_for(
            lambda: len(self.desk.held(count=count)) >= count, STEP_SECONDS, f"{self.name}: nothing held"
        )

    def wait_for_batches(self, statuses: list[str], seconds: float = STEP_SECONDS) -> None:
        """Wait until the run's batches, oldest first, have these statuses and there are no others."""
        wait_for(lambda: self.statuses() == statuses, seconds, f"{self.name}: {self.batches()}")

    def wait_for_log(self, text: str) -> None:
        """Wait until the task, its trigger or a triggerer has logged a text about the batch."""
        [batch_id] = self.batches()
        line = text.format(batch_id)
        wait_for(lambda: line in self._log(), STEP_SECONDS, f"{self.name}: {line!r} was not logged", pause=1)

    def _log(self) -> str:
        # A trigger that Airflow regards as ended has no log of its own any more.
        return self.airflow.log_of(self.name, TASK) + self.airflow.output_of("triggerer")

    def process_behind(self, method: str) -> psutil.Process:
        """Find the process that has sent the newest request of a method to the import API."""
        # Another process may use the same port to talk to another server.
        ports = (self.desk.sent(method, f"{BATCHES}*")[-1].connection, urlsplit(self.desk.url).port)
        [pid] = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.pid and connection.raddr and (connection.laddr.port, connection.raddr.port) == ports
        }
        return psutil.Process(pid)

    def wait_for_looks(self) -> None:
        """Wait until somebody looks at the batch again."""
        before = self.desk.looks()
        wait_for(lambda: self.desk.looks() > before, STEP_SECONDS, f"{self.name}: nobody looks")

    def hand_over_to_newest_triggerer(self) -> None:
        """Give the trigger to the triggerer that was started last, as if its own one had been silent for too long."""
        newest = "SELECT max(id) FROM job WHERE job_type = 'TriggererJob'"
        ours = f"id IN (SELECT trigger_id FROM task_instance WHERE dag_id = '{self.name}')"
        hand_over = text(
            f"UPDATE trigger SET triggerer_id = ({newest}) WHERE {ours} AND triggerer_id < ({newest})"
        )

        def is_done() -> bool:
            with create_engine(self.airflow.database).begin() as connection:
                return connection.execute(hand_over).rowcount > 0

        wait_for(is_done, STEP_SECONDS, "no other triggerer has started")

    def batches(self) -> dict[str, dict[str, Any]]:
        """Give all batches that the platform has, oldest first."""
        newest_first = CatalogView(self.platform.connection).batches_of(CRM_PROFILES)
        return dict(reversed(newest_first.items()))

    def statuses(self) -> list[str]:
        """Give their statuses."""
        return [batch["status"] for batch in self.batches().values()]

    def rows(self) -> list[str]:
        """Give the rows that readers of the dataset see, in order of their texts."""
        return in_order(self.desk.promoted_rows())

    def try_number(self) -> int:
        """Give the number of the try that came last."""
        return int(self.airflow.tasks_of(self.name)[TASK]["try_number"])

    def signals(self, action: str) -> list[int | str]:
        """Give the status of the answer to each signal of a kind."""
        return [
            sent.status for sent in self.desk.sent("POST", f"{BATCHES}/*") if sent.query["action"] == action
        ]
