"""A fleet with PostgreSQL, Redis, two Celery workers and two triggerers, of which some are killed again and again.

In the end each mapped ingestion of the run has one promoted batch with the rows of its file, and no batch is left open.

They take many minutes: ``make nightly-fleet``. The large one kills at random; ``FLEET_SEED`` repeats the order of the kills.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import wait_for
from cases import FILES, LONG
from fleet import MEMBERS, TRIGGERERS, WORKERS, Fleet, fleet_of, fleet_problem

PROBLEM = fleet_problem()
SEED = os.environ.get("FLEET_SEED")

pytestmark = [
    pytest.mark.skipif(PROBLEM is not None, reason=str(PROBLEM)),
    pytest.mark.skipif(SEED is None, reason="takes many minutes: make nightly-fleet"),
    pytest.mark.xdist_group("fleet"),
]

FEW, SLOTS_OF_FEW = 12, 4
MANY, SLOTS_OF_MANY = 200, 6
STEP_SECONDS = 300
PROMOTION_SECONDS = 30


def test_a_worker_and_a_triggerer_are_killed_in_the_middle_of_their_work(tmp_path: Path) -> None:
    with fleet_of(tmp_path / "airflow", FEW, SLOTS_OF_FEW, triggerer_capacity=FEW - 4) as fleet:
        fleet.desk.set(promotion_seconds=LONG)
        fleet.desk.hold_requests("before", FILES, method="PUT", times=2 * SLOTS_OF_FEW)
        fleet.start()

        wait_for(fleet.both_workers_upload, STEP_SECONDS, "the workers did not get to their uploads")
        fleet.kill(WORKERS[0])
        fleet.desk.release_all()
        fleet.airflow.start_another(WORKERS[0])

        wait_for(fleet.all_wait, STEP_SECONDS, "the ingestions did not get to their waits", pause=1)
        fleet.kill(TRIGGERERS[0])
        fleet.airflow.start_another(TRIGGERERS[0])
        fleet.desk.advance(LONG)
        wait_for(fleet.has_ended, STEP_SECONDS, "the run did not end", pause=1)

        assert_one_batch_each(fleet)
        assert Counter(task.tries for task in fleet.tasks().values())[2] >= SLOTS_OF_FEW


def test_workers_and_triggerers_are_killed_at_random(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with fleet_of(tmp_path / "airflow", MANY, SLOTS_OF_MANY) as fleet:
        fleet.desk.set(promotion_seconds=PROMOTION_SECONDS)
        started = time.monotonic()
        fleet.start()
        while not ends_before_it_gets_on(fleet, chance.randint(10, 40)):
            members = chance.sample(MEMBERS, chance.choice([1, 1, 1, 2]))
            for member in members:
                fleet.kill(member)
            time.sleep(chance.uniform(0, 5))
            for member in members:
                fleet.airflow.start_another(member)
        report(fleet, time.monotonic() - started)
        assert_one_batch_each(fleet)


def ends_before_it_gets_on(fleet: Fleet, steps: int) -> bool:
    """Wait until the run has got on by so many steps, however fast this machine is; or tell that it has ended before."""
    goal = fleet.progress() + steps
    wait_for(
        lambda: fleet.progress() >= goal or fleet.has_ended(),
        STEP_SECONDS,
        "the run did not get on",
        pause=1,
    )
    return fleet.has_ended()


def assert_one_batch_each(fleet: Fleet) -> None:
    """Every ingestion is a success with one batch of its own, and nothing else is left on the platform."""
    tasks, batches = fleet.tasks(), fleet.batches()
    numbers = range(len(fleet.files))
    assert {number: task.state for number, task in tasks.items()} == dict.fromkeys(numbers, "success")
    promoted = {batch_id: batch for batch_id, batch in batches.items() if batch["status"] == "success"}
    assert sorted(map(number_of, promoted.values())) == list(numbers)
    stored = {batch.id: batch.rows for batch in fleet.desk.batches()}
    assert {number_of(batch): stored[batch_id] for batch_id, batch in promoted.items()} == dict(
        enumerate(fleet.files)
    )
    assert fleet.rows() == fleet.sent_rows()
    # Two tries that overlap may both open a batch; the younger one is aborted.
    by_external_id = {batch["externalId"]: batch for batch in promoted.values()}
    for batch_id in batches.keys() - promoted.keys():
        spare = batches[batch_id]
        assert spare["status"] == "aborted"
        assert by_external_id[spare["externalId"]]["created"] <= spare["created"]


def number_of(batch: dict[str, Any]) -> int:
    """Read off a batch which ingestion it belongs to."""
    [index] = batch["tags"]["airflow_map_index"]
    return int(index)


def report(fleet: Fleet, seconds: float) -> None:
    """Print what has happened."""
    statuses = Counter(batch["status"] for batch in fleet.batches().values())
    tries = Counter(task.tries for task in fleet.tasks().values())
    print(f"\nFLEET_SEED={SEED}: {len(fleet.files)} ingestions in {seconds:.0f} s")
    print(f"  killed: {dict(fleet.kills)}; tries of an ingestion: {dict(sorted(tries.items()))}")
    print(f"  batches: {dict(statuses)}")
