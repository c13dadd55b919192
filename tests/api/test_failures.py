"""Every answer that is an error: what is raised, whether it is permanent, how often the call was sent.

Each failure meets a call that may be repeated and one that may not, which is ``POST /batches``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from calls import SAFE_CALLS, Call, create, raised_by
from client_stage import MakeClient, Pauses
from desk import Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    AuthenticationError,
    CatalogError,
    NotFoundError,
    OutcomeUnknownError,
)
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS


def gateway(code: str, message: str) -> dict[str, Any]:
    return {"error_code": code, "message": message}


def problem(status: int, title: str) -> dict[str, Any]:
    return {
        "type": f"http://ns.adobe.com/aep/errors/CATALOG-1-{status}",
        "title": title,
        "status": status,
        "detail": "Because.",
    }


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error, and what becomes of it."""

    status: int
    body: Any
    code: str | None
    title: str
    advice: str
    error: type[ApiError] = ApiError
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.code or ''}".strip()

    @property
    def effect(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "body": self.body,
            "headers": {"x-request-id": "request-7", **self.headers},
        }


PERMANENT = [
    Refusal(400, problem(400, "Bad"), "CATALOG-1-400", "Bad", "Correct what the platform names"),
    Refusal(400, gateway("400003", "No org"), "400003", "No org", "Set ims_org_id"),
    Refusal(403, gateway("403000", "Api Key is required"), "403000", "Api Key is required", "Set the client id"),
    Refusal(403, gateway("403003", "Api Key is invalid"), "403003", "Api Key is invalid", "Check the client id"),
    Refusal(403, gateway("403010", "Oauth token is missing"), "403010", "Oauth token is missing", "No token arrived"),
    Refusal(403, gateway("403025", "Profile is not valid"), "403025", "Profile is not valid", "not entitled for ims_org_id"),
    Refusal(403, gateway("403027", "User region is missing"), "403027", "User region is missing", "Check ims_org_id"),
    Refusal(403, problem(403, "No"), "CATALOG-1-403", "No", "may use this dataset and this sandbox"),
    Refusal(404, problem(404, "Gone"), "CATALOG-1-404", "Gone", "belongs to the sandbox", NotFoundError),
    Refusal(409, problem(409, "Conflict"), "CATALOG-1-409", "Conflict", "look at the batch"),
    Refusal(412, problem(412, "Changed"), "CATALOG-1-412", "Changed", "decide anew"),
    Refusal(413, problem(413, "Too big"), "CATALOG-1-413", "Too big", "smaller files"),
    Refusal(414, problem(414, "Too long"), "CATALOG-1-414", "Too long", "Shorten"),
    Refusal(415, problem(415, "Type"), "CATALOG-1-415", "Type", "content"),
    Refusal(301, "", None, "Moved Permanently", "not followed", headers={"Location": "/elsewhere"}),
    Refusal(302, "", None, "Found", "not followed", headers={"Location": "/elsewhere"}),
    Refusal(307, "", None, "Temporary Redirect", "not followed", headers={"Location": "/elsewhere"}),
    Refusal(308, "", None, "Permanent Redirect", "not followed", headers={"Location": "http://["}),
]  # fmt: skip
TROUBLE = [
    Refusal(500, problem(500, "Oops"), "CATALOG-1-500", "Oops", ""),
    Refusal(502, "<html><title>Bad gateway</title></html>", None, "Bad Gateway", ""),
    Refusal(503, problem(503, "Later"), "CATALOG-1-503", "Later", ""),
    Refusal(504, "", None, "Gateway Timeout", ""),
]
THROTTLED = Refusal(
    429, gateway("429050", "Too many requests"), "429050", "Too many requests", "run fewer tasks"
)


@pytest.fixture(params=SAFE_CALLS.values(), ids=list(SAFE_CALLS))
def safe(request: pytest.FixtureRequest) -> tuple[str, Call]:
    """A call that may be repeated, and its method."""
    return request.param  # type: ignore[no-any-return]


def check_refusal(error: CatalogError, refusal: Refusal) -> None:
    """The exception tells all that the answer said, in its attributes and in its text."""
    assert isinstance(error, ApiError)
    assert type(error) is refusal.error
    failure = error.failure
    assert (failure.status, failure.code, failure.title) == (refusal.status, refusal.code, refusal.title)
    assert failure.request_id == "request-7"
    for part in (str(refusal.status), refusal.code or "", refusal.title, "request-7", refusal.advice):
        assert part in str(error)


class TestAnswersThatAreErrors:
    @pytest.mark.parametrize("refusal", PERMANENT, ids=str)
    def test_a_permanent_refusal_ends_a_call_at_once(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, safe: tuple[str, Call], refusal: Refusal
    ) -> None:
        method, call = safe
        desk.break_next(refusal.effect, path="/data/*", times=None)
        error = raised_by(call, client)
        check_refusal(error, refusal)
        assert error.permanent
        assert f"{method} /data/foundation/" in str(error)
        assert len(desk.sent(path="/data/*")) == 1
        assert pauses == []

    @pytest.mark.parametrize("refusal", PERMANENT, ids=str)
    def test_a_permanent_refusal_means_that_no_batch_was_opened(
        self, client: CatalogClient, desk: Desk, refusal: Refusal
    ) -> None:
        desk.break_next(refusal.effect, path="/data/*", times=None)
        error = raised_by(create, client)
        check_refusal(error, refusal)
        assert error.permanent
        assert len(desk.sent(path="/data/*")) == 1

    @pytest.mark.parametrize("refusal", [*TROUBLE, THROTTLED], ids=str)
    def test_trouble_is_survived_by_repeating(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, refusal: Refusal
    ) -> None:
        batch_id = create(client)
        desk.forget()
        desk.break_next(refusal.effect, path="/data/*", times=DEFAULT_ATTEMPTS - 1)
        assert client.get_batch(batch_id).status == "loading"
        assert len(desk.sent(path="/data/*")) == DEFAULT_ATTEMPTS
        assert len(pauses) == DEFAULT_ATTEMPTS - 1

    @pytest.mark.parametrize("refusal", [*TROUBLE, THROTTLED], ids=str)
    def test_trouble_that_lasts_is_raised_and_may_pass_later(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, safe: tuple[str, Call], refusal: Refusal
    ) -> None:
        desk.break_next(refusal.effect, path="/data/*", times=None)
        error = raised_by(safe[1], client)
        check_refusal(error, refusal)
        assert not error.permanent
        assert len(desk.sent(path="/data/*")) == DEFAULT_ATTEMPTS
        assert len(pauses) == DEFAULT_ATTEMPTS - 1

    @pytest.mark.parametrize("refusal", TROUBLE, ids=str)
    def test_after_trouble_it_is_not_known_whether_a_batch_was_opened(
        self, client: CatalogClient, desk: Desk, refusal: Refusal
    ) -> None:
        desk.break_next(refusal.effect, path="/data/*", times=None)
        error = raised_by(create, client)
        assert isinstance(error, OutcomeUnknownError)
        assert not error.permanent
        for part in (str(refusal.status), refusal.title, "request-7", "may have opened a batch"):
            assert part in str(error)
        assert len(desk.sent(path="/data/*")) == 1

    def test_a_throttled_create_is_repeated_since_nothing_was_done(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.break_next(THROTTLED.effect, path="/data/*", times=2)
        create(client)
        assert [sent.status for sent in desk.sent(path="/data/*")] == [429, 429, 201]

    def test_a_create_that_is_always_throttled_opens_no_batch(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.break_next(THROTTLED.effect, path="/data/*", times=None)
        error = raised_by(create, client)
        check_refusal(error, THROTTLED)
        assert not error.permanent
        assert len(desk.sent(path="/data/*")) == DEFAULT_ATTEMPTS

    @pytest.mark.parametrize(
        "call", [client_call for _, client_call in SAFE_CALLS.values()], ids=list(SAFE_CALLS)
    )
    def test_no_call_is_sent_more_often_than_allowed(
        self, desk: Desk, make_client: MakeClient, call: Call
    ) -> None:
        desk.break_next({"status": 503}, path="/data/*", times=None)
        raised_by(call, make_client(desk.url, attempts=2))
        assert len(desk.sent(path="/data/*")) == 2


class TestTheGateway:
    """Refusals of the emulator's own gateway, not of a fault."""

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"client_id": "unknown"}, "403003"),
            ({"ims_org_id": "F0@AdobeOrg"}, "403025"),
            ({"sandbox_name": "elsewhere"}, "UIS-4064-403"),
        ],
        ids=["unknown key", "another organisation", "unknown sandbox"],
    )
    def test_a_caller_that_it_does_not_let_in_is_told_why(
        self, client: CatalogClient, desk: Desk, make_client: MakeClient, change: dict[str, str], code: str
    ) -> None:
        stranger = make_client(desk.url, access_token=client.auth.token(), **change)
        error = raised_by(create, stranger)
        assert isinstance(error, ApiError)
        assert error.permanent
        assert error.failure.code == code
        assert error.failure.request_id
        assert error.failure.advice
        assert len(desk.sent(path="/data/*")) == 1


class TestRefusedTokens:
    EFFECT: ClassVar[dict[str, Any]] = {
        "status": 401,
        "body": gateway("401013", "Oauth token is not valid"),
        "headers": {"x-request-id": "r-1"},
    }

    @pytest.mark.parametrize("call", [create, lambda client: client.list_sandboxes()], ids=["create", "read"])
    def test_an_expired_token_is_renewed_once_and_the_call_repeated(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, call: Call
    ) -> None:
        client.auth.token()
        desk.expire_tokens()
        assert call(client)
        assert [sent.status for sent in desk.sent(path="/data/*")] in ([401, 201], [401, 200])
        assert len(desk.sent(path="/ims/*")) == 2
        assert pauses == []

    @pytest.mark.parametrize(
        "call", [create, *(call for _, call in SAFE_CALLS.values())], ids=["create", *SAFE_CALLS]
    )
    def test_a_new_token_that_is_refused_as_well_ends_the_call(
        self, client: CatalogClient, desk: Desk, call: Call
    ) -> None:
        desk.break_next(self.EFFECT, path="/data/*", times=None)
        error = raised_by(call, client)
        assert isinstance(error, AuthenticationError)
        assert error.permanent
        assert (error.failure.status, error.failure.code, error.failure.request_id) == (401, "401013", "r-1")
        assert "has the scopes of the connection" in str(error)
        assert len(desk.sent(path="/data/*")) == 2
        assert len(desk.sent(path="/ims/*")) == 2

    def test_a_ready_token_that_is_refused_ends_the_call_at_once(
        self, desk: Desk, make_client: MakeClient
    ) -> None:
        client = make_client(desk.url, access_token="expired-long-ago")
        error = raised_by(create, client)
        assert isinstance(error, AuthenticationError)
        assert (error.failure.code, error.failure.title) == ("401013", "Oauth token is not valid")
        assert "set a fresh one" in str(error)
        assert len(desk.sent(path="/data/*")) == 1
        assert desk.sent(path="/ims/*") == []
