"""A real Airflow 3, in which a DAG runs for each batch that somebody else loads, whatever is killed in between."""

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AIRFLOW_2, RealAirflow, send_signal, wait_for
from cases import EmulatorProcess
from desk import CRM_PROFILES, LOCAL_SECRET

pytestmark = [
    pytest.mark.skipif(AIRFLOW_2, reason="Airflow 2 has no asset watchers"),
    pytest.mark.skipif("WAITS" not in os.environ, reason="takes many minutes: make nightly-waits"),
    pytest.mark.xdist_group("mortal"),
]

HERE = Path(__file__).parent
DAG = "on_batch"
BATCHES = 50
WAIT_SECONDS = 180


class ForeignClient:
    """Loads batches with curl, and knows nothing of this package."""

    def __init__(self, url: str) -> None:
        self._url = url
        fields = (
            f"grant_type=client_credentials&client_id=local-client&client_secret={LOCAL_SECRET}&scope=openid"
        )
        token = json.loads(_curl(f"{url}/ims/token/v3", "--data", fields))["access_token"]
        self._headers = [
            f"-HAuthorization: Bearer {token}",
            "-Hx-api-key: local-client",
            "-Hx-gw-ims-org-id: 0123456789ABCDEF01234567@AdobeOrg",
            "-Hx-sandbox-name: dev",
        ]
        self.loaded: list[str] = []

    def load(self, count: int) -> None:
        for _ in range(count):
            opening = {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}}
            answer = self._call("", "--json", json.dumps(opening))
            batch_id = json.loads(answer)["id"]
            row = json.dumps({"_id": batch_id, "person": {"name": {"firstName": "A"}}})
            octets = ("-HContent-Type: application/octet-stream", "--data-binary", row)
            self._call(f"/{batch_id}/datasets/{CRM_PROFILES}/files/rows.json", "-XPUT", *octets)
            self._call(f"/{batch_id}?action=COMPLETE", "-XPOST")
            self.loaded.append(batch_id)

    def _call(self, path: str, *arguments: str) -> str:
        return _curl(f"{self._url}/data/foundation/import/batches{path}", *self._headers, *arguments)


def _curl(*arguments: str) -> str:
    done = subprocess.run(["curl", "-sSf", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    process = EmulatorProcess(tmp_path_factory.mktemp("platform"))
    yield process
    process.kill()


@pytest.fixture(scope="module")
def airflow(mortal: RealAirflow, platform: EmulatorProcess) -> RealAirflow:
    connection = platform.connection | {"extra": json.dumps(platform.connection["extra"])}
    mortal.api("POST", "/connections", {"connection_id": "arrivals"} | connection)
    shutil.copy(HERE / "dags_arrivals" / "on_batch.py", mortal.dags)
    mortal.wait_for_dag(DAG)
    return mortal


def runs(airflow: RealAirflow) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = airflow.api("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
    return found


def wait_for_runs(airflow: RealAirflow, count: int) -> None:
    wait_for(lambda: len(runs(airflow)) >= count, WAIT_SECONDS, f"no {count} runs of {DAG}", pause=1)


def replace(airflow: RealAirflow, name: str, meanwhile: Any) -> None:
    """Kill a process of Airflow with all that it has started, and start another one."""
    send_signal(signal.SIGKILL, airflow.family(name))
    meanwhile()
    airflow.start_another(name)


def test_a_dag_runs_once_for_each_batch_while_everything_is_restarted_in_between(
    airflow: RealAirflow, platform: EmulatorProcess
) -> None:
    somebody = ForeignClient(platform.url)
    somebody.load(15)
    wait_for_runs(airflow, 5)
    replace(airflow, "triggerer", lambda: somebody.load(10))
    wait_for_runs(airflow, 20)
    platform.kill()
    platform.start()
    somebody = _same(somebody, platform)
    somebody.load(15)
    wait_for_runs(airflow, 30)
    replace(airflow, "scheduler", lambda: somebody.load(10))
    wait_for_runs(airflow, BATCHES)

    events = airflow.api("GET", "/assets/events?limit=100")["asset_events"]
    started = Counter(
        (event["extra"]["payload"]["batch_id"], run["run_id"])
        for event in events
        for run in event["created_dagruns"]
    )
    assert Counter(batch_id for batch_id, _ in started) == Counter(somebody.loaded)
    assert Counter(run_id for _, run_id in started) == Counter(run["dag_run_id"] for run in runs(airflow))
    assert {event["extra"]["payload"]["records_written"] for event in events} == {1}


def _same(somebody: ForeignClient, platform: EmulatorProcess) -> ForeignClient:
    """The same client, with a token that the new process knows."""
    again = ForeignClient(platform.url)
    again.loaded = somebody.loaded
    return again
