"""`CatalogHook` turns an Airflow connection into a client that sends what the platform asks for."""

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from desk import CRM_PROFILES, Desk

import airflow_provider_catalog
from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.settings import DEFAULT_HOST, DEFAULT_IMS_HOST, PlatformSettings
from airflow_provider_catalog.hooks.catalog import CatalogHook

VARIABLE = "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"
ORGANISATION = "0123456789ABCDEF01234567@AdobeOrg"
OF_EVERY_REQUEST = {
    "Authorization": "<redacted>",
    "x-api-key": "local-client",
    "x-gw-ims-org-id": ORGANISATION,
    "x-sandbox-name": "dev",
    "Accept": "application/json",
}
PAYLOAD = {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}}

CALLS: dict[str, tuple[Callable[[CatalogClient, str], Any], str | None]] = {
    "create": (lambda client, _: client.create_batch(PAYLOAD), "application/json"),
    "put": (
        lambda client, batch: client.put_file(batch, CRM_PROFILES, "a.json", lambda: io.BytesIO(b"{}")),
        "application/octet-stream",
    ),
    "complete": (lambda client, batch: client.complete_batch(batch), "application/json"),
    "abort": (lambda client, batch: client.abort_batch(batch), "application/json"),
    "get batch": (lambda client, batch: client.get_batch(batch), None),
    "get batches": (lambda client, batch: client.get_batches([batch]), None),
    "list batches": (lambda client, _: list(client.list_batches()), None),
    "get dataset": (lambda client, _: client.get_dataset(CRM_PROFILES), None),
    "list datasets": (lambda client, _: list(client.list_datasets()), None),
    "list sandboxes": (lambda client, _: client.list_sandboxes(), None),
}


@pytest.mark.parametrize(("call", "content_type"), CALLS.values(), ids=CALLS)
def test_every_request_says_who_is_calling_and_where(
    call: Callable[[CatalogClient, str], Any], content_type: str | None, desk: Desk
) -> None:
    batch_id = desk.open_batch()
    call(CatalogHook().client, batch_id)
    [sent] = desk.sent(path="/data/*")
    assert sent.headers.items() >= OF_EVERY_REQUEST.items()
    assert sent.headers.get("Content-Type") == content_type


def test_a_revert_says_who_is_calling_and_where(desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    CatalogHook().client.revert_batch(batch_id)
    [sent] = desk.sent(path="/data/*")
    assert sent.headers.items() >= {**OF_EVERY_REQUEST, "Content-Type": "application/json"}.items()


def test_the_token_request_is_a_form_and_carries_nothing_else(desk: Desk) -> None:
    CatalogHook().client.list_sandboxes()
    [asked] = desk.sent(path="/ims/*")
    assert (asked.method, asked.path, asked.query) == ("POST", "/ims/token/v3", {})
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert set(asked.body) == {"grant_type", "client_id", "client_secret", "scope"}
    assert not {"Authorization", "x-api-key", "x-gw-ims-org-id", "x-sandbox-name"} & set(asked.headers)


def test_requests_name_the_package_and_airflow(desk: Desk) -> None:
    import airflow

    CatalogHook().client.list_sandboxes()
    named = f"airflow-provider-catalog/{airflow_provider_catalog.__version__} apache-airflow/{airflow.__version__} "
    assert [sent.headers["User-Agent"].startswith(named) for sent in desk.sent()] == [True, True]


def test_the_task_can_name_another_sandbox_than_the_connection(desk: Desk) -> None:
    CatalogHook(sandbox_name="prod").client.get_dataset(CRM_PROFILES)
    [sent] = desk.sent(path="/data/*")
    assert sent.headers["x-sandbox-name"] == "prod"


def test_the_client_is_made_once_and_the_connection_is_read_then_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = CatalogHook()
    client = hook.client
    monkeypatch.delenv(VARIABLE)
    assert hook.get_conn() is hook.client is client


def as_uri(fields: dict[str, Any], address: str, path: str = "", **more: str) -> str:
    login, password = quote(fields["login"]), quote(fields["password"])
    return f"adobe-catalog://{login}:{password}@{address}/{path}?{urlencode({**fields['extra'], **more})}"


def host_and_port(url: str) -> str:
    return url.removeprefix("http://")


VARIABLES: dict[str, Callable[[dict[str, Any], str], str]] = {
    "JSON": lambda fields, _: json.dumps(fields),
    "JSON with the extra as a text": lambda fields, _: json.dumps(
        {**fields, "extra": json.dumps(fields["extra"])}
    ),
    "JSON with scheme and port apart": lambda fields, url: json.dumps(
        {**fields, "host": "127.0.0.1", "schema": "http", "port": int(url.rsplit(":", 1)[1])}
    ),
    "JSON with a closing slash": lambda fields, url: json.dumps({**fields, "host": f"{url}/"}),
    "URI": lambda fields, url: as_uri(fields, host_and_port(url), "http"),
    "URI with the scheme in the host": lambda fields, url: as_uri(
        fields, f"http%3A%2F%2F{host_and_port(url)}"
    ),
    "URI with the extra as JSON": lambda fields, url: as_uri(
        {**fields, "extra": {}}, host_and_port(url), "http", __extra__=json.dumps(fields["extra"])
    ),
}


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=VARIABLES)
def test_a_connection_can_be_written_as(
    variable: Callable[[dict[str, Any], str], str], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, variable(desk.emulator.connection, desk.url))
    client = CatalogHook().client
    assert client.get_dataset(CRM_PROFILES).id == CRM_PROFILES
    assert (client.settings.host, client.settings.ims_host) == (desk.url, desk.url)


def settings_of(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any] | None = None, **fields: Any
) -> PlatformSettings:
    """Give what the hook reads from a connection with everything that is required, and these fields."""
    known = {"ims_org_id": ORGANISATION, "sandbox_name": "dev"}
    connection = {
        "conn_type": "adobe_catalog",
        "login": "client",
        "password": "secret",
        **fields,
        "extra": {**known, **(extra or {})},
    }
    monkeypatch.setenv(VARIABLE, json.dumps(connection))
    return CatalogHook().client.settings


HOSTS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, DEFAULT_HOST),
    "blank": ({"host": "  "}, DEFAULT_HOST),
    "name": ({"host": "platform-va7.adobe.io"}, "https://platform-va7.adobe.io"),
    "address": ({"host": "https://platform-va7.adobe.io"}, "https://platform-va7.adobe.io"),
    "address with blanks around": ({"host": " https://platform.adobe.io/ "}, "https://platform.adobe.io"),
    "address with a port": ({"host": "https://platform.adobe.io:8443"}, "https://platform.adobe.io:8443"),
    "name and port": ({"host": "platform.adobe.io", "port": 8443}, "https://platform.adobe.io:8443"),
    "name and scheme": ({"host": "platform.adobe.io", "schema": "https"}, "https://platform.adobe.io"),
    "loopback name": ({"host": "http://localhost:8765"}, "http://localhost:8765"),
    "loopback address of IPv6": ({"host": "http://[::1]:8765"}, "http://[::1]:8765"),
    "the schema is not a scheme": (
        {"host": "platform.adobe.io", "schema": "dev"},
        "https://platform.adobe.io",
    ),
}


@pytest.mark.parametrize(("fields", "host"), HOSTS.values(), ids=HOSTS)
def test_the_host_may_be(fields: dict[str, Any], host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of(monkeypatch, **fields).host == host


def test_what_a_connection_leaves_out_has_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = dict.fromkeys(("ims_host", "scopes", "access_token", "tenant", "timeout"), "")
    settings = settings_of(monkeypatch, empty)
    assert (settings.host, settings.ims_host, settings.timeout) == (DEFAULT_HOST, DEFAULT_IMS_HOST, 60.0)
    assert (
        settings.scopes == "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext"
    )
    assert (settings.access_token, settings.tenant) == (None, None)


@pytest.mark.parametrize("given", ["30", 30, 30.0, " 30 "], ids=repr)
def test_the_time_out_may_be_a_number_or_a_text(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of(monkeypatch, {"timeout": given}).timeout == 30.0


def test_a_ready_token_needs_no_secret_and_asks_for_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = CatalogHook().client.auth.token()
    desk.forget()
    fields = desk.emulator.connection
    del fields["password"]
    fields["extra"]["access_token"] = token
    monkeypatch.setenv(VARIABLE, json.dumps(fields))
    assert CatalogHook().client.list_sandboxes() == ("dev", "prod")
    assert desk.sent(path="/ims/*") == []


def test_making_a_hook_reads_no_connection() -> None:
    assert CatalogHook("nowhere").catalog_conn_id == "nowhere"


def test_secrets_are_not_part_of_the_settings_text(desk: Desk) -> None:
    settings = CatalogHook().client.settings
    assert settings.client_secret
    assert settings.client_secret not in repr(settings)
