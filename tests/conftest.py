"""What the tests of every folder share: an Airflow home of their own, the emulator, a way to run a DAG."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stores import s3, s3_process

if TYPE_CHECKING:
    from airflow_provider_catalog.emulator.server import Emulator

__all__ = ["s3", "s3_process"]

SYSTEM = Path(__file__).parent / "system"

# Airflow reads these when it is imported for the first time, so they stand before everything else.
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))
AIRFLOW_DB = AIRFLOW_HOME / "airflow.db"
(AIRFLOW_HOME / "dags").mkdir()
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(AIRFLOW_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(AIRFLOW_HOME / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_DB}",
}


def pytest_xdist_auto_num_workers() -> int:
    """One for each core, and two more, since up to three of them wait for a real Airflow most of the time."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those with a real Airflow take minutes each: they come first, so that no core is idle in the end."""
    items.sort(key=lambda item: SYSTEM not in item.path.parents)


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A fresh emulator on a port of its own."""
    from airflow_provider_catalog.emulator.server import running

    with running() as server:
        yield server


@pytest.fixture
def connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an Airflow connection that reaches the emulator."""
    monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", json.dumps(emulator.connection))
    return "adobe_catalog_default"


@pytest.fixture(scope="session")
def airflow_db(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    """Airflow's database, migrated, for the tests that run a DAG. The first process that needs it makes it for all of them."""
    folder = tmp_path_factory.getbasetemp()
    shared = (folder if worker_id == "master" else folder.parent) / "airflow.db"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
            done = subprocess.run(migrate, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            shutil.copy(AIRFLOW_DB, shared)
    shutil.copy(shared, AIRFLOW_DB)


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """`run_dag(dag, run_conf={...})` runs a DAG here and now, and returns its run."""
    return _run_dag


def _run_dag(dag: Any, **arguments: Any) -> Any:
    try:
        import airflow.models.dagbundle  # noqa: F401
    except ImportError:  # Airflow 2
        return dag.test(**arguments)
    _register(dag)
    _activate_outlets(dag)
    return dag.test(**arguments)


def _activate_outlets(dag: Any) -> None:
    """Airflow 3 runs only a task whose outlets it knows."""
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.utils.session import create_session

    assets = {(asset.name, asset.uri) for task in dag.tasks for asset in task.outlets}
    with create_session() as session:
        for name, uri in assets:
            if not session.get(AssetActive, (name, uri)):
                session.add(AssetModel(name=name, uri=uri, group="asset"))
                session.flush()
                session.add(AssetActive(name=name, uri=uri))


def _register(dag: Any) -> None:
    """Airflow 3 runs only a DAG that it finds in its database."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    DagBundlesManager().sync_bundles_to_db()
    with create_session() as session:
        if not session.get(DagModel, dag.dag_id):
            session.add(DagModel(dag_id=dag.dag_id, bundle_name="dags-folder"))
            session.flush()
        # Airflow 3.0 takes the DAG as it is.
        form = LazyDeserializedDAG.from_dag(dag) if hasattr(LazyDeserializedDAG, "from_dag") else dag
        SerializedDagModel.write_dag(form, bundle_name="dags-folder", session=session)
