"""Runs every DAG of these tests once in a real Airflow, and keeps what can only be seen on the way."""

import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_stack import RealAirflow, wait_for
from catalog_view import CatalogView
from leaks import trigger_rows

from airflow_provider_catalog.emulator.server import Emulator

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "example_dags"
PROMOTION_SECONDS = 600
RUN_SECONDS = 240
WAITING = {
    "classic_ingest": ("wait", "deferred"),
    "wait_reschedule": ("wait", "up_for_reschedule"),
    "wait_for_failure": ("wait", "deferred"),
    "announced_ingest": ("ingest", "deferred"),
    "announced_failure": ("ingest", "deferred"),
    "leak": ("spill", "deferred"),
    "lineage_success": ("load", "deferred"),
    "lineage_failure": ("load", "deferred"),
    "lineage_chain": ("wait", "deferred"),
    "wait_poke": ("wait", "running"),
}


@dataclass(frozen=True)
class Runs:
    """What is left of the runs: Airflow, the platform, and what could only be seen while they were going on."""

    airflow: RealAirflow
    platform: CatalogView
    secrets: tuple[str, ...]
    planted: str
    triggers: str

    def lineage(self) -> list[dict[str, Any]]:
        """Read all that the listener of OpenLineage has told so far."""
        told = lineage_file(self.airflow.home)
        return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


def lineage_file(home: Path) -> Path:
    """Give the file in which OpenLineage's events are."""
    return home / "lineage.jsonl"


def lineage_settings(home: Path) -> dict[str, str]:
    """Let OpenLineage write its events into a file; of no effect where its provider is not installed."""
    transport = {"type": "file", "log_file_path": str(lineage_file(home)), "append": True}
    return {"OPENLINEAGE__TRANSPORT": json.dumps(transport), "OPENLINEAGE__NAMESPACE": "tests"}


def run_everything(airflow: RealAirflow, platform: Emulator) -> Runs:
    """Run the DAGs; the platform promotes nothing before every sensor has been seen waiting."""
    view = CatalogView(platform.connection)
    planted, release = secrets.token_hex(16), airflow.home / "release"
    airflow.env |= {"PLANTED_SECRET": planted, "RELEASE_FILE": str(release)}
    for dags in (EXAMPLES, HERE / "dags"):
        shutil.copytree(dags, airflow.dags, dirs_exist_ok=True)
    airflow.start()
    connection = platform.connection | {"extra": json.dumps(platform.connection["extra"])}
    airflow.api("POST", "/connections", {"connection_id": "adobe_catalog_default"} | connection)

    airflow.wait_for_dag("on_announced_ingest")  # runs when something is announced
    scheduled = ("classic_ingest", "announced_ingest")
    for dag_id in scheduled:
        airflow.wait_for_dag(dag_id)
    last = "wait_poke"  # with SQLite, Airflow 2 runs one task at a time, and this one holds on
    for dag_id in (*WAITING, "lineage_hook"):
        if dag_id not in (*scheduled, last):
            airflow.trigger(dag_id)
    for dag_id in WAITING:
        if dag_id == last:
            airflow.trigger(last)
        wait_until_waiting(airflow, dag_id)
    triggers = trigger_rows(airflow)
    view.advance(PROMOTION_SECONDS)
    release.touch()
    for dag_id in (*WAITING, "lineage_hook", "on_announced_ingest"):
        wait_for_end(airflow, dag_id)
    return Runs(airflow, view, (platform.connection["password"], *platform.issued_tokens), planted, triggers)


def wait_until_waiting(airflow: RealAirflow, dag_id: str) -> None:
    """Wait until the DAG's last task waits in its own way."""
    task_id, state = WAITING[dag_id]
    otherwise = f"{dag_id}.{task_id} was never {state}"
    wait_for(lambda: airflow.state_of(dag_id, task_id) == state, RUN_SECONDS, otherwise, pause=1)


def wait_for_end(airflow: RealAirflow, dag_id: str) -> None:
    """Wait until the DAG's run has ended."""
    ended = ("success", "failed")
    otherwise = f"{dag_id} did not end"
    wait_for(lambda: (airflow.run_of(dag_id) or {}).get("state") in ended, RUN_SECONDS, otherwise, pause=1)
