"""`DatasetBatchEventTrigger` in the stream that Airflow 3.3 shares between triggers, with the part of Airflow that does so."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from desk import BATCHES, CRM_PROFILES, PAGE_VIEWS, Desk

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers import follower, streams
from airflow_provider_catalog.triggers.dataset import DatasetBatchEventTrigger

shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="needs Airflow 3.3")


@pytest.fixture(autouse=True)
def _in_a_hurry(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.set(empty_batch="success", promotion_seconds=0)
    monkeypatch.setattr(streams, "TICK", 0.01)
    monkeypatch.setattr(follower, "EVENT_GAP", 0.0)
    monkeypatch.setattr(follower, "SETTLE_SECONDS", 0.0)  # of no account where Airflow tells


class Store:
    """Stands for the state store of an asset."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.kept[key] = value

    @property
    def done(self) -> set[str]:
        return {batch_id for state in self.kept.values() for batch_id in state["done"]}


class SlowStore(Store):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = False
        self.may_answer = asyncio.Event()

    async def aget(self, key: str, default: Any = None) -> Any:
        self.is_asked = True
        await self.may_answer.wait()
        return await super().aget(key, default)


class Triggerer:
    """Runs triggers as Airflow's does, up to the point where events are stored, which is the test's to do."""

    def __init__(self) -> None:
        self.manager = shared_stream.SharedStreamManager()
        self.events: list[tuple[str, int | None]] = []
        self._ids = itertools.count(1)

    @asynccontextmanager
    async def running(self, store: Store, dataset_id: str) -> AsyncIterator[asyncio.Task[None]]:
        trigger = DatasetBatchEventTrigger(dataset_id=dataset_id, since="2020-01-01", poll_interval=0.05)
        trigger.asset_state_store = store
        task = asyncio.create_task(self._run(next(self._ids), trigger))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, trigger_id: int, trigger: Any) -> None:
        key = trigger.shared_stream_key()
        try:
            looks = self.manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
            async for event in trigger.filter_shared_stream(looks):
                seq = self.manager.bind_pending_event(trigger_id=trigger_id, key=key)
                self.events.append((event.payload["batch_id"], seq))
        finally:
            await self.manager.unsubscribe(trigger_id, key)

    def store_events(self) -> None:
        self.manager.confirm_persisted([seq for _, seq in self.events if seq is not None])

    @property
    def given(self) -> list[str]:
        return [batch_id for batch_id, _ in self.events]


def load(dataset_id: str = CRM_PROFILES) -> str:
    client = CatalogHook().client
    batch_id = client.create_batch({"datasetId": dataset_id, "inputFormat": {"format": "json"}})
    client.complete_batch(batch_id)
    client.close()
    return batch_id


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_an_event_is_noted_when_airflow_has_stored_it_and_then_comes_the_next(desk: Desk) -> None:
    loaded, store = {load(), load()}, Store()

    async def act() -> None:
        triggerer = Triggerer()
        async with triggerer.running(store, CRM_PROFILES):
            await until(lambda: triggerer.events)
            await asyncio.sleep(0.2)
            assert (len(triggerer.events), store.done) == (1, set())
            triggerer.store_events()
            await until(lambda: len(triggerer.events) == 2)
            assert store.done == {triggerer.given[0]}
            triggerer.store_events()
            await until(lambda: store.done == loaded)
        assert set(triggerer.given) == loaded

    asyncio.run(act())


def test_an_event_that_airflow_has_not_stored_is_given_again_by_the_next_triggerer(desk: Desk) -> None:
    batch_id, store = load(), Store()

    async def act() -> list[str]:
        triggerer = Triggerer()
        async with triggerer.running(store, CRM_PROFILES):
            await until(lambda: triggerer.events)
        return triggerer.given

    assert [asyncio.run(act()), asyncio.run(act())] == [[batch_id], [batch_id]]


def test_two_datasets_share_one_poll(desk: Desk) -> None:
    loaded = {load(), load(PAGE_VIEWS)}

    async def act() -> None:
        triggerer = Triggerer()
        async with (
            triggerer.running(Store(), CRM_PROFILES),
            triggerer.running(Store(), PAGE_VIEWS),
        ):
            await until(lambda: len(triggerer.events) == 2)
            triggerer.store_events()
            desk.forget()
            await asyncio.sleep(0.5)
        assert set(triggerer.given) == loaded

    asyncio.run(act())
    asked = desk.sent("GET", BATCHES)
    assert 3 <= len(asked) <= 11
    assert {sent.query["dataSet"] for sent in asked} == {",".join(sorted([CRM_PROFILES, PAGE_VIEWS]))}


def test_a_dataset_that_replaces_another_one_keeps_the_poll_for_those_that_come_later(desk: Desk) -> None:
    loaded = {load(PAGE_VIEWS), load()}

    async def act() -> None:
        triggerer, slow = Triggerer(), SlowStore()
        async with triggerer.running(Store(), "5c8c3c555033b814b69f9480") as replaced:
            await until(lambda: desk.sent("GET", BATCHES))
            async with triggerer.running(slow, PAGE_VIEWS):
                await until(lambda: slow.is_asked)
                replaced.cancel()
                await until(replaced.done)
                slow.may_answer.set()
                await until(lambda: len(triggerer.events) == 1)
                triggerer.store_events()
                async with triggerer.running(Store(), CRM_PROFILES):
                    await until(lambda: set(triggerer.given) == loaded)
        assert streams._boards == {}

    asyncio.run(act())


def test_trouble_ends_neither_the_stream_nor_its_triggers(desk: Desk) -> None:
    batch_id = load()
    desk.break_next({"status": 503}, BATCHES, times=3, method="GET")

    async def act() -> list[str]:
        triggerer = Triggerer()
        async with triggerer.running(Store(), CRM_PROFILES) as task:
            await until(lambda: triggerer.events)
            assert not task.done()
        return triggerer.given

    assert asyncio.run(act()) == [batch_id]
