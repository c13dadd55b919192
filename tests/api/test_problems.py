"""Error bodies: every shape ends in one clear exception, and none lets a secret through."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import time
import traceback
from typing import Any
from urllib.parse import quote_plus

import pytest
from client_stage import JSON_LINES, MakeClient
from desk import LOCAL_SECRET, Desk
from hypothesis import given
from hypothesis import strategies as st
from peers import answer, peer

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, CatalogError
from airflow_provider_catalog.api.problems import TEXT_LIMIT, Problem, parse_problem

XDM = "http://ns.adobe.com/aep/errors/XDM-1012-404"
INLET = "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet"
SEGMENT = {
    "type": "https://ns.adobe.com/aep/errors/PDP-4041-403",
    "title": "Not entitled",
    "status": 403,
    "detail": "No role.",
}

SHAPES: dict[str, tuple[Any, Problem]] = {
    "gateway": (
        {"error_code": "401013", "message": "Oauth token is not valid"},
        Problem(code="401013", title="Oauth token is not valid"),
    ),
    "gateway with a number": (
        {"error_code": 429050, "message": "Too many requests"},
        Problem(code="429050", title="Too many requests"),
    ),
    "problem": (
        {"type": XDM, "title": "Not found", "status": 404, "detail": "No such schema.",
         "report": {"registryRequestId": "r-1", "timestamp": "2024-01-01", "detailed-message": "More.", "sub-errors": []},
         "error-chain": [{"serviceId": "XDM", "errorCode": "XDM-1012", "unixTimeStampMs": 1}]},
        Problem(code="XDM-1012-404", title="Not found", detail="No such schema.", request_id="r-1"),
    ),
    "problem with a context": (
        {"type": XDM, "title": "Not found", "status": 404,
         "report": {"tenantInfo": {"sandboxName": "dev"}, "additionalContext": {"request-id": "r-2"}}},
        Problem(code="XDM-1012-404", title="Not found", request_id="r-2"),
    ),
    "generic": (
        {"type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError", "detail": "A valid content-type"},
        Problem(title="BadRequestError", detail="A valid content-type"),
    ),
    "one message": ({"errorMessage": "The etag is stale"}, Problem(title="The etag is stale")),
    "profile": (
        {"message": "Throttled", "cause": "Too much", "retryAfterMs": "500", "statusCode": "429"},
        Problem(title="Throttled", detail="Too much", retry_after=0.5),
    ),
    "streaming": (
        {"type": INLET, "status": 400, "title": "Invalid", "report": {"message": "imsOrgId is missing"}},
        Problem(title="Invalid", detail="imsOrgId is missing"),
    ),
    "problem inside a message": (
        {"status": 403, "message": json.dumps(SEGMENT)},
        Problem(code="PDP-4041-403", title="Not entitled", detail="No role."),
    ),
    "oauth": (
        {"error": "invalid_client", "error_description": "the client secret is wrong"},
        Problem(code="invalid_client", title="the client secret is wrong"),
    ),
    "error object": (
        {"error": {"code": "E-1", "message": "Broken"}},
        Problem(code="E-1", title="Broken"),
    ),
    "empty object": ({}, Problem()),
    "values of other types": ({"title": ["x"], "detail": {"y": 1}, "error_code": True, "report": "text"}, Problem()),
}  # fmt: skip


@pytest.mark.parametrize(("body", "problem"), SHAPES.values(), ids=list(SHAPES))
def test_every_shape_is_understood(body: Any, problem: Problem) -> None:
    assert parse_problem(json.dumps(body), "application/json") == problem


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        pytest.param("", "", None, id="empty"),
        pytest.param(" \n", "text/plain", None, id="blank"),
        pytest.param("<html><head><TITLE>\n 502 Bad\n</TITLE>", "text/html; charset=utf-8",
                     "the body is text/html, not JSON with the title '502 Bad'", id="html"),
        pytest.param("oops", "", "the body is an unnamed type, not JSON", id="text"),
        pytest.param("[1, 2]", "application/json", "the body is application/json, not JSON", id="list"),
        pytest.param("[" * 200_000, "application/json", "the body is application/json, not JSON", id="deep"),
        pytest.param('{"a": ' + "9" * 5000 + "}", "text/json", "the body is text/json, not JSON", id="number without end"),
        pytest.param('{"error_code": "40', "application/json", "the body is application/json, not JSON", id="truncated"),
    ],
)  # fmt: skip
def test_what_is_no_error_body_is_described(text: str, kind: str, detail: str | None) -> None:
    assert parse_problem(text, kind) == Problem(detail=detail)


@given(st.text(), st.text())
def test_no_text_is_an_error(text: str, kind: str) -> None:
    parse_problem(text, kind)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(
    [
        "error_code",
        "error",
        "code",
        "type",
        "title",
        "message",
        "detail",
        "report",
        "additionalContext",
        "retryAfterMs",
    ]
)


@given(st.dictionaries(NAMES, JSON_VALUES | st.text().map(json.dumps) | st.just("²")))
def test_no_object_is_an_error(body: dict[str, Any]) -> None:
    problem = parse_problem(json.dumps(body), "application/json")
    assert all(
        value is None or isinstance(value, str) for value in (problem.code, problem.title, problem.detail)
    )


def test_a_huge_error_body_becomes_a_short_text(client: CatalogClient, desk: Desk) -> None:
    noise = "x" * 300_000
    desk.break_next(
        {"status": 400, "body": {"title": noise, "detail": f"{noise}\n\n{noise}"}}, path="/data/*"
    )
    with pytest.raises(ApiError) as caught:
        client.create_batch(JSON_LINES)
    assert len(str(caught.value)) < 3 * TEXT_LIMIT
    assert "…" in str(caught.value)


def test_an_error_page_is_understood_whatever_encoding_it_names(make_client: MakeClient) -> None:
    page = answer(
        502, "<title>Bad day \N{MULTIPLICATION SIGN} 2</title>", kind="text/html; charset=undefined"
    )
    with peer(page) as server, pytest.raises(ApiError, match=r"with the title 'Bad day . 2'"):
        make_client(server.url, access_token="ready", attempts=1).get_batch("B1")


def test_a_page_of_openings_is_read_as_fast_as_any_other() -> None:
    started = time.process_time()
    parse_problem("<title" * 40_000, "text/html")
    assert time.process_time() - started < 1, "it grows with the square of the length"


def test_an_error_text_is_one_line(client: CatalogClient, desk: Desk) -> None:
    desk.break_next(
        {"status": 400, "body": {"title": "one\r\ntwo", "detail": "three\n\tfour"}}, path="/data/*"
    )
    with pytest.raises(ApiError) as caught:
        client.create_batch(JSON_LINES)
    assert (caught.value.failure.title, caught.value.failure.detail) == ("one two", "three four")


class TestEchoedSecrets:
    """Servers and proxies that quote in their answers what they were sent."""

    TOKEN = "token/with+signs=="
    SECRET = "secret/with+signs&more"

    def everything_said(self, error: CatalogError, caplog: pytest.LogCaptureFixture) -> str:
        """All places to which an exception's words go."""
        file = io.StringIO()
        traceback.print_exception(error, file=file)
        logging.getLogger("airflow_provider_catalog").error("failed", exc_info=error)
        pickled = pickle.dumps(error).decode("latin-1")
        return "\n".join(
            [str(error), repr(error), pickled, file.getvalue(), caplog.text, str(copy.copy(error))]
        )

    def echoes(self) -> list[str]:
        shown = [self.TOKEN, self.SECRET, quote_plus(self.TOKEN), quote_plus(self.SECRET)]
        return [f"before {each} after" for each in shown]

    def check(self, client: CatalogClient, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with pytest.raises(CatalogError) as caught:
            client.create_batch(JSON_LINES)
        said = self.everything_said(caught.value, caplog)
        for secret in (self.TOKEN, self.SECRET):
            assert secret not in said
            assert quote_plus(secret) not in said

    @pytest.mark.parametrize("status", [400, 403, 429, 503])
    @pytest.mark.parametrize("field", ["error_code", "title", "detail", "message", "request-id"])
    def test_no_field_of_an_error_body_gives_them_away(
        self, make_client: MakeClient, caplog: pytest.LogCaptureFixture, status: int, field: str
    ) -> None:
        body = json.dumps({field: " ".join(self.echoes())})
        with peer(answer(200, json.dumps({"access_token": self.TOKEN})), answer(status, body)) as server:
            self.check(make_client(server.url, client_secret=self.SECRET, attempts=2), caplog)

    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param(lambda echo: answer(500, f"<title>{echo}</title>", kind="text/html"), id="html title"),
            pytest.param(lambda echo: answer(500, "x", kind=echo), id="content type of an error"),
            pytest.param(lambda echo: answer(200, "x", kind=echo), id="content type of an answer"),
            pytest.param(lambda echo: answer(200, json.dumps({"id": echo})), id="id"),
            pytest.param(lambda echo: answer(200, json.dumps([echo])), id="list"),
            pytest.param(lambda echo: answer(400, "{}", x_request_id=echo), id="request id"),
            pytest.param(lambda echo: answer(302, Location=f"http://other/?{echo}"), id="location"),
        ],
    )  # fmt: skip
    def test_no_part_of_an_answer_gives_them_away(
        self, make_client: MakeClient, caplog: pytest.LogCaptureFixture, reply: Any
    ) -> None:
        token = answer(200, json.dumps({"access_token": self.TOKEN}))
        with peer(token, reply(" ".join(self.echoes()))) as server:
            self.check(make_client(server.url, client_secret=self.SECRET), caplog)

    def test_a_key_of_an_answer_does_not_give_them_away(
        self, make_client: MakeClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with peer(answer(200, json.dumps({self.TOKEN: "no object"}))) as server:
            client = make_client(server.url, access_token=self.TOKEN, attempts=1)
            with pytest.raises(CatalogError) as caught:
                client.get_batch("B1")
        assert self.TOKEN not in self.everything_said(caught.value, caplog)

    @pytest.mark.parametrize("status", [400, 401, 500])
    def test_the_identity_service_gives_nothing_away(
        self, make_client: MakeClient, caplog: pytest.LogCaptureFixture, status: int
    ) -> None:
        body = json.dumps(
            {"error": "invalid_client", "error_description": f"{self.SECRET} {quote_plus(self.SECRET)}"}
        )
        with peer(answer(status, body)) as server:
            self.check(
                make_client(server.url, client_secret=self.SECRET, access_token=None, attempts=2), caplog
            )

    def test_a_run_with_good_and_bad_calls_logs_neither(
        self, client: CatalogClient, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        batch_id = client.create_batch(JSON_LINES)
        desk.expire_tokens()
        desk.break_next({"status": 503}, path="/data/*")
        client.complete_batch(batch_id)
        with pytest.raises(ApiError):
            client.get_batch("UNKNOWN")
        assert len(desk.emulator.issued_tokens) == 2
        assert "/ims/token/v3" in caplog.text
        for secret in (LOCAL_SECRET, *desk.emulator.issued_tokens):
            assert secret not in caplog.text
