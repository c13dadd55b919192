"""The emulator's own API: states by force, settings, tokens, reset, and who may use it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from starlette.requests import Request

from airflow_provider_catalog.emulator.routes.steering import is_local

from .client import Client


@pytest.mark.parametrize("status", ["stalled", "retrying", "archived", "Retained", "some-new-status"])
def test_a_batch_is_held_in_any_state_until_it_is_released(api: Client, status: str) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}")
    api.signal(batch_id)
    api.advance(1)
    api.steer(f"batches/{batch_id}", {"status": status})
    api.advance(1000)
    assert api.status(batch_id) == status
    assert api.get(f"catalog/batches?status={status}&properties=status").json() == {
        batch_id: {"status": status}
    }
    api.steer(f"batches/{batch_id}", {"release": True})
    assert api.status(batch_id) == "success"


def test_what_was_planned_for_a_batch_does_not_happen_behind_a_forced_status(api: Client) -> None:
    old = api.open()
    api.put(old, b"{}")
    api.signal(old)
    api.advance(10)
    new = api.open(replay={"reason": "replace", "predecessors": [f"${old}"]})
    api.put(new, b"{}")
    api.signal(new)
    api.advance(1)
    for forced in ({"status": "stalled"}, {"tags": {"note": ["later"]}}, {"status": "retrying"}):
        api.steer(f"batches/{new}", forced)
        api.advance(1000)
        assert not {"completed", "metrics", "recordCount"} & api.batch(new).keys()
        assert api.status(old) == "success"
        assert "acp_successor" not in api.batch(old)["tags"]
    api.steer(f"batches/{new}", {"release": True})
    assert (api.status(new), api.batch(new)["recordCount"]) == ("success", 1)
    assert (api.status(old), api.batch(old)["tags"]["acp_successor"]) == ("inactive", [new])


def test_errors_and_metrics_by_force_do_not_stop_a_batch(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}")
    api.signal(batch_id)
    api.steer(f"batches/{batch_id}", {"errors": [{"code": "140"}]})
    api.advance(10)
    assert (api.status(batch_id), api.batch(batch_id)["errors"]) == ("success", [{"code": "140"}])


def test_errors_metrics_and_tags_can_be_forced_too(api: Client) -> None:
    batch_id = api.open(tags={"owner": ["orders"]})
    api.advance(1)
    errors = [{"code": "140", "description": "Something went wrong."}]
    metrics = {"inputRecordCount": 10, "failedRecordCount": 4}
    api.steer(f"batches/{batch_id}", {"status": "failed", "errors": errors})
    api.steer(f"batches/{batch_id}", {"metrics": metrics, "tags": {"acp_successor": ["01A"]}})
    batch = api.batch(batch_id)
    assert (batch["status"], batch["errors"], batch["metrics"]) == ("failed", errors, metrics)
    assert (batch["recordCount"], batch["failedRecordCount"]) == (10, 4)
    assert batch["tags"] == {"owner": ["orders"], "acp_successor": ["01A"]}


def test_a_signal_ends_a_forced_state(api: Client) -> None:
    batch_id = api.open()
    api.advance(1)
    api.steer(f"batches/{batch_id}", {"status": "success"})
    assert api.signal(batch_id, "REVERT").status_code == 200
    api.advance(1)
    assert api.status(batch_id) == "inactive"


@pytest.mark.parametrize("body", [{}, {"state": "failed"}, {"status": 1}, {"errors": "x"}])
def test_a_senseless_state_is_refused(api: Client, body: dict[str, Any]) -> None:
    url = f"{api.url}/__emulator__/batches/{api.open()}"
    assert requests.post(url, json=body, timeout=10).status_code == 400


def test_an_unknown_batch_cannot_be_forced(api: Client) -> None:
    url = f"{api.url}/__emulator__/batches/none"
    assert requests.post(url, json={"status": "failed"}, timeout=10).status_code == 404


def test_settings_are_shown_without_the_secret_and_can_be_changed(api: Client) -> None:
    assert (
        api.steer("settings", {"promotion_seconds": 7, "external_id_unique": True})["promotion_seconds"] == 7
    )
    shown = api.steer("settings", method="GET")
    assert shown["external_id_unique"] is True
    assert "client_secret" not in shown


@pytest.mark.parametrize("body", [{"nope": 1}, {"promotion_seconds": "soon"}, {"bodies": "xml"}, []])
def test_a_senseless_setting_is_refused(api: Client, body: Any) -> None:
    assert requests.post(f"{api.url}/__emulator__/settings", json=body, timeout=10).status_code == 400


def test_all_tokens_can_be_expired(api: Client) -> None:
    api.token()
    assert api.steer("tokens/expire") == {"expired": 2}
    assert api.get("catalog/batches").status_code == 401


def test_a_reset_forgets_everything(api: Client, emulator: Any) -> None:
    api.set(catalog_lag=0, promotion_seconds=9)
    api.fault({"status": 503}, {"path": "/nowhere"})
    api.put(api.open(), b"{}")
    api.steer("reset")
    assert api.get("catalog/batches").status_code == 401
    fresh = Client(emulator)
    assert fresh.get("catalog/batches").json() == {}
    assert len(fresh.get("catalog/dataSets").json()) == 3
    assert fresh.steer("faults", method="GET") == []
    assert fresh.steer("settings", method="GET")["promotion_seconds"] == 3
    assert len(fresh.requests()) == 4


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:80", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:1", 200),
        ("[::1]:1", 200),
        ("emulator.example.com", 403),
        ("127.0.0.1.example.com", 403),
        ("10.0.0.1", 403),
        ("", 403),
        ("localhost@example.com", 403),
        ("[nonsense", 403),
    ],
)
def test_only_requests_addressed_to_this_machine_are_answered(api: Client, host: str, status: int) -> None:
    answer = requests.get(f"{api.url}/__emulator__/requests", headers={"Host": host}, timeout=10)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("address", "local"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), ("2001:db8::1", False)]
)
def test_only_requests_that_come_from_this_machine_are_answered(address: str, local: bool) -> None:
    scope = {"type": "http", "client": (address, 50_000), "headers": [(b"host", b"localhost")]}
    assert is_local(Request(scope)) is local


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 204),
        ({"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-origin"}, 204),
        ({"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}, 204),
        ({"Origin": "http://[::1]:3000"}, 204),
        ({"Sec-Fetch-Site": "none"}, 204),
        ({"Origin": "https://example.com"}, 403),
        ({"Origin": "https://localhost.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://[nonsense"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
    ids=str,
)
def test_a_page_from_elsewhere_steers_nothing(api: Client, sent: dict[str, str], status: int) -> None:
    """What a browser says of the page on whose behalf it sends a simple request, for which it asks nobody."""
    headers = {"Content-Type": "text/plain", **sent}
    answer = requests.post(f"{api.url}/__emulator__/reset", headers=headers, timeout=10)
    assert answer.status_code == status


def test_what_is_not_there_is_not_found(api: Client) -> None:
    assert requests.get(f"{api.url}/__emulator__/nothing", timeout=10).status_code == 404


@pytest.mark.parametrize("number", ["x", "-1", "1" * 5000], ids=["a letter", "negative", "long"])
@pytest.mark.parametrize("query", ["requests?since=", "holds?count="])
def test_a_number_that_is_none_is_refused(api: Client, query: str, number: str) -> None:
    assert requests.get(f"{api.url}/__emulator__/{query}{number}", timeout=10).status_code == 400


@pytest.mark.parametrize("path", ["clock", "faults", "holds/1", "batches/{}", "settings"])
def test_a_body_of_more_than_a_mebibyte_is_refused(api: Client, path: str) -> None:
    url = f"{api.url}/__emulator__/{path.format(api.open())}"
    assert requests.post(url, data=b" " * 1_048_577, timeout=10).status_code == 413
