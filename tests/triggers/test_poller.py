"""The triggers that wait through one connection share one poll, and each has its own wait."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from desk import BATCHES, LOCAL_SECRET, Desk
from strange_catalog import Reply, StrangeCatalog, refused, shown, strange_catalog, unknown
from tasks import first_event

from airflow_provider_catalog.api.auth import ImsAuth, forget_tokens
from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.look_ups import IDS_PER_REQUEST
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.ingest import watch
from airflow_provider_catalog.triggers import access, poller
from airflow_provider_catalog.triggers.batch import BatchTrigger, Outcome
from airflow_provider_catalog.triggers.waits import Wait

VARIABLE = "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"
LONG = 3600.0
PATIENCE = 30.0

Events = dict[str, dict[str, Any]]


def trigger(batch_id: str, **arguments: Any) -> BatchTrigger:
    known: dict[str, Any] = {
        "catalog_conn_id": "adobe_catalog_default",
        "sandbox_name": None,
        "poll_interval": 0.2,
        "stalled_grace": LONG,
        "max_unreachable": LONG,
        "deadline": time.time() + PATIENCE,
    }
    return BatchTrigger(batch_id=batch_id, **{**known, **arguments})


async def waiting(*triggers: BatchTrigger) -> list[asyncio.Task[Any]]:
    """Start triggers, as a triggerer does: each in a task of its own."""
    tasks = [asyncio.create_task(first_event(each)) for each in triggers]
    await asyncio.sleep(0)
    return tasks


def events_of(*triggers: BatchTrigger) -> Events:
    """Run triggers together until each has given its event."""

    async def run() -> Events:
        events = await asyncio.gather(*await waiting(*triggers))
        return {each.batch_id: event for each, event in zip(triggers, events, strict=True)}

    return asyncio.run(run())


def connect_to(catalog: StrangeCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the default connection lead to a Catalog of the test's own."""
    extra = {
        "ims_org_id": "0123456789ABCDEF01234567@AdobeOrg",
        "sandbox_name": "dev",
        "access_token": "ready",
    }
    connection = {"conn_type": "adobe_catalog", "host": catalog.url, "login": "client", "extra": extra}
    monkeypatch.setenv(VARIABLE, json.dumps(connection))


async def until(condition: Any) -> None:
    """Wait for what will be true soon."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """End triggers before they have given their events."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def spoilt_by_the_first(ids: Sequence[str]) -> Reply:
    """Fail whenever the first batch is asked for."""
    return (500, {"title": "internal error"}) if "B0" in ids else shown(ids)


def seen(desk: Desk) -> set[str]:
    """Give the ids of the batches that the emulator has shown."""
    looks = [look for look in desk.sent("GET", f"{BATCHES}*") if look.status == 200]
    return {
        each for look in looks for each in look.query.get("batch", look.path.rpartition("/")[2]).split(",")
    }


def open_polls() -> int:
    return sum(len(polls) for polls in poller._pollers.values())


class TestTheWaitsOfOneConnection:
    def test_share_their_requests_one_connection_and_one_token(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(150)]
        forget_tokens()
        started, interval, rounds = time.time(), 1.0, 4
        events = events_of(
            *(trigger(each, poll_interval=interval, deadline=started + rounds * interval) for each in ids)
        )
        assert {event["outcome"] for event in events.values()} == {Outcome.TIMED_OUT}
        looks = desk.sent("GET", f"{BATCHES}*")
        full = -(-len(ids) // IDS_PER_REQUEST)
        # One more in each round where waits that began apart are not together yet, and the last looks at the deadline.
        assert len(looks) <= rounds * (full + 1) + full
        assert len({look.connection for look in looks}) == 1
        assert len(desk.sent(path="/ims/*")) == 1

    def test_are_looked_at_at_times_that_lie_apart(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(4 * IDS_PER_REQUEST)]
        moments = []

        class Noting(CatalogClient):
            def _read(self, *arguments: Any, **named: Any) -> Any:
                moments.append(time.monotonic())
                return super()._read(*arguments, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("airflow_provider_catalog.api.client.CatalogClient", Noting)
            events_of(*(trigger(each, poll_interval=2.0, deadline=time.time() + 2.0) for each in ids))
        assert len(moments) >= 4
        assert moments[3] - moments[0] > 0.5

    def test_ask_only_for_what_is_needed(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(3)]
        events_of(*(trigger(each, deadline=time.time() + 0.5) for each in ids))
        combined = [look for look in desk.sent("GET", BATCHES) if "batch" in look.query]
        assert combined
        assert {look.query["properties"] for look in combined} == {"status,updated"}

    def test_come_to_different_ends(self, desk: Desk) -> None:
        good = desk.open_batch("success", metrics={"inputRecordCount": 3})
        bad = desk.open_batch("failed", errors=[{"code": "INGEST-1401-400", "description": "Bad rows."}])
        slow, stalled = desk.open_batch("staging"), desk.open_batch("stalled")
        events = events_of(
            trigger(good),
            trigger(bad),
            trigger(slow, deadline=time.time() + 1),
            trigger(stalled, stalled_grace=0),
        )
        assert {batch_id: event["outcome"] for batch_id, event in events.items()} == {
            good: Outcome.PROMOTED,
            bad: Outcome.FAILED,
            slow: Outcome.TIMED_OUT,
            stalled: Outcome.FAILED,
        }
        assert events[good]["summary"]["records_read"] == 3
        assert "Bad rows." in events[bad]["message"]

    def test_keep_their_own_intervals(self, desk: Desk) -> None:
        quick, calm = desk.open_batch("staging"), desk.open_batch("staging")
        end = time.time() + 2.5
        events_of(
            trigger(quick, poll_interval=0.1, deadline=end), trigger(calm, poll_interval=LONG, deadline=end)
        )
        looks = desk.sent("GET", f"{BATCHES}*")
        for_calm = [look for look in looks if calm in look.query.get("batch", look.path)]
        assert len(looks) >= 5
        assert len(for_calm) <= 2, "one whose turn happens to be near, and the last one at the deadline"

    def test_may_be_for_the_same_batch(self, desk: Desk) -> None:
        batch_id = desk.open_batch("success")

        async def both() -> list[Any]:
            return await asyncio.gather(*await waiting(trigger(batch_id), trigger(batch_id)))

        assert [event["outcome"] for event in asyncio.run(both())] == [Outcome.PROMOTED] * 2

    def test_write_to_the_logs_of_their_own_tasks(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        task = contextvars.ContextVar("task", default="nobody")
        told: list[tuple[str, str]] = []

        class Noting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                told.append((task.get(), record.getMessage()))

        async def wait(batch_id: str) -> None:
            task.set(f"task of {batch_id}")
            await first_event(trigger(batch_id, deadline=time.time() + 0.5))

        async def run(ids: Sequence[str]) -> None:
            await asyncio.gather(*(wait(each) for each in ids))

        ids = [desk.open_batch("staging") for _ in range(3)]
        caplog.set_level(logging.INFO)
        watch.log.addHandler(handler := Noting())
        try:
            asyncio.run(run(ids))
        finally:
            watch.log.removeHandler(handler)
        assert sorted(told) == sorted((f"task of {each}", f"Batch {each} is staging.") for each in ids)

    def test_have_a_token_masked_once(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        masked = []
        mask_token = access.mask_token

        async def counted(client: CatalogClient, before: str | None) -> str:
            token = await mask_token(client, before)
            masked.append(token)
            return token

        monkeypatch.setattr(poller, "mask_token", counted)
        events_of(*(trigger(desk.open_batch("staging"), deadline=time.time() + 1) for _ in range(5)))
        assert len(masked) == 1

    def test_do_not_use_a_token_before_it_is_masked(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        mask_token = access.mask_token

        async def noted(client: CatalogClient, before: str | None) -> str:
            token = await mask_token(client, before)
            steps.append(f"masked {token}")
            return token

        monkeypatch.setattr(poller, "mask_token", noted)
        batch_id = desk.open_batch("staging")

        async def run() -> None:
            (task,) = await waiting(trigger(batch_id, poll_interval=0.1))
            await until(lambda: len(steps) == 1)
            await until(lambda: desk.looks() >= 1)
            forget_tokens()
            await until(lambda: len(steps) == 2)
            desk.hold(batch_id, "success")
            assert (await task)["outcome"] == Outcome.PROMOTED

        asyncio.run(run())
        assert len(set(steps)) == 2

    def test_of_another_sandbox_have_another_poll(self, desk: Desk) -> None:
        async def run() -> int:
            tasks = await waiting(
                *(trigger(desk.open_batch("staging"), sandbox_name=name) for name in (None, "prod", "dev"))
            )
            count = open_polls()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            return count

        assert asyncio.run(run()) == 3

    def test_go_on_when_the_clock_is_put_back(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        batch_id = desk.open_batch("staging")

        async def run() -> Any:
            (task,) = await waiting(trigger(batch_id, deadline=time.time() + LONG))
            await until(desk.looks)
            wall_clock = time.time
            monkeypatch.setattr(time, "time", lambda: wall_clock() - LONG)
            desk.hold(batch_id, "success")
            async with asyncio.timeout(PATIENCE):
                return await task

        assert asyncio.run(run())["outcome"] == Outcome.PROMOTED


class TestAWaitThatGoes:
    def test_leaves_the_others_alone(self, desk: Desk) -> None:
        gone, stays = desk.open_batch("staging"), desk.open_batch("staging")

        async def run() -> Any:
            first, second = await waiting(trigger(gone), trigger(stays))
            await until(lambda: desk.sent("GET", f"{BATCHES}*"))
            first.cancel()
            await asyncio.wait([first])
            desk.forget()
            await until(desk.looks)
            desk.hold(stays, "success")
            return await second

        assert asyncio.run(run())["outcome"] == Outcome.PROMOTED
        assert not [look for look in desk.sent("GET", f"{BATCHES}*") if gone in look.path]

    def test_hands_on_its_errand(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        batch_id = desk.open_batch("success")
        connect = CatalogHook.connect
        reading: list[asyncio.Task[Any] | None] = []

        async def slow_at_first(hook: CatalogHook) -> CatalogClient:
            reading.append(asyncio.current_task())
            if len(reading) == 1:
                await asyncio.sleep(LONG)
            return await connect(hook)

        monkeypatch.setattr(CatalogHook, "connect", slow_at_first)

        async def run() -> list[Any]:
            tasks = await waiting(*(trigger(batch_id) for _ in range(3)))
            await until(lambda: reading)
            stuck = next(task for task in tasks if task is reading[0])
            stuck.cancel()
            return await asyncio.gather(*(task for task in tasks if task is not stuck))

        assert [event["outcome"] for event in asyncio.run(run())] == [Outcome.PROMOTED] * 2
        assert len(reading) == 2

    def test_hands_on_an_errand_of_which_it_has_not_heard(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = [desk.open_batch("success") for _ in range(2)]
        tasks: dict[str, asyncio.Task[Any]] = {}
        chosen: list[str] = []

        def cancelled_when_chosen(waits: Sequence[Wait]) -> Wait:
            chosen.append(waits[0].batch_id)
            if len(chosen) == 1:
                tasks[chosen[0]].cancel()
            return waits[0]

        monkeypatch.setattr(poller.random, "choice", cancelled_when_chosen)

        async def run() -> Any:
            tasks.update(zip(ids, await waiting(*map(trigger, ids)), strict=True))
            await until(lambda: len(chosen) == 2)
            return await tasks[chosen[1]]

        assert asyncio.run(run())["outcome"] == Outcome.PROMOTED

    def test_takes_the_poll_with_it_if_it_is_the_last(self, desk: Desk) -> None:
        batch_id = desk.open_batch("staging")

        async def run() -> None:
            tasks = await waiting(trigger(batch_id), trigger(batch_id))
            await until(lambda: desk.sent("GET", f"{BATCHES}*"))
            assert open_polls() == 1
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert open_polls() == 0
            await until(lambda: len(asyncio.all_tasks()) == 1)
            await until(lambda: not [one for one in threading.enumerate() if "catalog-poll" in one.name])

        asyncio.run(run())

    def test_is_followed_by_another_poll(self, desk: Desk) -> None:
        first, second = desk.open_batch("success"), desk.open_batch("success")

        async def run() -> list[Any]:
            return [await first_event(trigger(each)) for each in (first, second)]

        assert [event["outcome"] for event in asyncio.run(run())] == [Outcome.PROMOTED] * 2


class TestABatchThatIsNotShown:
    def test_does_not_hide_the_others_and_fails_if_that_lasts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "REFUSAL_GRACE", 0.5)
        with strange_catalog(lambda ids: shown([each for each in ids if each != "B0"]), unknown) as catalog:
            connect_to(catalog, monkeypatch)
            events = events_of(*(trigger(f"B{n}", deadline=time.time() + 2) for n in range(4)))
        assert {events[f"B{n}"]["outcome"] for n in (1, 2, 3)} == {Outcome.TIMED_OUT}
        assert events["B0"]["outcome"] == Outcome.FAILED
        assert "404" in events["B0"]["message"]

    def test_may_be_deleted_in_the_middle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "REFUSAL_GRACE", 0.5)
        gone: set[str] = set()

        def remaining(ids: Sequence[str]) -> Reply:
            return shown([each for each in ids if each not in gone])

        with strange_catalog(remaining, unknown) as catalog:
            connect_to(catalog, monkeypatch)

            async def run() -> tuple[Any, bool]:
                deleted, other = await waiting(*(trigger(each) for each in ("B0", "B1")))
                await until(lambda: len(catalog.asked) >= 2)
                catalog.single = lambda ids: unknown(ids) if ids == ["B0"] else shown(ids)
                gone.add("B0")
                event = await deleted
                return event, (other.cancel() and not other.done())

            event, other_waits = asyncio.run(run())
        assert event["outcome"] == Outcome.FAILED
        assert other_waits

    def test_may_be_one_whose_record_makes_no_sense(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def senseless(ids: Sequence[str]) -> Reply:
            return 200, {each: [] if each == "B0" else {"status": "success"} for each in ids}

        with strange_catalog(senseless, senseless) as catalog:
            connect_to(catalog, monkeypatch)
            events = events_of(trigger("B0", max_unreachable=1.0), *(trigger(f"B{n}") for n in (1, 2, 3)))
        assert events["B0"]["outcome"] == Outcome.LOST_SIGHT
        assert {events[f"B{n}"]["outcome"] for n in (1, 2, 3)} == {Outcome.PROMOTED}

    def test_is_found_alone_where_the_platform_refuses_combined_look_ups(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with strange_catalog(refused, lambda ids: shown(ids, "success")) as catalog:
            connect_to(catalog, monkeypatch)
            events = events_of(*(trigger(f"B{n}") for n in range(5)))
        assert {event["outcome"] for event in events.values()} == {Outcome.PROMOTED}


class TestABatchThatMakesThePlatformFail:
    def test_is_soon_looked_at_alone_and_takes_no_other_down(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with strange_catalog(spoilt_by_the_first, spoilt_by_the_first) as catalog:
            connect_to(catalog, monkeypatch)
            others = {f"B{n}" for n in range(1, IDS_PER_REQUEST)}

            async def run() -> None:
                tasks = await waiting(
                    *(trigger(each, deadline=time.time() + LONG) for each in {*others, "B0"})
                )
                await until(lambda: catalog.asked.count(["B0"]) >= 4)
                await ended(*tasks)

            asyncio.run(run())
        spoilt = [ids for ids in catalog.asked if "B0" in ids and ids != ["B0"]]
        well = [ids for ids in catalog.asked if "B0" not in ids]
        assert len(spoilt) <= 3, (
            "one with all that were together, one with some, and perhaps one with a few that began apart"
        )
        assert others == {each for ids in well for each in ids}
        told = [record for record in caplog.records if "goes on in" in record.getMessage()]
        assert len(told) <= len(spoilt) + 1, "what befalls one batch alone is not told to all"


class TestTrouble:
    @pytest.mark.parametrize(
        "effect",
        [{"status": 429}, {"status": 503}, {"status": 500}, {"drop": "before"}, {"truncate": 3}],
        ids=str,
    )
    def test_wakes_no_task(self, effect: dict[str, Any], desk: Desk) -> None:
        ids = [desk.open_batch("success") for _ in range(5)]
        desk.break_next(effect, f"{BATCHES}*", times=3)
        events = events_of(*(trigger(each, poll_interval=0.1) for each in ids))
        assert {event["outcome"] for event in events.values()} == {Outcome.PROMOTED}

    def test_slows_the_poll_down(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(5)]
        desk.break_next({"status": 500}, f"{BATCHES}*", times=None)
        events_of(*(trigger(each, poll_interval=0.1, deadline=time.time() + 2) for each in ids))
        assert 3 <= len(desk.sent("GET", f"{BATCHES}*")) <= 6, "0.1, 0.2, 0.4, 0.8 seconds lie between them"

    def test_that_is_over_leaves_no_one_alone_for_long(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(2 * IDS_PER_REQUEST)]
        outage = 6

        async def run() -> None:
            desk.break_next({"status": 503}, f"{BATCHES}*", times=outage)
            tasks = await waiting(*(trigger(each, deadline=time.time() + LONG) for each in ids))
            await until(lambda: len(seen(desk)) == len(ids))
            desk.forget()
            await until(lambda: len(seen(desk)) == len(ids))
            await ended(*tasks)

        asyncio.run(run())
        assert len(desk.sent("GET", f"{BATCHES}*")) <= 10

    def test_is_not_asked_about_before_the_platform_allows_it(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(5)]
        desk.break_next({"status": 429, "headers": {"Retry-After": "60"}}, f"{BATCHES}*", times=None)
        began = time.time()
        events = events_of(*(trigger(each, poll_interval=0.1, deadline=began + 2) for each in ids))
        assert len(desk.sent("GET", f"{BATCHES}*")) == 1
        assert {event["outcome"] for event in events.values()} == {Outcome.TIMED_OUT}
        assert time.time() - began < 2 + poller.LAST_LOOK_SECONDS / 2, (
            "nobody waits for a look that won't come"
        )

    def test_that_lasts_beyond_the_deadline_is_named(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(3)]
        desk.break_next({"status": 503}, f"{BATCHES}*", times=None)
        events = events_of(*(trigger(each, poll_interval=0.1, deadline=time.time() + 1) for each in ids))
        for batch_id, event in events.items():
            assert event["outcome"] == Outcome.TIMED_OUT
            assert f"Batch {batch_id} was not promoted within the sensor's timeout." in event["message"]
            assert "Nothing useful was heard of it since" in event["message"]
            assert "503" in event["message"]

    def test_that_lasts_too_long_ends_also_waits_that_were_not_looked_at(self, desk: Desk) -> None:
        ids = [desk.open_batch("staging") for _ in range(3 * IDS_PER_REQUEST)]
        desk.break_next({"status": 503}, f"{BATCHES}*", times=None)
        events = events_of(*(trigger(each, poll_interval=0.1, max_unreachable=0.5) for each in ids))
        assert {event["outcome"] for event in events.values()} == {Outcome.LOST_SIGHT}

    def test_is_no_news_when_nobody_waits_any_more(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        batch_id = desk.open_batch("staging")
        desk.break_next({"status": 503}, f"{BATCHES}*", times=None)
        events = events_of(trigger(batch_id, max_unreachable=0))
        assert events[batch_id]["outcome"] == Outcome.LOST_SIGHT
        assert "Could not look at batches" not in caplog.text

    def test_with_one_strange_answer_is_borne_until_the_answers_are_in_order(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def mistaken(look_ups: Any, ids: Sequence[str]) -> Any:
            asked.append(ids)
            if len(asked) == 1:
                raise ZeroDivisionError
            return call_roll(look_ups, ids)

        call_roll = poller.call_roll
        monkeypatch.setattr(poller, "call_roll", mistaken)
        with strange_catalog(lambda ids: shown(ids, "success"), lambda ids: shown(ids, "success")) as catalog:
            connect_to(catalog, monkeypatch)
            events = events_of(*(trigger(f"B{n}") for n in range(3)))
        assert {event["outcome"] for event in events.values()} == {Outcome.PROMOTED}

    def test_with_an_answer_that_never_ends_is_trouble_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(access, "LOOK_SECONDS", 0.3)
        over = threading.Event()

        def stuck(ids: Sequence[str]) -> Reply:
            over.wait(PATIENCE)
            return shown(ids)

        with strange_catalog(stuck, stuck) as catalog:
            connect_to(catalog, monkeypatch)
            try:
                events = events_of(*(trigger(f"B{n}", max_unreachable=1.0) for n in range(3)))
            finally:
                over.set()
        assert {event["outcome"] for event in events.values()} == {Outcome.LOST_SIGHT}
        assert "within" in events["B0"]["message"]

    def test_with_an_answer_that_never_ends_is_over_when_the_platform_answers_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(access, "LOOK_SECONDS", 1.0)
        over = threading.Event()
        asked = []

        def stuck_at_first(ids: Sequence[str]) -> Reply:
            asked.append(ids)
            if len(asked) == 1:
                over.wait(2 * PATIENCE)
            return shown(ids, "success")

        with strange_catalog(stuck_at_first, stuck_at_first) as catalog:
            connect_to(catalog, monkeypatch)
            try:
                events = events_of(*(trigger(f"B{n}") for n in range(3)))
            finally:
                over.set()
        assert {event["outcome"] for event in events.values()} == {Outcome.PROMOTED}

    def test_of_the_identity_service_is_borne(self, desk: Desk) -> None:
        ids = [desk.open_batch("success") for _ in range(3)]
        forget_tokens()
        desk.break_next({"status": 503}, "/ims/*", times=2)
        events = events_of(*(trigger(each, poll_interval=0.1) for each in ids))
        assert {event["outcome"] for event in events.values()} == {Outcome.PROMOTED}

    def test_in_masking_a_token_is_borne(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokens = []

        def failing_once(secret: str) -> None:
            if secret != LOCAL_SECRET:
                tokens.append(secret)
                if len(tokens) == 1:
                    raise RuntimeError(f"could not send {secret}")

        batch_id = desk.open_batch("success")
        monkeypatch.setattr("airflow.providers.common.compat.sdk.mask_secret", failing_once)
        assert events_of(trigger(batch_id, poll_interval=0.1))[batch_id]["outcome"] == Outcome.PROMOTED
        assert len(tokens) == 2
        assert tokens[0] not in caplog.text

    def test_has_the_connection_read_anew(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        ids = [desk.open_batch("staging") for _ in range(3)]

        async def run() -> list[Any]:
            tasks = await waiting(*(trigger(each, poll_interval=0.1) for each in ids))
            await until(lambda: desk.sent("GET", f"{BATCHES}*"))
            desk.set(client_secret="rotated")
            desk.expire_tokens()
            await asyncio.sleep(0.5)
            changed = {**desk.emulator.connection, "password": "rotated"}
            monkeypatch.setenv(VARIABLE, json.dumps(changed))
            for each in ids:
                desk.hold(each, "success")
            return await asyncio.gather(*tasks)

        try:
            assert [event["outcome"] for event in asyncio.run(run())] == [Outcome.PROMOTED] * 3
        finally:
            desk.set(client_secret=LOCAL_SECRET)

    def test_does_not_break_a_connection_that_has_not_changed(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = [desk.open_batch("staging") for _ in range(3)]
        desk.break_next({"status": 503}, f"{BATCHES}*", times=2, skip=1)
        events_of(*(trigger(each, poll_interval=0.1, deadline=time.time() + 2) for each in ids))
        looks = desk.sent("GET", f"{BATCHES}*")
        assert len(looks) > 4
        assert len({look.connection for look in looks}) == 1


def test_a_batch_id_that_is_none_fails_at_once(desk: Desk) -> None:
    event = events_of(trigger("not/an id"))["not/an id"]
    assert event["outcome"] == Outcome.FAILED
    assert "not/an id" in event["message"]
    assert desk.sent() == []


def test_tokens_do_not_wait_for_answers_to_other_triggers(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    over = threading.Event()

    async def run() -> Any:
        stuck = [asyncio.create_task(access.CALLS.run(over.wait)) for _ in range(access.THREADS)]
        try:
            return await first_event(trigger(batch_id))
        finally:
            over.set()
            await asyncio.wait(stuck)

    assert asyncio.run(run())["outcome"] == Outcome.PROMOTED


def test_tokens_are_fetched_off_the_event_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    get_token = ImsAuth.token

    def noted(auth: ImsAuth) -> str:
        threads.add(threading.current_thread())
        return get_token(auth)

    batch_id = desk.open_batch("success")
    monkeypatch.setattr(ImsAuth, "token", noted)
    events_of(trigger(batch_id))
    assert threads
    assert threading.main_thread() not in threads
