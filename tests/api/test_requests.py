"""What goes over the wire."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from client_stage import JSON_LINES, MakeClient, settings_for
from desk import CRM_PROFILES, LOCAL_SECRET, Desk
from peers import answer, peer

import airflow_provider_catalog
from airflow_provider_catalog.api.client import CatalogClient

BATCHES = "/data/foundation/import/batches"
TOKEN = "token-of-this-test"


def test_the_create_request_is_the_documented_one_byte_for_byte(make_client: MakeClient) -> None:
    with peer(answer(201, '{"id": "01HP1Z0A9YZ733QCJN6AXCATHF"}')) as server:
        client = make_client(
            server.url, access_token=TOKEN, client_secret=None, application="apache-airflow/3.3.2"
        )
        batch_id = client.create_batch(JSON_LINES)
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    request_line, *headers = head.decode().split("\r\n")
    user_agent = next(line for line in headers if line.startswith("User-Agent"))
    assert batch_id == "01HP1Z0A9YZ733QCJN6AXCATHF"
    assert request_line == "POST /data/foundation/import/batches HTTP/1.1"
    assert sorted(headers) == sorted(
        [
            f"Host: {server.url.removeprefix('http://')}",
            f"Authorization: Bearer {TOKEN}",
            "x-api-key: local-client",
            "x-gw-ims-org-id: 0123456789ABCDEF01234567@AdobeOrg",
            "x-sandbox-name: dev",
            "Accept: application/json",
            "Accept-Encoding: gzip",
            "Content-Type: application/json",
            "Content-Length: 76",
            "Connection: keep-alive",
            user_agent,
        ]
    )
    assert body == b'{"datasetId": "5c8c3c555033b814b69f947f", "inputFormat": {"format": "json"}}'


def test_the_token_request_is_a_form_with_the_secret_in_its_body(make_client: MakeClient) -> None:
    with peer(answer(200, json.dumps({"access_token": TOKEN, "expires_in": 86399}))) as server:
        make_client(server.url).auth.token()
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /ims/token/v3 HTTP/1.1"
    assert "Content-Type: application/x-www-form-urlencoded" in lines
    assert not [line for line in lines if line.lower().startswith(("authorization", "x-", "cookie"))]
    assert body.decode() == (
        "grant_type=client_credentials&client_id=local-client&client_secret=local-secret"
        "&scope=openid%2Csession%2CAdobeID%2Cread_organizations%2Cadditional_info.projectedProductContext"
    )


@pytest.mark.parametrize(
    ("call", "method", "path", "query", "content_type"),
    [
        pytest.param(
            lambda client, batch: client.create_batch(JSON_LINES), "POST", BATCHES, {}, "application/json", id="create"
        ),
        pytest.param(
            lambda client, batch: client.complete_batch(batch),
            "POST", f"{BATCHES}/{{batch}}", {"action": "COMPLETE"}, "application/json", id="complete",
        ),
        pytest.param(
            lambda client, batch: client.abort_batch(batch),
            "POST", f"{BATCHES}/{{batch}}", {"action": "ABORT"}, "application/json", id="abort",
        ),
        pytest.param(
            lambda client, batch: client.get_batch(batch),
            "GET", "/data/foundation/catalog/batches/{batch}", {}, None, id="look up",
        ),
        pytest.param(
            lambda client, batch: client.get_dataset(CRM_PROFILES),
            "GET", f"/data/foundation/catalog/dataSets/{CRM_PROFILES}", {}, None, id="dataset",
        ),
        pytest.param(
            lambda client, batch: client.list_sandboxes(),
            "GET", "/data/foundation/sandbox-management/", {"limit": "50", "offset": "0"}, None, id="sandboxes",
        ),
    ],
)  # fmt: skip
def test_every_call_carries_the_documented_headers(
    client: CatalogClient,
    desk: Desk,
    call: object,
    method: str,
    path: str,
    query: dict[str, str],
    content_type: str | None,
) -> None:
    batch_id = client.create_batch(JSON_LINES)
    desk.forget()
    call(client, batch_id)  # type: ignore[operator]
    (sent,) = desk.sent()
    assert (sent.method, sent.path, sent.query) == (method, path.format(batch=batch_id), query)
    assert sent.headers.get("Content-Type") == content_type
    assert {
        name: sent.headers[name] for name in ("Accept", "x-api-key", "x-gw-ims-org-id", "x-sandbox-name")
    } == {
        "Accept": "application/json",
        "x-api-key": "local-client",
        "x-gw-ims-org-id": "0123456789ABCDEF01234567@AdobeOrg",
        "x-sandbox-name": "dev",
    }
    assert "Authorization" in sent.headers
    assert sent.status in (200, 201)


def test_the_user_agent_names_the_package_and_the_application(desk: Desk, make_client: MakeClient) -> None:
    make_client(desk.url, application="apache-airflow/3.3.2").list_sandboxes()
    own = f"airflow-provider-catalog/{airflow_provider_catalog.__version__} apache-airflow/3.3.2 python/"
    assert [sent.headers["User-Agent"].startswith(own) for sent in desk.sent()] == [True, True]


def test_many_calls_use_one_connection(client: CatalogClient, desk: Desk) -> None:
    batch_id = client.create_batch(JSON_LINES)
    for _ in range(20):
        client.get_batch(batch_id)
    calls = desk.sent(path="/data/*")
    assert len(calls) == 21
    assert len({sent.connection for sent in calls}) == 1


def test_credentials_of_a_netrc_are_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_client: MakeClient
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    token = answer(200, json.dumps({"access_token": TOKEN}))
    with peer(token, answer(200, '{"sandboxes": []}')) as server:
        make_client(server.url).list_sandboxes()
    asked, listed = (request.lower() for request in server.received)
    assert b"authorization" not in asked
    assert listed.count(b"authorization") == 1
    assert f"authorization: bearer {TOKEN}".encode() in listed


def test_a_call_to_this_machine_does_not_go_through_a_proxy(
    client: CatalogClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert "dev" in client.list_sandboxes()


def test_a_session_is_not_followed_by_cookies(make_client: MakeClient) -> None:
    with peer(answer(200, '{"sandboxes": []}', Set_Cookie="session=abc; Path=/")) as server:
        client = make_client(server.url, access_token=TOKEN)
        client.list_sandboxes()
        client.list_sandboxes()
    assert b"cookie" not in server.received[1].lower()


def test_settings_do_not_show_their_secrets() -> None:
    settings = settings_for("http://127.0.0.1:1", access_token=TOKEN)
    assert TOKEN not in repr(settings)
    assert LOCAL_SECRET not in repr(settings)
