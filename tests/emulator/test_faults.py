"""Faults on request, and what a client sees of them on the socket."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES
from airflow_provider_catalog.emulator.server import Emulator

from .client import Client

CATALOG = {"method": "GET", "path": "/data/foundation/catalog/*"}
CREATION = {"method": "POST", "path": "/data/foundation/import/batches"}


def statuses(api: Client, count: int) -> list[int]:
    return [api.get("catalog/batches").status_code for _ in range(count)]


def test_a_fault_strikes_once_by_default(api: Client) -> None:
    api.fault({"status": 503}, CATALOG)
    assert statuses(api, 3) == [503, 200, 200]


@pytest.mark.parametrize(
    ("match", "rule", "expected"),
    [
        ({}, {"times": 2}, "xx..."),
        ({}, {"times": None}, "xxxxx"),
        ({"skip": 2}, {}, "..x.."),
        ({"skip": 1}, {"times": None, "every": 2}, "..x.x"),
        ({}, {"times": None, "every": 3}, "..x.."),
        ({"method": "post"}, {"times": None}, "....."),
        ({"path": "/data/foundation/export/*"}, {"times": None}, "....."),
        ({"query": "*action=COMPLETE*"}, {"times": None}, "....."),
    ],
)
def test_which_requests_are_hit(
    api: Client, match: dict[str, Any], rule: dict[str, Any], expected: str
) -> None:
    api.fault({"status": 503}, {**CATALOG, **match}, **rule)
    assert "".join("x" if status == 503 else "." for status in statuses(api, 5)) == expected


def test_a_fault_can_single_out_an_action_by_its_query(api: Client) -> None:
    api.fault({"status": 500}, {"query": "*action=COMPLETE*"})
    batch_id = api.open()
    assert (api.signal(batch_id).status_code, api.signal(batch_id, "ABORT").status_code) == (500, 200)


def test_two_faults_strike_one_after_the_other(api: Client) -> None:
    api.fault({"status": 500})
    api.fault({"status": 503})
    assert statuses(api, 3) == [500, 503, 200]


def test_the_answer_is_as_ordered(api: Client) -> None:
    body = {"error_code": "429050", "message": "Too many requests"}
    api.fault({"status": 429, "headers": {"Retry-After": "7"}, "body": body})
    answer = api.get("catalog/batches")
    assert (answer.status_code, answer.json()) == (429, body)
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["x-request-id"]


HTML = "<html>Bad gateway</html>"


@pytest.mark.parametrize(
    ("effect", "content_type", "text"),
    [
        ({"status": 502, "body": HTML, "headers": {"Content-Type": "text/html"}}, "text/html", HTML),
        ({"status": 200, "body": "not json"}, "text/plain", "not json"),
        ({"status": 200, "body": []}, "application/json", "[]"),
        ({"status": 504}, None, ""),
    ],
)
def test_bodies_of_any_kind_can_be_sent(
    api: Client, effect: dict[str, Any], content_type: str | None, text: str
) -> None:
    api.fault(effect)
    answer = api.get("catalog/batches")
    assert (answer.status_code, answer.text) == (effect["status"], text)
    assert answer.headers.get("Content-Type") == content_type


def test_a_redirect_can_be_sent(api: Client) -> None:
    api.fault({"status": 302, "headers": {"Location": "https://elsewhere.example.com/"}})
    answer = api.get("catalog/batches", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://elsewhere.example.com/")


def test_a_refused_request_does_no_work(api: Client) -> None:
    api.fault({"status": 503}, CREATION)
    assert api.create().status_code == 503
    api.advance(1)
    assert api.get("catalog/batches").json() == {}


def test_an_error_can_hide_that_the_work_was_done(api: Client) -> None:
    api.fault({"status": 503, "after": True}, CREATION)
    assert api.create(externalId="run-1").status_code == 503
    api.advance(1)
    assert len(api.get("catalog/batches?externalId=run-1").json()) == 1


@pytest.mark.parametrize(("moment", "batches"), [("before", 0), ("after", 1)])
def test_a_connection_is_dropped_before_or_after_the_work(api: Client, moment: str, batches: int) -> None:
    api.fault({"drop": moment}, CREATION)
    with pytest.raises(requests.ConnectionError):
        api.create(externalId="run-1")
    api.advance(1)
    assert len(api.get("catalog/batches?externalId=run-1").json()) == batches
    assert [entry["status"] for entry in api.requests("?method=POST&path=/data/")] == ["dropped"]


def put(api: Client, batch_id: str) -> None:
    api.put(batch_id, b'{"_id": "1"}\n', "late.json")


def is_uploaded(api: Client, batch_id: str) -> bool:
    path = f"import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/late.json"
    return api.call("HEAD", path).status_code == 200


def signalled(action: str) -> Callable[[Client, str], object]:
    return lambda api, batch_id: api.signal(batch_id, action)


def is_in(status: str) -> Callable[[Client, str], bool]:
    def check(api: Client, batch_id: str) -> bool:
        api.advance(10)
        return api.status(batch_id) == status

    return check


def new_schema(api: Client, batch_id: str) -> None:
    body = {"title": "Late", "type": "object"}
    api.call("POST", "schemaregistry/tenant/schemas", json=body)


def has_new_schema(api: Client, batch_id: str) -> bool:
    headers = {"Accept": "application/vnd.adobe.xed+json"}
    found = api.get("schemaregistry/tenant/schemas", headers=headers).json()["results"]
    return "Late" in [each["title"] for each in found]


def new_dataset(api: Client, batch_id: str) -> None:
    schema = {"id": "https://ns.adobe.com/localtenant/schemas/crm_profiles", "contentType": "x"}
    api.call("POST", "catalog/dataSets", json={"name": "Late", "schemaRef": schema})


def has_new_dataset(api: Client, batch_id: str) -> bool:
    api.advance(1)
    return bool(api.get("catalog/dataSets?name=Late").json())


WORK: dict[str, tuple[Callable[[Client, str], object], Callable[[Client, str], bool]]] = {
    "upload": (put, is_uploaded),
    "COMPLETE": (signalled("COMPLETE"), is_in("success")),
    "ABORT": (signalled("ABORT"), is_in("aborted")),
    "FAIL": (signalled("FAIL"), is_in("failed")),
    "new schema": (new_schema, has_new_schema),
    "new dataset": (new_dataset, has_new_dataset),
}


@pytest.mark.parametrize("effect", [{"drop": "after"}, {"status": 503, "after": True}], ids=str)
@pytest.mark.parametrize("name", WORK)
def test_every_answer_can_be_lost_after_the_work_was_done(
    api: Client, name: str, effect: dict[str, Any]
) -> None:
    work, is_done = WORK[name]
    batch_id = api.open()
    api.put(batch_id, b'{"_id": "1"}\n')
    assert not is_in("nothing of the kind")(api, batch_id)
    api.fault(effect)
    with contextlib.suppress(requests.RequestException):
        work(api, batch_id)
    assert is_done(api, batch_id)


@pytest.mark.parametrize("path", ["ims/token/v3", "data/foundation/catalog/batches"])
def test_answers_that_only_tell_can_be_lost_too(api: Client, path: str) -> None:
    api.fault({"drop": "after"}, {"path": f"/{path}"})
    with pytest.raises(requests.ConnectionError):
        api.token() if path.startswith("ims") else api.get("catalog/batches")


def test_files_and_heads_are_lost_and_cut_like_other_answers(api: Client) -> None:
    batch_id = str(api.ingest(b'{"_id": "1"}\n')["externalId"])
    path = f"export/files/{batch_id}-1?path=part-0"
    api.fault({"drop": "after"})
    with pytest.raises(requests.ConnectionError):
        api.get(path)
    api.fault({"truncate": 5})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="5 bytes read"):
        api.get(path)
    api.fault({"delay": 0, "after": True})
    assert api.call("HEAD", path).headers["Content-Length"] == "13"


def test_a_reset_is_one_on_the_socket(api: Client, emulator: Emulator) -> None:
    api.fault({"drop": "before"}, {"path": "/data/"})
    with connect(emulator) as connection:
        connection.sendall(b"GET /data/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_an_upload_can_be_dropped_midway(api: Client) -> None:
    batch_id = api.open()
    api.fault({"drop": "before"}, {"method": "PUT"})
    with pytest.raises(requests.ConnectionError):
        api.put(batch_id, b"x" * 20_000_000)
    assert api.put(batch_id, b"{}").status_code == 200


def test_a_truncated_answer_ends_early(api: Client, emulator: Emulator) -> None:
    api.fault({"truncate": 20})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="20 bytes read"):
        api.get("catalog/dataSets")


def test_a_truncated_answer_on_the_socket(api: Client, emulator: Emulator) -> None:
    api.fault({"truncate": 3, "status": 200, "body": "abcdef"})
    with connect(emulator) as connection:
        connection.sendall(b"GET /data/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(1000), b""))
    assert b"content-length: 6\r\n" in received
    assert received.endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize(("after", "batches"), [(False, 0), (True, 1)])
def test_a_slow_answer_makes_a_client_give_up(api: Client, after: bool, batches: int) -> None:
    api.fault({"delay": 30, "after": after}, CREATION)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{api.url}{CREATION['path']}",
            json={"datasetId": "5c8c3c555033b814b69f947f", "inputFormat": {"format": "json"}},
            headers=dict(api.session.headers),
            timeout=0.2,
        )
    api.advance(1)
    assert len(api.get("catalog/batches").json()) == batches


def test_a_delay_alone_changes_nothing_else(api: Client) -> None:
    api.fault({"delay": 0.2})
    started = time.monotonic()
    assert api.get("catalog/batches").status_code == 200
    assert time.monotonic() - started >= 0.2


def test_the_token_in_use_can_be_expired(api: Client) -> None:
    other = api.token().json()["access_token"]
    api.fault({"expire_token": True})
    assert api.get("catalog/batches").json()["error_code"] == "401013"
    assert api.get("catalog/batches").status_code == 401
    assert api.get("catalog/batches", headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_ims_has_faults_too(api: Client) -> None:
    api.fault({"status": 429}, {"path": "/ims/*"})
    assert (api.token().status_code, api.token().status_code) == (429, 200)


def test_faults_are_listed_with_their_hits_and_can_be_cleared(api: Client) -> None:
    first = api.fault({"status": 503}, CATALOG, times=None)
    second = api.fault({"status": 500}, {"path": "/nowhere"})
    statuses(api, 2)
    assert {each["id"]: each["hits"] for each in api.steer("faults", method="GET")} == {first: 2, second: 0}
    api.steer(f"faults/{first}", method="DELETE")
    assert statuses(api, 1) == [200]
    api.steer("faults", method="DELETE")
    assert api.steer("faults", method="GET") == []
    assert requests.delete(f"{api.url}/__emulator__/faults/{first}", timeout=10).status_code == 404


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"effect": {}},
        {"effect": {"status": 99}},
        {"effect": {"drop": "sometimes"}},
        {"effect": {"headers": {"a": "b"}}},
        {"effect": {"explode": True}},
        {"effect": {"status": 500}, "times": 0},
        {"effect": {"status": 500}, "match": {"host": "x"}},
        {"effect": {"status": 500, "body": "\ud800"}},
        "text",
    ],
)
def test_a_senseless_fault_is_refused(api: Client, rule: Any) -> None:
    answer = requests.post(f"{api.url}/__emulator__/faults", json=rule, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def connect(emulator: Emulator) -> socket.socket:
    where = urlsplit(emulator.url)
    return socket.create_connection((where.hostname, where.port), timeout=10)
