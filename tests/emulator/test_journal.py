"""The request log."""

from __future__ import annotations

import json

from airflow_provider_catalog.emulator.server import Emulator

from .client import JSON_LINES, Client


def test_every_request_is_noted_in_order(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}")
    api.get("catalog/batches?limit=5&status=success")
    api.get("catalog/batches/none")
    noted = api.requests("?path=/data/")
    assert [(each["method"], each["status"]) for each in noted] == [
        ("POST", 201),
        ("PUT", 200),
        ("GET", 200),
        ("GET", 404),
    ]
    assert noted[0]["path"] == "/data/foundation/import/batches"
    assert noted[2]["query"] == [["limit", "5"], ["status", "success"]]
    numbers = [each["n"] for each in noted]
    assert numbers == sorted(set(numbers))


def test_header_names_are_those_on_the_wire(api: Client) -> None:
    api.get("catalog/batches", headers={"X-Odd-CASE": "Value"})
    headers = api.requests("?method=GET")[0]["headers"]
    assert ["X-Odd-CASE", "Value"] in headers
    assert ["x-gw-ims-org-id", "0123456789ABCDEF01234567@AdobeOrg"] in headers


def test_json_bodies_are_kept_and_files_only_measured(api: Client) -> None:
    batch_id = api.open(tags={"owner": ["orders"]})
    api.put(batch_id, b'{"email": "c1@example.com"}')
    creation, upload = api.requests("?path=/data/")
    assert creation["request_body"]["inputFormat"] == JSON_LINES
    assert creation["request_body"]["tags"] == {"owner": ["orders"]}
    assert (upload["request_body"], upload["request_size"]) == (None, 27)


def test_no_secret_gets_in(api: Client, emulator: Emulator) -> None:
    api.token()
    api.session.post(f"{api.url}/ims/token/v3?client_secret=local-secret", timeout=10)
    api.create(client_secret="local-secret", nested=[{"access_token": emulator.issued_tokens[0]}])
    noted = json.dumps(api.requests())
    assert "local-secret" not in noted
    assert not any(token in noted for token in emulator.issued_tokens)
    assert "<redacted>" in noted
    token_request = api.requests("?path=/ims/")[0]["request_body"]
    assert token_request["client_secret"] == "<redacted>"
    assert token_request["grant_type"] == "client_credentials"


def test_connections_can_be_counted(api: Client, emulator: Emulator) -> None:
    for _ in range(3):
        api.get("catalog/batches")
    Client(emulator).get("catalog/batches")
    connections = [each["connection"] for each in api.requests("?path=/data/")]
    assert len(connections) == 4
    assert len(set(connections)) == 2


def test_the_log_can_be_filtered_and_cleared(api: Client) -> None:
    api.open()
    last = api.requests()[-1]["n"]
    api.get("catalog/batches")
    assert [each["method"] for each in api.requests(f"?since={last}")] == ["GET"]
    assert [each["method"] for each in api.requests("?method=get")] == ["GET"]
    assert [each["path"] for each in api.requests("?path=/ims/")] == ["/ims/token/v3"]
    api.steer("requests", method="DELETE")
    assert api.requests() == []


def test_steering_is_not_logged(api: Client) -> None:
    api.advance(1)
    api.steer("settings", method="GET")
    assert api.requests("?path=/__emulator__") == []
