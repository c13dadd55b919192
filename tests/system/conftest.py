"""The real Airflows that several modules share: one in which every DAG has been run once, and one whose processes are killed."""

from collections.abc import Iterator

import pytest
from airflow_stack import AIRFLOW, RealAirflow, postgresql_problem, temporary_database
from runs import HERE, PROMOTION_SECONDS, Runs, lineage_settings, run_everything

from airflow_provider_catalog.emulator.server import running
from airflow_provider_catalog.emulator.settings import Settings

POSTGRESQL_PROBLEM = postgresql_problem()
DATABASE = "sqlite" if POSTGRESQL_PROBLEM else "postgresql"

MORTAL_SETTINGS = {
    "DAG_PROCESSOR__REFRESH_INTERVAL": "3",
    # The watchers of a DAG that is paused do not run, and only the next parsing of its file starts them.
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
}
if AIRFLOW < (3, 1):  # which starts none at the first parsing
    MORTAL_SETTINGS["DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL"] = "10"

# All tests share this Airflow, so where tests run in several processes, they go to the same one.
STAGE = pytest.param(DATABASE, marks=pytest.mark.xdist_group("all runs"))


@pytest.fixture(scope="package", params=[STAGE])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All runs have ended: success in each mode of waiting, failed batches, an announced one, a planted leak; lineage is told."""
    home = tmp_path_factory.mktemp(f"airflow-{request.param}")
    own_server = request.param == "postgresql"
    database = request.getfixturevalue("postgresql") if own_server else f"sqlite:///{home}/airflow.db"
    airflow = RealAirflow(home, database, pythonpath=str(HERE), settings=lineage_settings(home))
    with running(Settings(promotion_seconds=PROMOTION_SECONDS)) as platform:
        try:
            yield run_everything(airflow, platform)
        finally:
            airflow.stop()


@pytest.fixture(scope="package")
def mortal(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    """An Airflow 3 of which the tests kill processes. It soon finds what they put into its folder of DAGs."""
    airflow = RealAirflow(
        tmp_path_factory.mktemp("airflow-mortal"), postgresql, pythonpath=str(HERE), settings=MORTAL_SETTINGS
    )
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


@pytest.fixture(scope="package")
def postgresql() -> Iterator[str]:
    """The address of a database of our own on this machine's PostgreSQL server."""
    if POSTGRESQL_PROBLEM:
        pytest.skip(
            f"needs PostgreSQL on 127.0.0.1:5432 that lets the user postgres in: {POSTGRESQL_PROBLEM}"
        )
    with temporary_database() as address:
        yield address
