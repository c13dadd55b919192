"""Every way to get no usable answer: lost ones, platforms that can't be reached, and redirects, which are not followed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from calls import BATCH, SAFE_CALLS, Call, create, raised_by, rows
from client_stage import JSON_LINES, MakeClient, Pauses
from desk import CRM_PROFILES, Desk
from peers import Act, answer, closed_port, deaf_port, hang_up, peer, reset, say, silence

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import AuthenticationError, OutcomeUnknownError, UnreachableError
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS


def broken(name: str, act: Act | dict[str, Any], reason: str) -> Any:
    return pytest.param(act, reason, id=name)


LATE = "did not answer in time"

# Ways to lose an answer: those that the emulator knows, by their effect, the others by what a raw server does.
LOST_ANSWERS = [
    broken("reset before the work", {"drop": "before"}, "broke"),
    broken("reset after the work", {"drop": "after"}, "broke"),
    broken("html with status 200", {"status": 200, "body": "<html>Sign in</html>", "headers": {"content-type": "text/html"}},
           "200 with a body that is not JSON (text/html"),
    broken("empty 200", {"status": 200}, "not JSON"),
    broken("a list instead of an object", {"status": 200, "body": [1]}, "the rule 'type' at $"),
    broken("truncated body", {"status": 200, "body": {"id": BATCH}, "truncate": 5}, "broke"),
    broken("reset", reset(), "broke (Connection reset by peer)"),
    broken("closed without an answer", hang_up(), "broke"),
    broken("closed in the head", hang_up(b"HTTP/1.1 200 OK\r\nContent-"), ""),
    broken("no HTTP", hang_up(b"SSH-2.0-OpenSSH_9.6\r\n"), "broke"),
    broken("broken chunks", hang_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "broke"),
    broken("gzip that is none", answer(200, "no gzip", Content_Encoding="gzip"), "broke"),
    broken("truncated head and body", hang_up(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"id"'), "broke"),
    broken("deep nesting", answer(200, "[" * 100_000), "not JSON"),
    broken("a number without end", answer(200, '{"id": ' + "1" * 5000 + "}"), "not JSON"),
    broken("bytes that are no text", answer(200, b"\xff\xfe\x00{"), "not JSON"),
    broken("silence", silence(), LATE),
    broken("a head that comes to nothing", say(b"HTTP/1.1 200 OK\r\n"), LATE),
    broken("a body that comes to nothing", say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), LATE),
]  # fmt: skip


class TestAnswersThatAreLost:
    @pytest.fixture
    def lossy(self, request: pytest.FixtureRequest, make_client: MakeClient) -> Any:
        """``lossy(act, timeout)`` gives a client that loses every answer, and a count of the calls that arrived."""

        def meet(act: Act | dict[str, Any], timeout: float) -> tuple[CatalogClient, Callable[[], int]]:
            if isinstance(act, dict):
                desk: Desk = request.getfixturevalue("desk")
                desk.break_next(act, path="/data/*", times=None)
                return make_client(desk.url), lambda: len(desk.sent(path="/data/*"))
            server = peer(act)
            request.addfinalizer(lambda: server.__exit__(None, None, None))
            address = server.__enter__()
            client = make_client(address.url, access_token="ready", timeout=timeout)
            return client, lambda: len(address.received)

        return meet

    @pytest.mark.parametrize(("act", "reason"), LOST_ANSWERS)
    def test_a_safe_call_is_repeated_and_then_given_up_for_now(
        self, lossy: Any, pauses: Pauses, act: Act | dict[str, Any], reason: str
    ) -> None:
        client, count = lossy(act, timeout=0.2 if reason == LATE else 10.0)
        error = raised_by(lambda client: client.get_batch(BATCH), client)
        assert isinstance(error, UnreachableError)
        assert not error.permanent
        assert reason in str(error)
        assert f"GET /data/foundation/catalog/batches/{BATCH}" in str(error)
        assert count() == DEFAULT_ATTEMPTS
        assert len(pauses) == DEFAULT_ATTEMPTS - 1

    @pytest.mark.parametrize(("act", "reason"), LOST_ANSWERS)
    def test_a_create_is_never_sent_twice(
        self, lossy: Any, pauses: Pauses, act: Act | dict[str, Any], reason: str
    ) -> None:
        client, count = lossy(act, timeout=0.05 if reason == LATE else 10.0)
        error = raised_by(create, client)
        assert isinstance(error, OutcomeUnknownError)
        assert not error.permanent
        assert reason in str(error)
        assert count() == 1
        assert pauses == []

    def test_what_went_wrong_before_a_create_does_not_count_as_its_own_trouble(
        self, make_client: MakeClient, pauses: Pauses
    ) -> None:
        with peer(hang_up()) as server:
            client = make_client(server.url, access_token="ready")
            try:
                create(make_client(closed_port(), access_token="ready", attempts=1))
            except UnreachableError:
                # The refused connection is still being handled; of the next call it tells nothing.
                error = raised_by(create, client)
        assert isinstance(error, OutcomeUnknownError)
        assert len(server.received) == 1
        assert pauses == []

    @pytest.mark.parametrize(
        "call",
        [
            lambda client, batch_id: client.get_batch(batch_id),
            lambda client, batch_id: client.put_file(batch_id, CRM_PROFILES, "rows.json", rows),
            lambda client, batch_id: client.complete_batch(batch_id),
        ],
        ids=["read", "put", "complete"],
    )
    @pytest.mark.parametrize("drop", ["before", "after"])
    def test_one_lost_connection_is_not_noticed_by_the_caller(
        self, client: CatalogClient, desk: Desk, drop: str, call: Callable[[CatalogClient, str], Any]
    ) -> None:
        batch_id = create(client)
        client.put_file(batch_id, CRM_PROFILES, "rows.json", rows)
        desk.forget()
        desk.break_next({"drop": drop}, path="/data/*")
        call(client, batch_id)
        assert [sent.status for sent in desk.sent(path="/data/*")] == ["dropped", 200]

    def test_the_external_id_helps_to_find_a_batch_of_which_nothing_was_heard(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.break_next({"drop": "after"}, path="/data/*")
        with pytest.raises(OutcomeUnknownError, match="Search the Catalog for externalId run-1") as caught:
            client.create_batch({**JSON_LINES, "externalId": "run-1"})
        assert caught.value.external_id == "run-1"
        assert len(list(client.list_batches(external_id="run-1"))) == 1

    @pytest.mark.parametrize("call", ["put", "complete"])
    def test_no_body_is_asked_for_where_the_documentation_shows_none(
        self, make_client: MakeClient, call: str
    ) -> None:
        with peer(answer(200, b"{nonsense", kind="text/plain"), answer(200, kind="text/html")) as server:
            client = make_client(server.url, access_token="ready")
            for _ in range(2):
                SAFE_CALLS[call][1](client)
        assert len(server.received) == 2

    @pytest.mark.parametrize("call", ["put", "complete"])
    def test_a_page_to_sign_in_is_not_taken_for_consent(
        self, make_client: MakeClient, pauses: Pauses, call: str
    ) -> None:
        page = answer(200, "<html>Sign in</html>", kind="text/html; charset=utf-8")
        with peer(page, answer(200)) as server:
            SAFE_CALLS[call][1](make_client(server.url, access_token="ready"))
        assert len(server.received) == 2
        assert len(pauses) == 1


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class TestPlatformsThatCannotBeReached:
    @pytest.mark.parametrize(
        "call", [create, *(call for _, call in SAFE_CALLS.values())], ids=["create", *SAFE_CALLS]
    )
    def test_a_refused_connection_is_tried_again_since_nothing_was_sent(
        self, make_client: MakeClient, pauses: Pauses, call: Call
    ) -> None:
        error = raised_by(call, make_client(closed_port(), access_token="ready"))
        assert isinstance(error, UnreachableError)
        assert (error.permanent, error.sent) == (False, False)
        assert "Connection refused" in str(error)
        assert len(pauses) == DEFAULT_ATTEMPTS - 1

    def test_what_is_left_behind_it_keeps_no_request(self, make_client: MakeClient) -> None:
        error = raised_by(create, make_client(closed_port(), access_token="ready"))
        causes = list(chain_of(error))
        assert any(isinstance(cause, requests.RequestException) for cause in causes)
        assert [cause for cause in causes if getattr(cause, "request", None) is not None] == []

    @pytest.mark.parametrize("call", [create, SAFE_CALLS["read"][1]], ids=["create", "read"])
    def test_a_connection_that_is_not_taken_in_time_is_tried_again(
        self, make_client: MakeClient, pauses: Pauses, call: Call
    ) -> None:
        with deaf_port() as url:
            error = raised_by(call, make_client(url, access_token="ready", timeout=0.05))
        assert isinstance(error, UnreachableError)
        assert (error.permanent, error.sent) == (False, False)
        assert "did not take the connection in time" in str(error)
        assert len(pauses) == DEFAULT_ATTEMPTS - 1

    @pytest.mark.parametrize("call", [create, SAFE_CALLS["read"][1]], ids=["create", "read"])
    def test_a_proxy_that_is_down_is_tried_again_since_nothing_went_through(
        self, make_client: MakeClient, pauses: Pauses, monkeypatch: pytest.MonkeyPatch, call: Call
    ) -> None:
        monkeypatch.setenv("https_proxy", closed_port().replace("//", "//user:word@"))
        error = raised_by(call, make_client("https://platform.invalid", access_token="ready"))
        assert isinstance(error, UnreachableError)
        assert (error.permanent, error.sent) == (False, False)
        assert "the proxy on the way to platform.invalid failed (Connection refused)" in str(error)
        assert "word" not in "".join(traceback.format_exception(error))
        assert len(pauses) == DEFAULT_ATTEMPTS - 1

    def test_a_proxy_that_lets_nobody_through_is_named_with_what_it_says(
        self, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with peer(hang_up(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            error = raised_by(
                create, make_client("https://platform.invalid", access_token="ready", attempts=1)
            )
            assert isinstance(error, UnreachableError)
            assert "Tunnel connection failed: 407 Proxy Authentication Required" in str(error)
            assert b"ready" not in b"".join(proxy.received)

    def test_a_host_without_an_address_is_tried_again(self, make_client: MakeClient, pauses: Pauses) -> None:
        error = raised_by(create, make_client("https://platform.invalid", access_token="ready"))
        assert isinstance(error, UnreachableError)
        assert (error.permanent, error.sent) == (False, False)
        assert len(pauses) == DEFAULT_ATTEMPTS - 1


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_the_other_server_sees_nothing(self, make_client: MakeClient, status: int) -> None:
        with peer(answer(200, "{}")) as other, peer(answer(status, Location=f"{other.url}/data")) as server:
            client = make_client(server.url, access_token="ready")
            for call in (create, *(call for _, call in SAFE_CALLS.values())):
                assert "not followed" in str(raised_by(call, client))
            assert len(server.received) == 4
            assert other.received == []

    def test_a_secret_does_not_follow_a_redirect_of_ims(self, make_client: MakeClient) -> None:
        with peer(answer(200, "{}")) as other, peer(answer(307, Location=f"{other.url}/ims")) as server:
            error = raised_by(create, make_client(server.url))
            assert isinstance(error, AuthenticationError)
            assert error.permanent
            assert "ims_host" in str(error)
            assert other.received == []
