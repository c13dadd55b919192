"""A real Airflow, in which every DAG of these tests has been run once."""

from collections.abc import Iterator

import pytest
from airflow_stack import RealAirflow, postgresql_problem, temporary_database
from runs import HERE, PROMOTION_SECONDS, Runs, run_everything

from airflow_provider_catalog.emulator.server import running
from airflow_provider_catalog.emulator.settings import Settings

POSTGRESQL_PROBLEM = postgresql_problem()
DATABASE = "sqlite" if POSTGRESQL_PROBLEM else "postgresql"

# All tests share this Airflow, so where tests run in several processes, they go to the same one.
STAGE = pytest.param(DATABASE, marks=pytest.mark.xdist_group("all runs"))


@pytest.fixture(scope="package", params=[STAGE])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All runs have ended: success in each mode of waiting, failed batches, an announced one, and a planted leak."""
    home = tmp_path_factory.mktemp(f"airflow-{request.param}")
    own_server = request.param == "postgresql"
    database = request.getfixturevalue("postgresql") if own_server else f"sqlite:///{home}/airflow.db"
    airflow = RealAirflow(home, database, pythonpath=str(HERE))
    with running(Settings(promotion_seconds=PROMOTION_SECONDS)) as platform:
        try:
            yield run_everything(airflow, platform)
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
