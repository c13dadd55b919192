"""A real Airflow, in which one run waits for many batches while the platform is in trouble and the triggerer is killed.

They are as many as `WAITS` says, and take many minutes: ``make nightly-waits``. Each of them costs two visits to a worker.
"""

import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AIRFLOW_2, RealAirflow, send_signal, wait_for
from cases import EmulatorProcess
from desk import BATCHES, Desk, Sent
from somebody import Somebody

from airflow_provider_catalog.emulator.server import running

pytestmark = [
    pytest.mark.skipif(AIRFLOW_2, reason="reads logs and the API the way Airflow 3 has them"),
    pytest.mark.skipif("WAITS" not in os.environ, reason="takes many minutes: make nightly-waits"),
    pytest.mark.xdist_group("mortal"),
]

HERE = Path(__file__).parent
DAG = "many_waits"
WAITS = int(os.environ.get("WAITS", "0"))
STEP_SECONDS = 300 + 3 * WAITS
IN_VAIN_SECONDS = 30 + WAITS / 5
PROMOTION_SECONDS = 3600

ROW = b'{"_id": "1", "person": {"name": {"firstName": "A"}}}\n'
BAD_ROW = b'{"_id": "1", "person": \n'


class Fate(StrEnum):
    """What becomes of a batch: the status in which it ends."""

    PROMOTED = "success"
    FAILED = "failed"
    ABORTED = "aborted"
    LEFT_OPEN = "loading"


# Of each ten batches.
FATES = [*[Fate.PROMOTED] * 5, *[Fate.FAILED] * 2, *[Fate.ABORTED] * 2, Fate.LEFT_OPEN]

# What every tenth request gets instead of an answer, in turn.
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"status": 503},
    {"drop": "before"},
)


@dataclass(frozen=True)
class Wait:
    """A batch, and the index of the mapped task that waits for it."""

    index: int
    batch_id: str
    fate: Fate


@dataclass(frozen=True)
class End:
    """How a task has ended.

    :param failures: how many of its tries have failed.
    :param deferred: whether it has waited in the triggerer.
    :param error: the class and the text of the exception.
    """

    state: str
    failures: int
    deferred: bool
    returned: Any = None
    error: tuple[str, str] | None = None


class Run:
    """The run that waits, as Airflow shows it."""

    def __init__(self, airflow: RealAirflow) -> None:
        self._airflow = airflow
        run = airflow.run_of(DAG)
        assert run
        self._id = run["dag_run_id"]
        self._tasks = f"/dags/{DAG}/dagRuns/{self._id}/taskInstances"

    def count(self, *states: str) -> int:
        """Count the tasks in some states."""
        wanted = "&".join(f"state={state}" for state in states)
        return int(self._airflow.api("GET", f"{self._tasks}?{wanted}&limit=1")["total_entries"])

    def ends(self) -> list[End]:
        """Give how the tasks have ended, in order of their index."""
        path = f"{self._tasks}?order_by=map_index&limit=100"
        pages = [self._airflow.api("GET", f"{path}&offset={start}") for start in range(0, WAITS, 100)]
        return [self._end_of(task) for page in pages for task in page["task_instances"]]

    def _end_of(self, task: dict[str, Any]) -> End:
        log = self._log_of(task["map_index"], task["try_number"])
        errors = [line["error_detail"][0] for line in log if "error_detail" in line]
        return End(
            state=task["state"],
            failures=len(errors),
            deferred=any("as DEFERRED" in line["event"] for line in log),
            returned=self._returned_by(task["map_index"]) if task["state"] == "success" else None,
            error=(errors[-1]["exc_type"], errors[-1]["exc_value"]) if errors else None,
        )

    def _returned_by(self, index: int) -> Any:
        entry = f"{self._tasks}/wait/xcomEntries/return_value?map_index={index}&stringify=false"
        return self._airflow.api("GET", entry)["value"]

    def _log_of(self, index: int, tries: int) -> list[dict[str, Any]]:
        """Give the lines of all tries. A busy Airflow may lose one that has not begun to work."""
        folder = f"dag_id={DAG}/run_id={self._id}/task_id=wait/map_index={index}"
        logs = [self._airflow.home / "logs" / folder / f"attempt={each}.log" for each in range(1, tries + 1)]
        return [json.loads(line) for log in logs if log.exists() for line in log.read_text().splitlines()]


@dataclass(frozen=True)
class Proof:
    """What is left of the run.

    :param waiting: how many tasks were deferred when the last one was, and how many when the triggerer was killed.
    :param sent: the requests of the run's time, whoever has sent them.
    :param strikes: how often each fault has hit one of them.
    """

    ends: dict[Wait, End]
    seconds: float
    waiting: tuple[int, int]
    sent: list[Sent]
    strikes: list[int]

    def __str__(self) -> str:
        ours = [sent for sent in self.sent if is_ours(sent)]
        return (
            f"{WAITS} waits in {self.seconds:.0f} s, of which {self.waiting[0]} began before the first one ended and "
            f"{self.waiting[1]} lost their triggerer; {len(ours)} requests over {len({sent.connection for sent in ours})} "
            f"connections; faults: {self.strikes}"
        )

    def of(self, fate: Fate) -> Iterator[tuple[str, End]]:
        """Give the batches that have met a fate, and how the waits for them have ended."""
        return ((wait.batch_id, end) for wait, end in self.ends.items() if wait.fate is fate)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The platform that the run waits for."""
    platform = EmulatorProcess(tmp_path_factory.mktemp("platform"))
    desk = Desk(platform)
    desk.set(promotion_seconds=PROMOTION_SECONDS)
    yield desk
    platform.kill()


@pytest.fixture(scope="module")
def waits(desk: Desk) -> list[Wait]:
    """The batches are open. Those that are left open come last, so that the waits with a short time-out begin last."""
    somebody = Somebody(desk.url)
    fates = sorted((FATES[number % len(FATES)] for number in range(WAITS)), key=list(Fate).index)
    return [
        Wait(index, somebody.open_batch(BAD_ROW if fate is Fate.FAILED else ROW), fate)
        for index, fate in enumerate(fates)
    ]


@pytest.fixture(scope="module")
def airflow(mortal: RealAirflow, waits: list[Wait]) -> RealAirflow:
    arguments = [{"batch_id": wait.batch_id, "timeout": time_out_of(wait)} for wait in waits]
    (mortal.dags / "waits.json").write_text(json.dumps(arguments))
    shutil.copytree(HERE / "dags_many_waits", mortal.dags, dirs_exist_ok=True)
    return mortal


def time_out_of(wait: Wait) -> float:
    return IN_VAIN_SECONDS if wait.fate is Fate.LEFT_OPEN else 10 * STEP_SECONDS


@pytest.fixture(scope="module")
def proof(airflow: RealAirflow, desk: Desk, waits: list[Wait]) -> Proof:
    """The run has ended, and half of the batches have met their fate while the triggerer was dead."""
    airflow.api("POST", "/connections", fields_of("adobe_catalog_default", desk.emulator.connection))
    before, began = len(desk.sent()), time.monotonic()
    strike_every_tenth_request(desk)
    airflow.trigger(DAG)
    run = Run(airflow)
    wait_for(lambda: run.count("deferred", "failed") == WAITS, STEP_SECONDS, "not all wait", pause=1)
    all_waiting = run.count("deferred")
    # Airflow retries a task whose trigger fires before the scheduler has heard that the task was deferred.
    wait_for(
        lambda: len(heard_of(airflow)) == WAITS, STEP_SECONDS, "not all deferrals were heard of", pause=1
    )

    meet_their_fate(waits[::2], desk)
    wait_for(lambda: run.count("success") > 0, STEP_SECONDS, "none has gone on")
    waiting = (all_waiting, run.count("deferred"))
    send_signal(signal.SIGKILL, airflow.family("triggerer"))
    meet_their_fate(waits[1::2], desk)
    airflow.start_another("triggerer")
    wait_for(lambda: run.count("success", "failed") == WAITS, STEP_SECONDS, "not all have ended", pause=1)

    seconds = time.monotonic() - began
    ends = dict(zip(waits, run.ends(), strict=True))
    proof = Proof(ends, seconds, waiting, desk.sent()[before:], desk.strikes())
    desk.mend()
    print(f"\n{proof}", end=" ")
    return proof


def heard_of(airflow: RealAirflow) -> set[str]:
    """Give the indexes of the tasks that the scheduler has heard of from its executor."""
    return set(
        re.findall(rf"Received executor event .*'{DAG}'.* map_index=(\d+)", airflow.output_of("scheduler"))
    )


def fields_of(name: str, connection: dict[str, Any]) -> dict[str, Any]:
    """Give a connection as Airflow's API takes it."""
    return connection | {"connection_id": name, "extra": json.dumps(connection["extra"])}


def strike_every_tenth_request(desk: Desk) -> None:
    """Let the thirtieth request run into the first fault, the fortieth into the second one, and so on."""
    for number, effect in enumerate(FAULTS):
        # A fault does not see the requests that the ones before it have struck.
        desk.break_next(effect, times=None, every=30 - number, skip=10 * number)


def meet_their_fate(waits: list[Wait], desk: Desk) -> None:
    """Let somebody complete or abort the batches, and the platform decide on those that were completed."""
    somebody = Somebody(desk.url)
    actions = {Fate.PROMOTED: "COMPLETE", Fate.FAILED: "COMPLETE", Fate.ABORTED: "ABORT"}
    for fate, action in actions.items():
        somebody.signal(action, [wait.batch_id for wait in waits if wait.fate is fate])
    desk.advance(PROMOTION_SECONDS)


def is_ours(sent: Sent) -> bool:
    return sent.headers["User-Agent"].startswith("airflow-provider-catalog/")


def test_every_task_waits_in_the_triggerer_and_fails_once_at_most(proof: Proof) -> None:
    ends = {(end.deferred, end.state, end.failures) for end in proof.ends.values()}
    assert ends == {(True, "success", 0), (True, "failed", 1)}


def test_a_promoted_batch_makes_the_wait_for_it_a_success(proof: Proof) -> None:
    counts = {"records_read": 1, "records_written": 1, "records_failed": 0}
    for batch_id, end in proof.of(Fate.PROMOTED):
        assert end.state == "success"
        assert end.returned == {"id": batch_id, "status": "success", **counts, "errors": []}


def test_a_failed_batch_fails_the_wait_for_it_with_the_platforms_reason(proof: Proof, desk: Desk) -> None:
    for batch_id, end in proof.of(Fate.FAILED):
        [reason] = desk.batch(batch_id)["errors"]
        assert end.state == "failed"
        assert end.error
        name, text = end.error
        assert name == "AirflowFailException"
        assert f"Batch {batch_id} ended as 'failed'" in text
        assert reason["code"] in text
        assert reason["description"] in text


def test_an_aborted_batch_fails_the_wait_for_it(proof: Proof) -> None:
    for batch_id, end in proof.of(Fate.ABORTED):
        text = f"Batch {batch_id} ended as 'aborted'. The Catalog gives no errors for it."
        assert (end.state, end.error) == ("failed", ("AirflowFailException", text))


def test_a_wait_in_vain_times_out(proof: Proof) -> None:
    for batch_id, end in proof.of(Fate.LEFT_OPEN):
        assert end.state == "failed"
        assert end.error
        name, text = end.error  # which goes on with the trouble, if the last look was one that failed
        assert name == "AirflowSensorTimeout"
        assert text.startswith(f"Batch {batch_id} was not promoted within the sensor's timeout.")


def test_nobody_touches_a_batch_because_the_triggerer_has_died(proof: Proof, desk: Desk) -> None:
    statuses = {wait.batch_id: desk.batch(wait.batch_id)["status"] for wait in proof.ends}
    assert statuses == {wait.batch_id: wait.fate for wait in proof.ends}
    ours = Counter((sent.method, sent.path.split("/")[1]) for sent in proof.sent if is_ours(sent))
    assert set(ours) == {("GET", "data"), ("POST", "ims")}


def test_every_tenth_request_runs_into_a_fault(proof: Proof) -> None:
    struck = [sent.status for sent in proof.sent[29::10]]
    assert Counter(struck) == dict(zip((429, 503, "dropped"), proof.strikes, strict=True))
    assert len(struck) >= WAITS / 10


def test_a_changed_secret_in_the_connection_is_picked_up_while_a_task_waits(airflow: RealAirflow) -> None:
    name = "changed_secret"
    with running() as emulator:
        desk, somebody = Desk(emulator), Somebody(emulator.url)
        desk.set(promotion_seconds=PROMOTION_SECONDS)
        batch_id = somebody.open_batch(ROW)
        somebody.signal("COMPLETE", [batch_id])
        airflow.api("POST", "/connections", fields_of(name, emulator.connection))
        airflow.trigger(name, {"batch_id": batch_id})
        wait_for(lambda: airflow.state_of(name, "wait") == "deferred", STEP_SECONDS, "it does not wait")

        desk.set(client_secret="another-secret")
        desk.expire_tokens()
        refused = ("POST", "/ims/*", 401)
        wait_for(lambda: count(desk, *refused) >= 2, STEP_SECONDS, "nobody asks with the old secret")
        airflow.api("PATCH", f"/connections/{name}", fields_of(name, emulator.connection))
        desk.forget()
        looks = ("GET", f"{BATCHES}*", 200)
        wait_for(lambda: count(desk, *looks) >= 2, STEP_SECONDS, "nobody looks with the new secret")
        desk.advance(PROMOTION_SECONDS)
        wait_for(lambda: airflow.state_of(name, "wait") == "success", STEP_SECONDS, "it did not go on")
    assert airflow.tasks_of(name)["wait"]["try_number"] == 1


def count(desk: Desk, method: str, path: str, status: int) -> int:
    """Count the requests that got a certain answer."""
    return sum(sent.status == status for sent in desk.sent(method, path))
