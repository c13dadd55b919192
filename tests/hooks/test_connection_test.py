"""Airflow's button "Test" says which part of a connection is wrong, and shows no secret."""

import importlib.metadata
import json
from collections.abc import Callable
from typing import Any

import pytest
from desk import LOCAL_SECRET, Desk

from airflow_provider_catalog.hooks.catalog import CatalogHook

OTHER_ORGANISATION = "FFFFFFFFFFFFFFFFFFFFFFFF@AdobeOrg"
WRONG_SECRET = "not-the-secret-at-all"


def outcome_for(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[bool, str]:
    monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", json.dumps(fields))
    return CatalogHook().test_connection()


def test_a_good_connection_is_proven_part_by_part(desk: Desk) -> None:
    good, message = CatalogHook().test_connection()
    assert good, message
    for proven in ("token", "'dev'", desk.emulator.connection["extra"]["ims_org_id"]):
        assert proven in message
    assert [sent.path for sent in desk.sent()] == [
        "/ims/token/v3",
        "/data/foundation/sandbox-management/",
        "/data/foundation/catalog/dataSets",
    ]


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Change fields of a connection; those that it does not have are extras."""

    def apply(fields: dict[str, Any]) -> None:
        for name, value in changes.items():
            (fields if name in fields else fields["extra"])[name] = value

    return apply


WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], tuple[str, ...]]] = {
    "secret": (change(password=WRONG_SECRET), ("/ims/token/v3", "client secret (password)")),
    "client id": (change(login="another-client"), ("/ims/token/v3", "client id (login)")),
    "scopes": (change(scopes="openid,no_such_scope"), ("/ims/token/v3", "scope")),
    "organisation": (change(ims_org_id=OTHER_ORGANISATION), ("403025", "ims_org_id")),
    "unknown sandbox": (change(sandbox_name="nowhere"), ("sandbox_name: got 'nowhere'", "dev, prod")),
    "sandbox by its title": (change(sandbox_name="Development"), ("sandbox_name", "not its title")),
    "no organisation": (change(ims_org_id=""), ("ims_org_id", "an organisation id")),
    "no secret": (change(password=""), ("password", "a client secret")),
    "unencrypted host": (change(host="http://platform.adobe.io"), ("host", "https")),
    "made-up token": (change(access_token="emu-made-up"), ("access_token", "set a fresh one")),
}


@pytest.mark.parametrize(("spoil", "said"), WRONG.values(), ids=WRONG)
def test_it_says_what_is_wrong_with(
    spoil: Callable[[dict[str, Any]], None],
    said: tuple[str, ...],
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = desk.emulator.connection
    spoil(fields)
    good, message = outcome_for(fields, monkeypatch)
    assert not good
    for part in said:
        assert part in message
    assert not [secret for secret in (LOCAL_SECRET, WRONG_SECRET, "emu-") if secret in message]


def test_it_says_that_a_ready_token_has_expired(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    token = CatalogHook().client.auth.token()
    desk.expire_tokens()
    fields = desk.emulator.connection
    fields["extra"]["access_token"] = token
    good, message = outcome_for(fields, monkeypatch)
    assert not good
    assert "access_token" in message
    assert "expired" in message
    assert token not in message


def test_it_says_that_a_proxy_takes_the_place_of_the_platform(desk: Desk) -> None:
    page = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<title>Sign in</title>"}
    desk.break_next(page, "/data/*", times=None)
    good, message = CatalogHook().test_connection()
    assert not good
    assert "not JSON (text/html" in message
    assert len(desk.sent(path="/data/*")) == 2, "somebody waits for the answer"


def test_it_goes_on_where_the_credential_may_not_list_sandboxes(desk: Desk) -> None:
    desk.break_next({"status": 403, "body": {"error_code": "403001"}}, "*/sandbox-management/")
    good, message = CatalogHook().test_connection()
    assert good, message


def test_it_says_that_the_sandbox_may_not_be_read(desk: Desk) -> None:
    body = {"type": "http://ns.adobe.com/aep/errors/UIS-4064-403", "title": "no access", "status": 403}
    desk.break_next({"status": 403, "body": body}, "*/catalog/*", times=None)
    good, message = CatalogHook().test_connection()
    assert not good
    assert "UIS-4064-403" in message
    assert "sandbox" in message


def test_it_says_that_nobody_answers(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.stop()
    good, message = outcome_for(emulator.connection, monkeypatch)
    assert not good
    assert f"can't connect to {emulator.url.removeprefix('http://')}" in message


def test_airflow_tests_a_connection_of_this_type_with_the_hook(desk: Desk) -> None:
    from airflow.models import Connection

    try:
        importlib.metadata.distribution("airflow-provider-catalog")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is run from its checkout here, so Airflow does not know the connection type")
    fields = desk.emulator.connection
    connection = Connection(
        conn_id="adobe_catalog_default", **{**fields, "extra": json.dumps(fields["extra"])}
    )
    good, message = connection.test_connection()
    assert good, message
    assert "'dev'" in message


@pytest.mark.usefixtures("airflow_db")
def test_it_says_that_there_is_no_such_connection() -> None:
    good, message = CatalogHook("nowhere").test_connection()
    assert not good
    assert "nowhere" in message
    assert "AIRFLOW_CONN_NOWHERE" in message
