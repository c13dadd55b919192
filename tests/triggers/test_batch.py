"""`BatchTrigger` waits without a worker: it survives restarts, never hurries, and keeps no secret."""

import asyncio
import gc
import inspect
import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from desk import BATCHES, CRM_PROFILES, LOCAL_SECRET, Desk
from tasks import fire, first_event, restored

from airflow_provider_catalog.api.auth import ImsAuth, forget_tokens
from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers.batch import BatchTrigger, Outcome

VARIABLE = "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"
REFUSED_TOKEN = {"status": 401, "body": {"error_code": "401013", "message": "Oauth token is not valid"}}
LOGIN_PAGE = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<title>Sign in</title>"}


def trigger(batch_id: str, **arguments: Any) -> BatchTrigger:
    known: dict[str, Any] = {
        "catalog_conn_id": "adobe_catalog_default",
        "sandbox_name": None,
        "poll_interval": 0.02,
        "stalled_grace": 3600,
        "max_unreachable": 1800,
        "deadline": time.time() + 20,
    }
    return BatchTrigger(batch_id=batch_id, **{**known, **arguments})


def test_what_is_stored_makes_the_same_trigger_again() -> None:
    arguments: dict[str, Any] = {
        "batch_id": "b",
        "catalog_conn_id": "c",
        "sandbox_name": "dev",
        "poll_interval": 1.5,
        "stalled_grace": 2.5,
        "max_unreachable": 3.5,
        "deadline": 4.5,
        "hard_deadline": 5.5,
        "abort_on_kill": True,
    }
    stored = BatchTrigger(**arguments)
    assert stored.serialize() == ("airflow_provider_catalog.triggers.batch.BatchTrigger", arguments)
    assert restored(stored).serialize() == stored.serialize()


def test_every_argument_is_stored() -> None:
    parameters = inspect.signature(BatchTrigger.__init__).parameters
    assert set(parameters) - {"self"} == set(trigger("b").serialize()[1])


def test_nothing_that_is_stored_is_a_secret(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    waiting = trigger(batch_id)
    fire(waiting)
    stored = json.dumps(waiting.serialize())
    assert desk.emulator.issued_tokens
    assert not [secret for secret in (LOCAL_SECRET, *desk.emulator.issued_tokens) if secret in stored]


ENDS: dict[str, tuple[str, dict[str, Any], Outcome]] = {
    "promoted": ("success", {}, Outcome.PROMOTED),
    "failed": ("failed", {}, Outcome.FAILED),
    "stalled for too long": ("stalled", {"stalled_grace": 0}, Outcome.FAILED),
    "out of time": ("staging", {"deadline": 0}, Outcome.TIMED_OUT),
    "stopped": ("staging", {"hard_deadline": 0}, Outcome.STOPPED),
}


@pytest.mark.parametrize(("status", "arguments", "outcome"), ENDS.values(), ids=ENDS)
def test_the_event_says_how_it_ended_and_names_the_batch(
    status: str, arguments: dict[str, Any], outcome: Outcome, desk: Desk
) -> None:
    batch_id = desk.open_batch(status, metrics={"inputRecordCount": 3})
    event = fire(trigger(batch_id, **arguments))
    assert set(event) == {"outcome", "message", "summary", "origin"}
    assert event["outcome"] == outcome.value
    assert batch_id in event["message"]
    ended = outcome in (Outcome.PROMOTED, Outcome.FAILED)
    assert (event["summary"] or {}).get("records_read") == (3 if ended else None)
    assert (event["origin"] or {}).get("dataset_ids") == ([CRM_PROFILES] if ended else None)


def test_batches_that_are_waited_for_together_tell_where_they_come_from(desk: Desk) -> None:
    opening = {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}}
    client = CatalogHook().client
    names = {client.create_batch({**opening, "externalId": name}): name for name in ("one", "two")}

    async def events() -> list[Any]:
        together = asyncio.gather(*(first_event(trigger(batch_id)) for batch_id in names))
        while len(desk.sent("GET", f"{BATCHES}*")) < 4:
            await asyncio.sleep(0.02)
        for batch_id in names:
            client.complete_batch(batch_id)
        desk.advance(3600)
        return await together

    for event in asyncio.run(events()):
        completed = desk.batch(event["summary"]["id"])["completed"] / 1000
        assert event["origin"] == {
            "external_id": names[event["summary"]["id"]],
            "completed": completed,
            "dataset_ids": [CRM_PROFILES],
        }


def test_it_gives_one_event_only(desk: Desk) -> None:
    async def all_events(waiting: BatchTrigger) -> list[Any]:
        return [event async for event in waiting.run()]

    assert len(asyncio.run(all_events(trigger(desk.open_batch("success"))))) == 1


def test_a_restart_does_not_move_the_deadline(desk: Desk) -> None:
    batch_id = desk.open_batch("staging")
    stored = trigger(batch_id, deadline=time.time() + 0.6)
    asyncio.run(killed_after(0.3, restored(stored)))
    began = time.time()
    assert fire(stored)["outcome"] == Outcome.TIMED_OUT
    assert time.time() - began < 0.5


async def killed_after(seconds: float, waiting: BatchTrigger) -> None:
    """Cancel a trigger while it runs, as a triggerer does that shuts down."""
    task = asyncio.create_task(first_event(waiting))
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_deadline_that_has_passed_while_nobody_waited_still_gets_a_look(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    assert fire(trigger(batch_id, deadline=time.time() - 3600))["outcome"] == Outcome.PROMOTED


@pytest.fixture
def held_clients(monkeypatch: pytest.MonkeyPatch) -> list[CatalogClient]:
    """All clients that triggers have made; else the garbage collection would close their connections."""
    held: list[CatalogClient] = []
    connect = CatalogHook.connect

    async def connect_and_hold(hook: CatalogHook) -> CatalogClient:
        held.append(await connect(hook))
        return held[-1]

    monkeypatch.setattr(CatalogHook, "connect", connect_and_hold)
    return held


@pytest.mark.usefixtures("held_clients")
def test_cancelling_closes_the_connections(desk: Desk) -> None:
    batch_id = desk.open_batch("staging")
    forget_tokens()
    asyncio.run(killed_after(0.3, trigger(batch_id)))
    opened = {sent.connection for sent in desk.sent()}
    assert len(opened) >= 2, "one to the identity service, one to the platform"
    assert_closed(desk, opened)


@pytest.mark.usefixtures("held_clients")
def test_cancelling_closes_the_connections_of_a_look_that_is_under_way(desk: Desk) -> None:
    batch_id = desk.open_batch("staging")
    forget_tokens()
    desk.hold_requests("before", f"{BATCHES}*", method="GET")
    asyncio.run(killed_after(0.3, trigger(batch_id)))
    (held,) = desk.held()
    desk.release(held["id"], REFUSED_TOKEN)  # so that more requests follow
    while len(desk.sent("GET", f"{BATCHES}*")) < 2:
        time.sleep(0.02)
    assert_closed(desk, {sent.connection for sent in desk.sent()})


def assert_closed(desk: Desk, ports: set[int]) -> None:
    """Wait until the emulator's connections with these clients' ports are closed."""
    end = time.monotonic() + 10
    while open_ones := established(desk, ports):
        assert time.monotonic() < end, open_ones
        # urllib3 closes a pool that nobody refers to any more, and the traceback of a refusal does, in a cycle.
        gc.collect()
        time.sleep(0.02)


def established(desk: Desk, ports: set[int]) -> list[str]:
    """Give the lines of this machine's table of TCP connections in which clients with these ports speak to the emulator."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in list(table)[1:]]
    return [
        " ".join(row)
        for row in rows
        if row[3] == "01" and port(row[1]) in ports and port(row[2]) == urlsplit(desk.url).port
    ]


def port(address: str) -> int:
    """Read the port off an address in the table."""
    return int(address.rsplit(":", 1)[1], 16)


INTERVAL = 0.1
DURATION = 6 * INTERVAL
MOST_LOOKS = 6 + 1

FAULTS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "500": {"status": 500},
    "503": {"status": 503, "headers": {"Retry-After": "0"}},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "404": {"status": 404},
    "403": {"status": 403},
    "reset": {"drop": "before"},
    "login page": LOGIN_PAGE,
    "cut off": {"truncate": 3},
    "redirect": {"status": 302, "headers": {"Location": "https://example.com/"}},
}


@pytest.mark.parametrize("effect", FAULTS.values(), ids=FAULTS)
def test_it_never_looks_more_often_than_asked(effect: dict[str, Any] | None, desk: Desk) -> None:
    batch_id = desk.open_batch("staging")
    if effect:
        desk.break_next(effect, f"{BATCHES}/*", times=None)
    event = fire(trigger(batch_id, poll_interval=INTERVAL, deadline=time.time() + DURATION))
    assert event["outcome"] == Outcome.TIMED_OUT
    assert 2 <= desk.looks() <= MOST_LOOKS
    assert len(desk.sent(path="/ims/*")) <= 1


def test_a_token_that_is_refused_costs_each_look_one_new_token_and_no_more(desk: Desk) -> None:
    batch_id = desk.open_batch("staging")
    desk.break_next(REFUSED_TOKEN, f"{BATCHES}/*", times=None)
    fire(trigger(batch_id, poll_interval=INTERVAL, deadline=time.time() + DURATION))
    assert desk.looks() <= 2 * MOST_LOOKS
    assert len(desk.sent(path="/ims/*")) <= MOST_LOOKS


@pytest.mark.parametrize(
    "effect", [{"status": 500}, {"status": 400}, {"drop": "before"}, LOGIN_PAGE], ids=str
)
def test_it_does_not_hurry_when_it_gets_no_token(effect: dict[str, Any], desk: Desk) -> None:
    batch_id = desk.open_batch("staging")
    desk.expire_tokens()
    desk.break_next({"expire_token": True}, f"{BATCHES}/*", times=None)
    desk.break_next(effect, "/ims/*", times=None)
    fire(trigger(batch_id, poll_interval=INTERVAL, deadline=time.time() + DURATION))
    assert 2 <= len(desk.sent(path="/ims/*")) <= MOST_LOOKS


def test_it_does_not_hurry_when_nobody_listens(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(emulator.connection))
    emulator.stop()
    looks = []
    get_token = ImsAuth.token

    def counted(auth: ImsAuth) -> str:
        looks.append(time.time())
        return get_token(auth)

    monkeypatch.setattr(ImsAuth, "token", counted)
    fire(trigger("b", poll_interval=INTERVAL, deadline=time.time() + DURATION))
    assert 2 <= len(looks) <= MOST_LOOKS


def test_the_first_look_is_not_at_once_but_within_the_interval(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    began = [time.time()] * 8
    ends = []
    for _ in began:
        started = time.time()
        fire(trigger(batch_id, poll_interval=0.2))
        ends.append(time.time() - started)
    assert max(ends) - min(ends) > 0.02, "waits that begin together look together"


def test_a_connection_that_has_changed_is_picked_up_after_trouble(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = desk.open_batch("success")
    wrong = desk.emulator.connection
    wrong["password"] = "rotated-away"
    monkeypatch.setenv(VARIABLE, json.dumps(wrong))
    assert asyncio.run(mended_meanwhile(trigger(batch_id), desk, monkeypatch))["outcome"] == Outcome.PROMOTED


@pytest.mark.parametrize("variable", ["{}", None], ids=["without fields", "deleted"])
def test_a_connection_that_is_unusable_for_a_while_is_trouble(
    variable: str | None, desk: Desk, monkeypatch: pytest.MonkeyPatch, airflow_db: None
) -> None:
    batch_id = desk.open_batch("success")
    monkeypatch.delenv(VARIABLE)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    assert asyncio.run(mended_meanwhile(trigger(batch_id), desk, monkeypatch))["outcome"] == Outcome.PROMOTED


async def mended_meanwhile(waiting: BatchTrigger, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a trigger, and put the connection right a little later."""
    task = asyncio.create_task(first_event(waiting))
    await asyncio.sleep(0.3)
    assert not task.done()
    monkeypatch.setenv(VARIABLE, json.dumps(desk.emulator.connection))
    return await asyncio.wait_for(task, 20)


def test_the_event_loop_is_free_while_the_platform_takes_its_time(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    desk.break_next({"delay": 0.5}, f"{BATCHES}/*")

    async def longest_pause() -> float:
        task = asyncio.create_task(first_event(trigger(batch_id)))
        pauses = []
        while not task.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            pauses.append(time.monotonic() - before)
        # Airflow's own first look for a connection may take its time.
        return sorted(pauses)[-2]

    assert asyncio.run(longest_pause()) < 0.4
