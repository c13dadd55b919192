"""All that is needed for a tour of the pages: an Airflow, a platform and a browser, and later on what there is to see."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_stack import AIRFLOW_2, RealAirflow, postgresql_problem, temporary_database
from airflow_ui import AirflowUI, airflow_ui
from chromium import Browser, chromium
from runs import EXAMPLES, HERE, wait_for_end

from airflow_provider_catalog.emulator.server import Emulator, running
from airflow_provider_catalog.emulator.settings import Settings

SUCCEEDS, FAILS = "classic_ingest", "wait_for_failure"


@dataclass(frozen=True)
class Tour:
    """What a visitor has before them. `platform` is the emulator, `values` are the fields of the connection to it."""

    airflow: RealAirflow
    platform: Emulator
    browser: Browser
    ui: AirflowUI

    @property
    def values(self) -> dict[str, str]:
        """What to type into the connection form."""
        connection = self.platform.connection
        return {name: connection[name] for name in ("host", "login", "password")} | connection["extra"]

    def run_dags(self) -> None:
        """Make the connection in the form, and run a DAG that succeeds, and one whose batch is refused."""
        self.ui.connect("adobe_catalog_default", self.values)
        self.airflow.wait_for_dag(SUCCEEDS)  # runs by its schedule
        self.airflow.trigger(FAILS)
        for dag_id in (SUCCEEDS, FAILS):
            wait_for_end(self.airflow, dag_id)


@contextmanager
def tour(home: Path) -> Iterator[Tour]:
    """Start everything that is needed, and stop it in the end."""
    with ExitStack() as stack:
        # With SQLite, Airflow 2 runs one task at a time.
        own_server = AIRFLOW_2 and not postgresql_problem()
        database = stack.enter_context(temporary_database()) if own_server else f"sqlite:///{home}/airflow.db"
        airflow = RealAirflow(home, database, settings={"CORE__TEST_CONNECTION": "Enabled"})
        # Airflow 2's web server would wait for a minute on a connection that a browser keeps ready.
        airflow.env["GUNICORN_CMD_ARGS"] = "--threads=8"
        shutil.copytree(EXAMPLES, airflow.dags)
        shutil.copytree(HERE / "dags" / "data", airflow.dags / "data", dirs_exist_ok=True)
        shutil.copy(HERE / "dags" / "waits.py", airflow.dags)
        platform = stack.enter_context(running(Settings(promotion_seconds=1)))
        browser = stack.enter_context(chromium())
        stack.callback(airflow.stop)
        airflow.start()
        yield Tour(airflow, platform, browser, airflow_ui(airflow, browser))
