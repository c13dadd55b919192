"""Tokens."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_catalog.emulator.server import Emulator

from .client import SCOPES, Client


def test_a_client_with_its_secret_gets_a_token_for_a_day(api: Client) -> None:
    answer = api.token()
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 86_399  # seconds
    assert answer.json()["access_token"].startswith("emu-")


def test_every_token_is_another_one_and_all_are_good(api: Client, emulator: Emulator) -> None:
    first, second = (api.token().json()["access_token"] for _ in range(2))
    assert first != second
    assert {first, second} <= set(emulator.issued_tokens)
    for token in (first, second):
        answer = api.get("catalog/batches", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


def test_the_lifetime_can_be_set(api: Client) -> None:
    api.set(token_lifetime=600)
    answer = api.token().json()
    assert answer["expires_in"] == 600
    api.advance(600)
    header = {"Authorization": f"Bearer {answer['access_token']}"}
    assert api.get("catalog/batches", headers=header).status_code == 401


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "guessed"}, 401, "invalid_client"),
        ({"client_id": "somebody-else"}, 400, "invalid_client"),
        ({"client_secret": None}, 400, "invalid_request"),
        ({"scope": None}, 400, "invalid_request"),
        ({"scope": "openid,everything"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_bad_request_is_refused_the_oauth_way(
    api: Client, changes: dict[str, str | None], status: int, error: str
) -> None:
    answer = api.token(**changes)
    assert answer.status_code == status
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]
    assert "guessed" not in answer.text


def test_a_changed_secret_counts_at_once(api: Client) -> None:
    api.set(client_secret="rotated")
    assert api.token().status_code == 401
    assert api.token(client_secret="rotated").status_code == 200


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_a_setting_that_is_no_text_does_not_become_one(api: Client, name: str) -> None:
    answer = requests.post(f"{api.url}/__emulator__/settings", json={name: None}, timeout=10)
    assert answer.status_code == 400
    assert api.token(**{name: "None"}).json()["error"] == "invalid_client"
    assert api.token().status_code == 200


def test_the_fields_may_be_in_the_query(api: Client) -> None:
    fields = f"grant_type=client_credentials&client_id=local-client&client_secret=local-secret&scope={SCOPES}"
    assert requests.post(f"{api.url}/ims/token/v3?{fields}", timeout=10).status_code == 200


def test_a_json_body_is_not_understood(api: Client) -> None:
    answer = requests.post(f"{api.url}/ims/token/v3", json={"client_id": "local-client"}, timeout=10)
    assert answer.json()["error"] == "invalid_request"


def test_a_form_of_more_than_a_mebibyte_is_refused(api: Client) -> None:
    answer = api.token(state="x" * 1_048_576)
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


def test_only_post_is_answered(api: Client) -> None:
    answer = requests.get(f"{api.url}/ims/token/v3", timeout=10)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
