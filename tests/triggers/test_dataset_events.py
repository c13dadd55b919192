"""`DatasetBatchEventTrigger` makes an event of each promoted batch, once, whatever happens to it or to the platform.

Airflow is played by the tests: what it does with events, and what it lets a trigger keep. A real one is in `tests/system`.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from desk import BATCHES, CRM_PROFILES, LOCAL_SECRET, PAGE_VIEWS, Desk, Sent
from tasks import IS_AIRFLOW_2, restored

from airflow_provider_catalog.api import client
from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.ingest import arrivals
from airflow_provider_catalog.triggers import access, follower, notes, streams
from airflow_provider_catalog.triggers.dataset import DatasetBatchEventTrigger

VARIABLE = "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"
LONG_AGO = "2020-01-01"

if IS_AIRFLOW_2:
    pytest.skip("Airflow 2 has no asset watchers", allow_module_level=True)


@pytest.fixture(autouse=True)
def _in_a_hurry(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.set(empty_batch="success", promotion_seconds=0)
    monkeypatch.setattr(streams, "TICK", 0.01)
    monkeypatch.setattr(follower, "EVENT_GAP", 0.0)
    monkeypatch.setattr(follower, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(follower, "RESUME_PATIENCE", 0.2)


class Memory:
    """Stands for what Airflow keeps, through JSON."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.is_down = False
        self.writes_left: float = float("inf")

    async def aget(self, key: str, default: Any = None) -> Any:
        if self.is_down:
            raise RuntimeError("no database")
        return json.loads(self.kept[key]) if key in self.kept else default

    async def aset(self, key: str, value: Any) -> None:
        if self.is_down or self.writes_left <= 0:
            raise RuntimeError("no database")
        self.writes_left -= 1
        self.kept[key] = json.dumps(value)

    @property
    def done(self) -> set[str]:
        return {batch_id for kept in self.kept.values() for batch_id in json.loads(kept)["done"]}


@pytest.fixture
def memory() -> Memory:
    return Memory()


def trigger(memory: Memory, dataset_id: str = CRM_PROFILES, **arguments: Any) -> DatasetBatchEventTrigger:
    known: dict[str, Any] = {"dataset_id": dataset_id, "since": LONG_AGO, "poll_interval": 0.02}
    made: DatasetBatchEventTrigger = restored(DatasetBatchEventTrigger(**{**known, **arguments}))
    made.asset_state_store = memory
    return made


def load(count: int = 1, dataset_id: str = CRM_PROFILES, **fields: Any) -> list[str]:
    client = CatalogHook().client
    loaded = []
    for _ in range(count):
        payload = {"datasetId": dataset_id, "inputFormat": {"format": "json"}, **fields}
        loaded.append(client.create_batch(payload))
        client.complete_batch(loaded[-1])
    client.close()
    return loaded


@asynccontextmanager
async def running(watcher: DatasetBatchEventTrigger) -> AsyncIterator[list[dict[str, Any]]]:
    """Let a trigger run, and give its events as they come; in the end it is cancelled, as by a triggerer that stops."""
    events: list[dict[str, Any]] = []

    async def follow() -> None:
        async for event in watcher.run():
            events.append(json.loads(json.dumps(event.payload)))

    task = asyncio.create_task(follow())
    try:
        yield events
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["batch_id"] for event in events]


async def events_of(watcher: DatasetBatchEventTrigger, count: int, then: float = 0.1) -> list[str]:
    """Give the batches of so many events, and of those that come shortly after them."""
    async with running(watcher) as events:
        await until(lambda: len(events) >= count)
        await asyncio.sleep(then)
    return ids(events)


def test_each_batch_is_one_event_that_tells_of_it(memory: Memory, desk: Desk) -> None:
    [batch_id] = load(externalId="theirs-1")
    metrics = {"inputRecordCount": 5, "outputRecordCount": 4, "failedRecordCount": 1}
    desk.hold(batch_id, "success", metrics=metrics)

    async def first() -> dict[str, Any]:
        async with running(trigger(memory)) as events:
            await until(lambda: events)
        return events[0]

    event = asyncio.run(first())
    completed = datetime.fromisoformat(event.pop("completed"))
    assert abs((completed - datetime.now(UTC)).total_seconds()) < 60
    assert event == {
        "dataset_id": CRM_PROFILES,
        "batch_id": batch_id,
        "external_id": "theirs-1",
        "records_read": 5,
        "records_written": 4,
        "records_failed": 1,
    }


def test_batches_are_given_once_each_while_more_are_loaded(memory: Memory, desk: Desk) -> None:
    async def act() -> tuple[list[str], list[str]]:
        loaded = await asyncio.to_thread(load, 3)
        async with running(trigger(memory)) as events:
            await until(lambda: len(events) >= 2)
            loaded += await asyncio.to_thread(load, 3)
            await until(lambda: len(events) >= 6)
            await asyncio.sleep(0.2)
        return ids(events), loaded

    given, loaded = asyncio.run(act())
    assert sorted(given) == sorted(loaded)


def test_it_begins_with_what_is_promoted_after_its_first_start(memory: Memory, desk: Desk) -> None:
    load()
    desk.advance(10)

    async def act() -> tuple[list[str], list[str]]:
        async with running(trigger(memory, since=None)) as events:
            await until(lambda: memory.kept)
            loaded = await asyncio.to_thread(load)
            await until(lambda: events)
        return ids(events), loaded

    given, loaded = asyncio.run(act())
    assert loaded[0] in given


def test_a_mistake_over_one_strange_answer_does_not_end_it(
    memory: Memory, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    promoted_batches = CatalogClient.promoted_batches

    def mistaken(client: CatalogClient, *arguments: Any, **named: Any) -> Any:
        asked.append(arguments)
        return promoted_batches(client, *arguments, **named) if len(asked) > 1 else 1 / 0

    monkeypatch.setattr(CatalogClient, "promoted_batches", mistaken)
    loaded = load()
    assert asyncio.run(events_of(trigger(memory), 1)) == loaded


def test_an_answer_that_never_ends_does_not_end_it(
    memory: Memory, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "LOOK_SECONDS", 0.4)
    loaded = load()
    desk.hold_requests("before", BATCHES, times=access.THREADS + 1, method="GET")
    try:
        assert asyncio.run(events_of(trigger(memory), 1)) == loaded
    finally:
        desk.mend()
        desk.release_all()


def test_a_sweep_ends_when_nobody_has_room_for_more(
    memory: Memory, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "PENDING_LIMIT", 2)
    monkeypatch.setattr(client, "PAGE_SIZE", 20)
    loaded = load(101)
    given = asyncio.run(events_of(trigger(memory, poll_interval=1000), 2, then=0.3))
    assert given == loaded[:2]
    assert len(desk.sent("GET", BATCHES)) < 4


def test_a_trigger_that_is_held_up_skips_nothing(
    memory: Memory, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's database does not answer for longer than a batch may take to be visible, and more are promoted meanwhile."""
    overlap = 1.0
    monkeypatch.setattr(arrivals, "OVERLAP", overlap)
    may_write = asyncio.Event()
    write, writes = memory.aset, []

    async def held_up(key: str, value: Any) -> None:
        writes.append(value)
        if len(writes) == 2:  # the first one is that of the beginning
            await may_write.wait()
        await write(key, value)

    monkeypatch.setattr(memory, "aset", held_up)

    async def act() -> tuple[list[str], list[str]]:
        loaded = await asyncio.to_thread(load)
        async with running(trigger(memory)) as events:
            await until(lambda: len(writes) == 2)
            loaded += await asyncio.to_thread(load)
            await asyncio.sleep(3 * overlap)
            loaded += await asyncio.to_thread(load)
            may_write.set()
            await until(lambda: len(events) >= len(loaded))
        return ids(events), loaded

    given, loaded = asyncio.run(act())
    assert given == loaded


def test_a_restart_neither_repeats_nor_skips(memory: Memory, desk: Desk) -> None:
    async def until_noted(count: int) -> list[str]:
        async with running(trigger(memory)) as events:
            await until(lambda: len(memory.done) == count)
        return ids(events)

    first = load(3)
    assert sorted(asyncio.run(until_noted(3))) == sorted(first)
    second = load(2)
    assert sorted(asyncio.run(until_noted(5))) == sorted(second)


def test_what_was_loaded_before_the_first_batch_but_after_the_first_start_is_not_skipped(
    memory: Memory, desk: Desk
) -> None:
    async def started_only() -> None:
        async with running(trigger(memory, since=None)):
            await until(lambda: memory.kept)

    asyncio.run(started_only())
    loaded = load()
    assert asyncio.run(events_of(trigger(memory, since=None), 1)) == loaded


def test_an_event_that_was_not_noted_is_given_again_after_a_restart(
    memory: Memory, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "SETTLE_SECONDS", 3600.0)
    loaded = load(2)
    first = asyncio.run(events_of(trigger(memory), 1))
    assert len(first) == 1, "the next one waits until this one is stored"
    monkeypatch.setattr(follower, "SETTLE_SECONDS", 0.0)
    assert sorted(asyncio.run(events_of(trigger(memory), 2))) == sorted(loaded)


class Runs:
    """Counts the runs of a DAG in the place of Airflow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.is_down = False
        runs = self

        async def count(watcher: DatasetBatchEventTrigger) -> int:
            if runs.is_down:
                raise RuntimeError("no API server")
            return runs.count

        monkeypatch.setattr(DatasetBatchEventTrigger, "_count_runs", count)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(monkeypatch)


def test_the_next_event_waits_for_a_run_of_the_dag(memory: Memory, runs: Runs, desk: Desk) -> None:
    load(3)

    async def act() -> list[int]:
        seen = []
        async with running(trigger(memory, dag_id="d")) as events:
            for _ in range(3):
                await until(lambda: len(events) > len(seen))
                await asyncio.sleep(0.1)
                seen.append(len(events))
                runs.count += 1
        return seen

    assert asyncio.run(act()) == [1, 2, 3]


def test_the_next_event_does_not_wait_for_ever(
    memory: Memory, runs: Runs, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RUN_PATIENCE", 0.2)
    loaded = load(2)
    assert sorted(asyncio.run(events_of(trigger(memory, dag_id="d"), 2))) == sorted(loaded)


def test_a_run_tells_after_a_restart_that_the_event_was_stored(
    memory: Memory, runs: Runs, desk: Desk
) -> None:
    loaded = load(2)
    [first] = asyncio.run(events_of(trigger(memory, dag_id="d"), 1))
    runs.count += 1  # while no trigger was running
    assert asyncio.run(events_of(trigger(memory, dag_id="d"), 1)) == [
        each for each in loaded if each != first
    ]


def test_no_run_tells_after_a_restart_that_the_event_was_lost(memory: Memory, runs: Runs, desk: Desk) -> None:
    loaded = load()
    assert asyncio.run(events_of(trigger(memory, dag_id="d"), 1)) == loaded
    assert asyncio.run(events_of(trigger(memory, dag_id="d"), 1)) == loaded


def test_nothing_is_given_while_airflow_does_not_answer(memory: Memory, runs: Runs, desk: Desk) -> None:
    loaded = load()

    async def act() -> list[str]:
        memory.is_down = True
        async with running(trigger(memory, dag_id="d")) as events:
            await asyncio.sleep(0.1)
            memory.is_down, runs.is_down = False, True
            await asyncio.sleep(0.2)
            assert not events
            runs.is_down = False
            await until(lambda: events)
        return ids(events)

    assert asyncio.run(act()) == loaded


def test_notes_that_can_not_be_written_hold_the_next_event_back(memory: Memory, desk: Desk) -> None:
    loaded = load(2)

    async def act() -> list[str]:
        memory.writes_left = 1  # at the start
        async with running(trigger(memory)) as events:
            await until(lambda: events)
            await asyncio.sleep(0.1)
            assert len(events) == 1
            memory.writes_left = float("inf")
            await until(lambda: len(events) == 2)
        return ids(events)

    assert sorted(asyncio.run(act())) == sorted(loaded)


PASSING: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "403": {"status": 403},
    "reset": {"drop": "before"},
    "cut off": {"truncate": 10},
    "expired token": {"expire_token": True},
    "login page": {"status": 200, "body": "<title>Sign in</title>"},
}


@pytest.mark.parametrize("effect", PASSING.values(), ids=PASSING)
def test_trouble_ends_nothing(effect: dict[str, Any], memory: Memory, desk: Desk) -> None:
    loaded = load()
    desk.break_next(effect, BATCHES, times=4, method="GET")
    assert asyncio.run(events_of(trigger(memory), 1)) == loaded


def test_trouble_slows_the_poll_down(memory: Memory, desk: Desk) -> None:
    desk.break_next({"status": 503}, BATCHES, times=None)

    async def act() -> int:
        async with running(trigger(memory, poll_interval=0.1)):
            await asyncio.sleep(1.5)
        return len(desk.sent("GET", BATCHES))

    assert 2 <= asyncio.run(act()) <= 8


def test_a_connection_that_is_put_right_is_picked_up(
    memory: Memory, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load()
    right = desk.emulator.connection
    monkeypatch.setenv(VARIABLE, json.dumps({**right, "extra": {}}))

    async def act() -> list[str]:
        async with running(trigger(memory)) as events:
            await asyncio.sleep(0.1)
            assert not events
            monkeypatch.setenv(VARIABLE, json.dumps(right))
            await until(lambda: events)
        return ids(events)

    assert asyncio.run(act()) == loaded


def test_triggers_of_one_connection_share_one_poll(memory: Memory, desk: Desk) -> None:
    profiles, views = load(), load(1, PAGE_VIEWS)
    desk.forget()
    theirs = Memory()

    async def act() -> tuple[list[str], list[str], list[Sent]]:
        async with (
            running(trigger(memory, poll_interval=0.1)) as ours,
            running(trigger(theirs, PAGE_VIEWS, poll_interval=0.1)) as others,
        ):
            await until(lambda: ours and others)
            desk.forget()
            await asyncio.sleep(1)
            # Read here: once one of them has gone, there may be a look for the other alone.
            return ids(ours), ids(others), desk.sent("GET", BATCHES)

    *given, asked = asyncio.run(act())
    assert given == [profiles, views]
    assert len({sent.connection for sent in asked}) == 1
    assert 3 <= len(asked) <= 11
    assert {sent.query["dataSet"] for sent in asked} == {",".join(sorted([CRM_PROFILES, PAGE_VIEWS]))}


def test_the_others_go_on_when_one_is_cancelled(memory: Memory, desk: Desk) -> None:
    async def act() -> list[str]:
        async with running(trigger(memory)) as ours:
            async with running(trigger(Memory(), PAGE_VIEWS)):
                await asyncio.sleep(0.1)
            await asyncio.to_thread(load)
            await until(lambda: ours)
        return ids(ours)

    assert len(asyncio.run(act())) == 1


def test_the_last_one_to_go_leaves_nothing_behind(memory: Memory, desk: Desk) -> None:
    async def act() -> set[str]:
        async with running(trigger(memory)), running(trigger(Memory(), PAGE_VIEWS)):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.05)
        return {str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    before = dict(streams._boards)
    assert asyncio.run(act()) == set()
    assert streams._boards == before


def test_what_is_stored_makes_the_same_trigger_again_and_holds_no_secret(memory: Memory, desk: Desk) -> None:
    load()
    made = trigger(memory, dag_id="d", sandbox_name="dev", since=datetime(2020, 1, 1, tzinfo=UTC))
    assert restored(made).serialize() == made.serialize()
    asyncio.run(events_of(trigger(memory), 1))
    for stored in (json.dumps(made.serialize()), json.dumps(memory.kept)):
        assert not [secret for secret in (LOCAL_SECRET, *desk.emulator.issued_tokens) if secret in stored]


def test_nothing_that_is_logged_is_a_secret(
    memory: Memory, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    load()
    desk.break_next({"status": 401, "body": {"message": LOCAL_SECRET}}, BATCHES, times=2, method="GET")
    asyncio.run(events_of(trigger(memory), 1))
    assert "Could not look for new batches" in caplog.text
    assert LOCAL_SECRET not in caplog.text


@pytest.mark.parametrize(
    "arguments", [{"poll_interval": 0}, {"poll_interval": -1}, {"since": "soon"}], ids=str
)
def test_what_makes_no_sense_is_refused_in_the_dag_file(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}: got"):
        DatasetBatchEventTrigger(dataset_id=CRM_PROFILES, **arguments)


def test_notes_go_to_all_assets_of_a_trigger() -> None:
    assets = {"a": Memory(), "b": Memory()}
    accessors = type("Accessors", (), {"_by_name": assets})()
    kept = notes.AssetNotes(accessors, "n")

    async def act() -> Any:
        assert await kept.read() is None
        await kept.write({"x": 1})
        assets["a"].kept.clear()
        return await kept.read()

    assert asyncio.run(act()) == {"x": 1}
