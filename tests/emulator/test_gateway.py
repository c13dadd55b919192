"""What every platform route refuses before a service sees the request."""

from __future__ import annotations

from typing import Any

import pytest

from .client import Client

BATCHES = "catalog/batches"


@pytest.mark.parametrize(
    ("header", "value", "status", "code"),
    [
        ("x-api-key", None, 403, "403000"),
        ("x-api-key", "somebody-else", 403, "403003"),
        ("Authorization", None, 403, "403010"),
        ("Authorization", "Bearer never-issued", 401, "401013"),
        ("Authorization", "Bearer", 401, "401013"),
        ("Authorization", "Basic bG9jYWw6bG9jYWw=", 401, "401013"),
        ("x-gw-ims-org-id", None, 400, "400003"),
        ("x-gw-ims-org-id", "0000000000000000DEADBEEF@AdobeOrg", 403, "403025"),
        ("x-gw-ims-org-id", "not-an-organisation", 403, "403027"),
    ],
)
def test_a_missing_or_wrong_header_is_refused_with_its_code(
    api: Client, header: str, value: str | None, status: int, code: str
) -> None:
    answer = api.get(BATCHES, headers={header: value})
    assert answer.status_code == status
    assert answer.json()["error_code"] == code
    assert answer.json()["message"]


def test_the_first_of_several_faults_is_the_one_reported(api: Client) -> None:
    answer = api.get(BATCHES, headers={"x-api-key": None, "Authorization": None, "x-gw-ims-org-id": None})
    assert answer.json()["error_code"] == "403000"


@pytest.mark.parametrize(
    "path",
    [
        "catalog/dataSets",
        "import/batches",
        "schemaregistry/stats",
        "sandbox-management/",
        "export/batches/x/files",
        "nowhere",
    ],
)
def test_every_platform_route_is_guarded(api: Client, path: str) -> None:
    assert api.get(path, headers={"Authorization": None}).json()["error_code"] == "403010"


def test_a_token_expires_on_the_emulators_clock(api: Client) -> None:
    api.advance(86_398)
    assert api.get(BATCHES).status_code == 200
    api.advance(2)
    assert api.get(BATCHES).json() == {"error_code": "401013", "message": "Oauth token is not valid"}


def test_an_unknown_sandbox_is_a_problem_object(api: Client) -> None:
    answer = api.get(BATCHES, headers={"x-sandbox-name": "Dev"})
    assert answer.status_code == 403
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == 403
    assert problem["type"].startswith("http://ns.adobe.com/aep/errors/")
    assert "Dev" in problem["detail"]
    assert problem["report"]


def test_without_a_sandbox_a_write_lands_in_production(api: Client, emulator: Any) -> None:
    api.session.headers.pop("x-sandbox-name")
    batch_id = api.open()
    api.advance(1)
    production = Client(emulator, "prod")
    assert batch_id in production.get(BATCHES).json()
    assert batch_id not in Client(emulator, "dev").get(BATCHES).json()


@pytest.mark.parametrize(("length", "status"), [(2000, 200), (2001, 414), (100_000, 414)])
def test_a_url_of_more_than_2000_characters_is_refused(api: Client, length: int, status: int) -> None:
    path = f"{BATCHES}?externalId="
    padding = length - len(f"{api.url}/data/foundation/{path}")
    assert api.get(path + "x" * padding).status_code == status


@pytest.mark.parametrize(("length", "status"), [(2000, 404), (2001, 414)])
@pytest.mark.parametrize("part", ["{}", "x?name={}"])
def test_characters_that_are_encoded_count_as_they_are_sent(
    api: Client, part: str, length: int, status: int
) -> None:
    letters, rest = divmod(length - len(f"{api.url}/data/foundation/{part.format('')}"), len("%C3%A4"))
    assert api.get(part.format("%C3%A4" * letters + "x" * rest)).status_code == status


def test_a_request_id_comes_back(api: Client) -> None:
    assert api.get(BATCHES, headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("path", ["catalog/batches", "catalog/batches/none", "nowhere"])
def test_every_answer_has_a_request_id(api: Client, path: str) -> None:
    first, second = (api.get(path).headers["x-request-id"] for _ in range(2))
    assert first != second


def test_a_path_with_a_slash_too_many_is_unknown(api: Client) -> None:
    assert api.get(f"{BATCHES}/", allow_redirects=False).status_code == 404


def test_an_unknown_path_and_a_wrong_method_are_refused_in_the_generic_shape(api: Client) -> None:
    unknown, wrong = api.get("nowhere"), api.call("DELETE", BATCHES)
    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.json() == {
        "type": "/placeholder/type/uri",
        "status": 404,
        "title": "NotFoundError",
        "detail": "Not Found",
    }
    assert wrong.json()["status"] == 405
