"""Requests that are held back until the test lets them go on, and what becomes of those whose client is gone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES
from airflow_provider_catalog.emulator.server import Emulator, running

from .client import JSON_LINES, Client

CREATION = {"method": "POST", "path": "/data/foundation/import/batches"}
Start = Callable[..., "Future[Any]"]


@pytest.fixture
def start(emulator: Emulator) -> Iterator[Start]:
    """``start(call, ...)`` lets a client of its own wait for an answer meanwhile; all of them are let go at the end."""
    with ThreadPoolExecutor() as others:
        yield lambda call, *args, **options: others.submit(call, Client(emulator), *args, **options)
        emulator.platform.reset()


def batches(api: Client, **filters: str) -> dict[str, Any]:
    api.advance(1)
    return dict(api.get("catalog/batches", params=filters).json())


def content(api: Client, batch_id: str, name: str) -> bytes:
    api.signal(batch_id)
    api.advance(10)
    return api.get(f"export/files/{batch_id}-1?path={name}").content


def test_a_request_is_held_before_its_work_is_done(api: Client, start: Start) -> None:
    api.fault({"hold": "before"}, CREATION)
    creation = start(Client.create, externalId="run-1")
    assert api.held()[0]["stage"] == "before"
    assert batches(api) == {}
    api.release()
    batch_id = creation.result().json()["id"]
    assert list(batches(api, externalId="run-1")) == [batch_id]


def test_an_answer_is_held_after_the_work_was_done(api: Client, start: Start) -> None:
    api.fault({"hold": "after"}, CREATION)
    creation = start(Client.create, externalId="run-1")
    assert api.held()[0]["stage"] == "after"
    [batch_id] = batches(api, externalId="run-1")
    assert not creation.done()
    api.release()
    assert (creation.result().status_code, creation.result().json()["id"]) == (201, batch_id)


def test_what_is_held_is_named_as_in_the_request_log(api: Client, start: Start) -> None:
    api.fault({"hold": "before"}, {"query": "grant_type=none*"})
    secretive = "/ims/token/v3?grant_type=none&client_secret=hush"
    start(lambda client: requests.post(client.url + secretive, timeout=10))
    [held] = api.held()
    [entry] = [entry for entry in api.requests() if entry["n"] == held["n"]]
    assert held == {
        "id": "1",
        "n": entry["n"],
        "method": "POST",
        "path": "/ims/token/v3",
        "query": [["grant_type", "none"], ["client_secret", "<redacted>"]],
        "stage": "before",
        "client_gone": False,
    }
    assert entry["status"] is None


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("size", [0, 100, 3_000_000])
def test_a_file_on_its_way_can_be_held(api: Client, start: Start, stage: str, size: int) -> None:
    data = b'{"_id": "1"}\n' + b" " * size
    batch_id = api.open()
    api.fault({"hold": stage}, {"method": "PUT"})
    upload = start(Client.put, batch_id, data, "late.json")
    api.release()
    assert upload.result().status_code == 200
    assert content(api, batch_id, "late.json") == data


def test_several_are_held_at_once_and_released_in_any_order(api: Client, start: Start) -> None:
    api.fault({"hold": "before"}, CREATION, times=None)
    creations = []
    for number in (1, 2, 3):
        creations.append(start(Client.create, externalId=f"run-{number}"))
        api.held(number)
    first, second, third = api.held()
    assert first["n"] < second["n"] < third["n"]
    api.steer(f"holds/{third['id']}")
    assert creations[2].result().status_code == 201
    assert [each["id"] for each in api.held()] == [first["id"], second["id"]]
    assert [batch["externalId"] for batch in batches(api).values()] == ["run-3"]
    api.steer("holds", method="DELETE")
    assert [each.result().status_code for each in creations] == [201, 201, 201]
    assert api.steer("holds", method="GET") == []


def test_holds_strike_as_other_faults_do(api: Client, start: Start) -> None:
    api.fault({"hold": "before"}, {**CREATION, "skip": 1}, every=2, times=1)
    assert [api.create().status_code for _ in range(2)] == [201, 201]
    third = start(Client.create)
    api.held()
    assert api.create().status_code == 201
    api.release()
    assert third.result().status_code == 201


@pytest.mark.parametrize(
    ("stage", "effect", "status", "work"),
    [
        ("before", {"status": 503, "headers": {"Retry-After": "7"}}, 503, 0),
        ("before", {"status": 503, "after": True}, 503, 1),
        ("before", {"drop": "before"}, None, 0),
        ("before", {"drop": "after"}, None, 1),
        ("after", {"status": 503, "body": {"error": "late"}}, 503, 1),
        ("after", {"drop": "before"}, None, 1),
        ("after", {"drop": "after"}, None, 1),
        ("after", {"truncate": 3}, None, 1),
        ("after", {"delay": 0.01}, 201, 1),
    ],
    ids=str,
)
def test_whoever_releases_a_request_says_how_it_goes_on(
    api: Client, start: Start, stage: str, effect: dict[str, Any], status: int | None, work: int
) -> None:
    api.fault({"hold": stage}, CREATION)
    creation = start(Client.create)
    api.release(effect)
    if status:
        assert creation.result().status_code == status
    else:
        assert isinstance(creation.exception(), requests.RequestException)
    assert len(batches(api)) == work


def test_a_delay_at_the_release_comes_before_the_answer(api: Client, start: Start) -> None:
    api.fault({"hold": "after"}, CREATION)
    creation = start(Client.create)
    api.held()
    released = time.monotonic()
    api.release({"delay": 0.2})
    assert creation.result().status_code == 201
    assert time.monotonic() - released >= 0.2


def test_the_gateway_looks_at_a_request_when_it_is_released(api: Client, start: Start) -> None:
    api.fault({"hold": "before"}, CREATION)
    creation = start(Client.create)
    api.held()
    api.steer("tokens/expire")
    api.release()
    assert creation.result().status_code == 401


ONE_REQUEST = """
import http.client, json, sys
host, method, path, body, headers = json.load(sys.stdin)
connection = http.client.HTTPConnection(host)
connection.request(method, path, body, headers)
connection.getresponse()
"""


def kill_in_the_middle(api: Client, stage: str, method: str, path: str, body: str, content_type: str) -> None:
    """Let a process send a request that is held, kill the process, and wait until the emulator has noticed."""
    api.fault({"hold": stage}, {"method": method, "path": path})
    headers = {**api.session.headers, "Content-Type": content_type}
    request = json.dumps([api.url.removeprefix("http://"), method, path, body, headers])
    with subprocess.Popen([sys.executable, "-c", ONE_REQUEST], stdin=subprocess.PIPE, text=True) as client:
        assert client.stdin
        client.stdin.write(request)
        client.stdin.close()
        assert not api.held()[0]["client_gone"]
        client.kill()
    wait_until_gone(api)


def wait_until_gone(api: Client) -> None:
    deadline = time.monotonic() + 10
    while not api.held()[0]["client_gone"]:
        assert time.monotonic() < deadline, "the emulator has not noticed that the client is gone"


@pytest.mark.parametrize(
    ("stage", "effect", "work"),
    [
        ("before", None, 1),
        ("before", {"drop": "before"}, 0),
        ("before", {"drop": "after"}, 1),
        ("before", {"status": 503}, 0),
        ("after", None, 1),
        ("after", {"drop": "after"}, 1),
        ("after", {"status": 503}, 1),
    ],
    ids=str,
)
def test_a_killed_clients_request_stays_held_and_its_work_is_done_unless_forbidden(
    api: Client, stage: str, effect: dict[str, Any] | None, work: int
) -> None:
    body = json.dumps({"datasetId": CRM_PROFILES, "inputFormat": JSON_LINES})
    kill_in_the_middle(api, stage, "POST", CREATION["path"], body, "application/json")
    assert len(batches(api)) == (stage == "after")
    api.release(effect)
    assert api.steer("holds", method="GET") == []
    assert len(batches(api)) == work
    assert [entry["status"] for entry in api.requests(f"?method=POST&path={CREATION['path']}")] == ["dropped"]


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_killed_clients_file_arrives_in_whole(api: Client, stage: str) -> None:
    data = '{"_id": "1"}\n' + " " * 2_000_000
    batch_id = api.open()
    path = f"/data/foundation/import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/late.json"
    kill_in_the_middle(api, stage, "PUT", path, data, "application/octet-stream")
    api.release()
    assert content(api, batch_id, "late.json") == data.encode()


def test_of_a_file_that_was_cut_off_nothing_arrives(api: Client) -> None:
    batch_id = api.open()
    api.fault({"hold": "before"}, {"method": "PUT"})

    def breaking_off() -> Iterator[bytes]:
        yield b'{"_id": "1"}\n'
        raise EOFError

    with pytest.raises(EOFError):
        api.put(batch_id, breaking_off(), "late.json")
    wait_until_gone(api)
    api.release()
    path = f"import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/late.json"
    assert api.call("HEAD", path).status_code == 404


def test_the_list_is_waited_for_until_so_many_are_held(api: Client, start: Start) -> None:
    api.fault({"hold": "before"}, CREATION, times=None)
    waiting = start(lambda client: client.steer("holds?wait=9&count=2", method="GET"))
    start(Client.create)
    [first] = api.held()
    assert not waiting.done()
    asked = time.monotonic()
    start(Client.create)
    assert waiting.result()[0] == first
    assert len(waiting.result()) == 2
    assert time.monotonic() - asked < 5


def test_the_wait_for_the_list_ends_when_the_time_is_up(api: Client) -> None:
    started = time.monotonic()
    assert api.steer("holds?wait=0.2", method="GET") == []
    assert 0.2 <= time.monotonic() - started < 5


@pytest.mark.parametrize("query", ["wait=soon", "wait=-1", "wait=nan", "wait=1e9", "count=-1", "count=some"])
def test_a_senseless_wait_is_refused(api: Client, query: str) -> None:
    assert requests.get(f"{api.url}/__emulator__/holds?{query}", timeout=10).status_code == 400


@pytest.mark.parametrize("effect", [{"hold": "sometimes"}, {"hold": "before", "status": 503}])
def test_a_senseless_hold_is_refused(api: Client, effect: dict[str, Any]) -> None:
    answer = requests.post(f"{api.url}/__emulator__/faults", json={"effect": effect}, timeout=10)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        *("text", {}, {"effect": {}}, {"effect": {"hold": "after"}}, {"effect": {"expire_token": True}}),
        {"effect": {"status": 500, "body": "\ud800"}},
    ],
)
def test_a_senseless_release_is_refused_and_the_request_stays_held(
    api: Client, start: Start, body: Any
) -> None:
    api.fault({"hold": "before"}, CREATION)
    start(Client.create)
    [held] = api.held()
    url = f"{api.url}/__emulator__/holds/{held['id']}"
    assert requests.post(url, json=body, timeout=10).status_code == 400
    assert api.held() == [held]


def test_nothing_is_released_twice(api: Client, start: Start) -> None:
    api.fault({"hold": "before"}, CREATION)
    start(Client.create)
    [held] = api.held()
    api.release()
    assert requests.post(f"{api.url}/__emulator__/holds/{held['id']}", timeout=10).status_code == 404


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_reset_hangs_up_on_what_is_held(api: Client, emulator: Emulator, start: Start, stage: str) -> None:
    api.fault({"hold": stage}, CREATION)
    creation = start(Client.create)
    api.held()
    api.steer("reset")
    assert isinstance(creation.exception(), requests.ConnectionError)
    assert api.steer("holds", method="GET") == []
    assert batches(Client(emulator)) == {}


def test_an_emulator_stops_at_once_whatever_is_held_or_waited_for(start: Start) -> None:
    with running() as emulator:
        api = Client(emulator)
        api.fault({"hold": "before"}, CREATION)
        creation = start(lambda _: Client(emulator).create())
        waiting = start(lambda _: api.steer("holds?wait=60&count=2", method="GET"))
        Client(emulator).held()
        started = time.monotonic()
        emulator.stop()
        assert time.monotonic() - started < 2
        assert isinstance(creation.exception(), requests.ConnectionError)
        assert isinstance(waiting.exception(), requests.ConnectionError)
        assert not emulator.platform.holds.all()
        assert not list(emulator.platform.batches.all())
