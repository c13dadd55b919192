"""Tokens: when one is asked for, how long it is used, and what happens when there is none."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from client_stage import JSON_LINES, MakeClient, Pauses, settings_for
from desk import Desk
from hypothesis import given
from hypothesis import strategies as st
from peers import answer, closed_port, peer

from airflow_provider_catalog.api import auth
from airflow_provider_catalog.api.auth import LIFETIME_IF_UNSAID, ImsAuth, lifetime_in_seconds
from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    AuthenticationError,
    CatalogError,
    NotFoundError,
    OutcomeUnknownError,
    UnreachableError,
)
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS

IMS = "/ims/token/v3"
LIFETIME = 86_399.0


class Clock:
    """Seconds that go on when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ims_auth(url: str, **arguments: Any) -> ImsAuth:
    changes = {
        name: arguments.pop(name) for name in ("client_secret", "scopes", "client_id") if name in arguments
    }
    return ImsAuth(settings_for(url, **changes), user_agent="tests", **arguments)


class TestHowOftenATokenIsAskedFor:
    def test_once_for_many_threads_that_start_together(self, desk: Desk, make_client: MakeClient) -> None:
        desk.break_next({"delay": 0.1}, path=IMS)
        start = threading.Barrier(8)

        def get_token(client: CatalogClient) -> str:
            start.wait()
            return client.auth.token()

        clients = [make_client(desk.url) for _ in range(8)]
        with ThreadPoolExecutor(8) as threads:
            tokens = set(threads.map(get_token, clients))
        assert tokens == set(desk.emulator.issued_tokens)
        assert len(tokens) == 1

    def test_once_more_for_many_threads_whose_token_was_withdrawn(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        client.auth.token()
        desk.expire_tokens()
        with ThreadPoolExecutor(8) as threads:
            for result in [threads.submit(client.list_sandboxes) for _ in range(8)]:
                assert "dev" in result.result()
        assert len(desk.sent(path=IMS)) == 2

    @pytest.mark.parametrize(
        ("age", "requests"),
        [(0.0, 1), (LIFETIME - 301, 1), (LIFETIME - 299, 2), (LIFETIME + 1, 2)],
        ids=["fresh", "long before its end", "shortly before its end", "after its end"],
    )
    def test_again_some_time_before_the_end(
        self, desk: Desk, clock: Clock, age: float, requests: int
    ) -> None:
        tokens = ims_auth(desk.url, clock=clock)
        tokens.token()
        clock.now += age
        tokens.token()
        assert len(desk.sent(path=IMS)) == requests

    @pytest.mark.parametrize(("age", "requests"), [(53.0, 1), (55.0, 2)], ids=["early", "late"])
    def test_a_short_life_is_used_for_nine_tenths(
        self, desk: Desk, clock: Clock, age: float, requests: int
    ) -> None:
        desk.set(token_lifetime=60)
        tokens = ims_auth(desk.url, clock=clock)
        tokens.token()
        clock.now += age
        tokens.token()
        assert len(desk.sent(path=IMS)) == requests

    @pytest.mark.parametrize(
        "change",
        [{"client_secret": "rotated"}, {"scopes": "openid"}, {"client_id": "other"}, {"ims_host": None}],
        ids=["another secret", "other scopes", "another client", "another IMS"],
    )
    def test_for_each_credential(self, make_client: MakeClient, change: dict[str, Any]) -> None:
        def reply(token: str) -> Any:
            return answer(200, json.dumps({"access_token": token}))

        with peer(reply("first"), reply("second")) as server, peer(reply("second")) as elsewhere:
            if "ims_host" in change:
                change = {"ims_host": elsewhere.url}
            assert make_client(server.url).auth.token() == "first"
            assert make_client(server.url, **change).auth.token() == "second"
            assert make_client(server.url).auth.token() == "first"

    def test_not_at_all_for_a_ready_token(self, desk: Desk, make_client: MakeClient) -> None:
        token = make_client(desk.url).auth.token()
        desk.forget()
        client = make_client(desk.url, access_token=token, client_secret=None)
        assert "dev" in client.list_sandboxes()
        assert desk.sent(path=IMS) == []

    def test_every_new_token_is_told_before_it_is_used(self, desk: Desk, make_client: MakeClient) -> None:
        told: list[str] = []

        def on_token(token: str) -> None:
            assert desk.sent(path="/data/*") == [] or told
            told.append(token)

        client = make_client(desk.url, on_token=on_token)
        client.list_sandboxes()
        desk.expire_tokens()
        client.list_sandboxes()
        assert tuple(told) == desk.emulator.issued_tokens
        assert len(told) == 2


class TestHowLongATokenLives:
    @pytest.mark.parametrize(
        ("said", "seconds"),
        [
            pytest.param(86399, 86399.0, id="seconds"),
            pytest.param("86399", 86399.0, id="text"),
            pytest.param(86399992, 86399.992, id="milliseconds"),
            pytest.param("86399992", 86399.992, id="milliseconds as text"),
            pytest.param(None, LIFETIME_IF_UNSAID, id="absent"),
            pytest.param("soon", LIFETIME_IF_UNSAID, id="word"),
            pytest.param(0, LIFETIME_IF_UNSAID, id="zero"),
            pytest.param(-5, LIFETIME_IF_UNSAID, id="negative"),
            pytest.param("nan", LIFETIME_IF_UNSAID, id="not a number"),
            pytest.param("inf", LIFETIME_IF_UNSAID, id="infinite"),
            pytest.param("1e999", LIFETIME_IF_UNSAID, id="too large"),
        ],
    )
    def test_what_is_said_is_understood(self, clock: Clock, said: Any, seconds: float) -> None:
        body = json.dumps({"access_token": "t", "expires_in": said})
        with peer(answer(200, body)) as server:
            tokens = ims_auth(server.url, clock=clock)
            lead = min(300.0, seconds / 10)
            for age, requests in [(seconds - lead - 1, 1), (2, 2)]:
                tokens.token()
                clock.now += age
                tokens.token()
                assert len(server.received) == requests

    def test_a_token_of_unsaid_length_is_used(self, clock: Clock) -> None:
        with peer(answer(200, '{"access_token": "t"}')) as server:
            assert ims_auth(server.url).token() == "t"

    @given(st.none() | st.text() | st.integers() | st.floats())
    def test_nothing_said_makes_it_endless_or_dead(self, said: Any) -> None:
        assert 0 < lifetime_in_seconds(said) < float("inf")


class TestWhenThereIsNoToken:
    @pytest.mark.parametrize(
        ("change", "status", "code", "advice"),
        [
            ({"client_secret": "wrong"}, 401, "invalid_client", "client secret (password)"),
            ({"client_id": "unknown"}, 400, "invalid_client", "client id (login)"),
            ({"scopes": "everything"}, 400, "invalid_scope", "Check the scopes"),
        ],
        ids=["wrong secret", "unknown client", "unknown scope"],
    )
    def test_a_refused_credential_is_permanent(
        self, desk: Desk, make_client: MakeClient, change: dict[str, str], status: int, code: str, advice: str
    ) -> None:
        with pytest.raises(AuthenticationError) as caught:
            make_client(desk.url, **change).create_batch(JSON_LINES)
        assert caught.value.permanent
        assert (caught.value.failure.status, caught.value.failure.code) == (status, code)
        assert f"POST {IMS}" in str(caught.value)
        assert advice in str(caught.value)
        assert len(desk.sent()) == 1

    def test_an_address_that_is_no_identity_service_is_not_taken_for_a_batch_that_is_not_there(
        self, desk: Desk, make_client: MakeClient
    ) -> None:
        desk.break_next({"status": 404}, path=IMS, times=None)
        for call in (lambda client: client.get_batches(["B1"]), lambda client: client.get_batch("B1")):
            with pytest.raises(AuthenticationError, match="Check ims_host") as caught:
                call(make_client(desk.url))
            assert not isinstance(caught.value, NotFoundError)
            assert caught.value.permanent

    @pytest.mark.parametrize(
        "effect", [{"status": 500}, {"status": 429}, {"status": 503}, {"drop": "after"}], ids=str
    )
    def test_trouble_of_the_identity_service_is_survived(
        self, client: CatalogClient, desk: Desk, effect: dict[str, Any]
    ) -> None:
        desk.break_next(effect, path=IMS, times=DEFAULT_ATTEMPTS - 1)
        assert client.create_batch(JSON_LINES)

    @pytest.mark.parametrize(
        "effect",
        [
            {"status": 500},
            {"status": 429},
            {"status": 503},
            {"drop": "after"},
            {"status": 200, "body": "hello"},
        ],
        ids=str,
    )
    def test_trouble_that_lasts_says_nothing_of_a_batch_that_was_never_asked_for(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, effect: dict[str, Any]
    ) -> None:
        desk.break_next(effect, path=IMS, times=None)
        with pytest.raises(CatalogError) as caught:
            client.create_batch(JSON_LINES)
        assert isinstance(caught.value, ApiError | UnreachableError)
        assert not isinstance(caught.value, OutcomeUnknownError)
        assert not caught.value.permanent
        assert f"POST {IMS}" in str(caught.value)
        assert len(desk.sent(path=IMS)) == DEFAULT_ATTEMPTS
        assert desk.sent(path="/data/*") == []

    def test_an_identity_service_that_cannot_be_reached_is_named(
        self, desk: Desk, make_client: MakeClient
    ) -> None:
        with pytest.raises(
            UnreachableError, match=f"POST {IMS} got no usable answer: can't connect to 127.0.0.1"
        ):
            make_client(desk.url, ims_host=closed_port()).create_batch(JSON_LINES)
        assert desk.sent() == []

    @pytest.mark.parametrize("token", ["", "two words", "line\nbreak", None, 5, "späß"], ids=repr)
    def test_a_token_that_fits_in_no_header_is_not_used(self, make_client: MakeClient, token: Any) -> None:
        with peer(answer(200, json.dumps({"access_token": token}))) as server:
            with pytest.raises(
                UnreachableError, match=r"the answer breaks the rule '\w+' at \$\.access_token"
            ):
                make_client(server.url).auth.token()
            assert all(b"/ims/" in request for request in server.received)


@pytest.fixture
def held_locks() -> Iterator[None]:
    """Another thread is just asking for a token: all locks are taken."""
    locks = [auth._slots_lock, *(slot.lock for slot in auth._slots.values())]
    for lock in locks:
        lock.acquire()
    yield
    for lock in locks:
        lock.release()


def in_child(work: Any) -> int:
    """Run something in a forked process, and give its exit code."""
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestForks:
    def test_a_child_of_a_process_whose_locks_were_held_goes_on_with_its_token(
        self, client: CatalogClient, desk: Desk, request: pytest.FixtureRequest
    ) -> None:
        client.auth.token()
        request.getfixturevalue("held_locks")

        def child_works() -> bool:
            threading.Timer(20, os._exit, [2]).start()
            return ims_auth(desk.url).token() != ""

        assert in_child(child_works) == 0
        assert len(desk.sent(path=IMS)) == 1
