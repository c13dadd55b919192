"""Nothing that passes by itself ends a wait; what stays does, with the reason."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from desk import BATCHES, Desk
from tasks import Visit

from airflow_provider_catalog.api.errors import LostSightError
from airflow_provider_catalog.emulator.server import running
from airflow_provider_catalog.ingest import watch

Wait = Callable[..., Visit]

LOGIN_PAGE = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<title>Sign in</title>"}
BAD_GATEWAY = {"status": 502, "headers": {"Content-Type": "text/html"}, "body": "<h1>Bad Gateway</h1>"}
REFUSED_TOKEN = {"status": 401, "body": {"error_code": "401013", "message": "Oauth token is not valid"}}

PASSING: dict[str, tuple[dict[str, Any], int]] = {
    "500": ({"status": 500}, 1),
    "502 with a page": (BAD_GATEWAY, 1),
    "503 with Retry-After": ({"status": 503, "headers": {"Retry-After": "0"}}, 1),
    "504": ({"status": 504}, 1),
    "429 with Retry-After": ({"status": 429, "headers": {"Retry-After": "0"}}, 1),
    "429 without": ({"status": 429, "body": {"error_code": "429050", "message": "Too many requests"}}, 1),
    "reset": ({"drop": "before"}, 1),
    "two resets": ({"drop": "before"}, 2),
    "answer lost": ({"drop": "after"}, 1),
    "answer cut off": ({"truncate": 10}, 1),
    "expired token": ({"expire_token": True}, 1),
    "token refused twice": (REFUSED_TOKEN, 2),
    "login page": (LOGIN_PAGE, 1),
    "array": ({"status": 200, "body": ["nothing", "useful"]}, 1),
    "broken JSON": ({"status": 200, "headers": {"Content-Type": "application/json"}, "body": '{"a": '}, 1),
    "redirect": ({"status": 302, "headers": {"Location": "https://example.com/"}}, 1),
    "short 403": ({"status": 403, "body": {"error_code": "403027"}}, 2),
    "short 404": ({"status": 404}, 2),
    "short 400": ({"status": 400}, 2),
    "twenty errors in a row": ({"status": 503}, 20),
}


@pytest.mark.parametrize(("effect", "times"), PASSING.values(), ids=PASSING)
def test_a_wait_outlives(effect: dict[str, Any], times: int, wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    desk.break_next(effect, f"{BATCHES}/*", times=times)
    assert wait(batch_id).xcoms["return_value"]["status"] == "success"
    assert desk.looks() == 1 + times + 1


@pytest.mark.parametrize(
    "effect", [{"status": 500}, {"drop": "before"}, LOGIN_PAGE], ids=["500", "reset", "page"]
)
def test_a_wait_outlives_trouble_with_the_identity_service(
    effect: dict[str, Any], wait: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    desk.break_next({"expire_token": True}, f"{BATCHES}/*")
    desk.break_next(effect, "/ims/*", times=3)
    assert wait(batch_id).xcoms["return_value"]["status"] == "success"


def test_a_wait_outlives_a_platform_that_is_down(
    wait_on: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(data_dir=tmp_path) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", json.dumps(emulator.connection))
        batch_id = Desk(emulator).open_batch("success")
    with back_after(0.5, emulator.url, tmp_path):
        assert wait_on(batch_id).xcoms["return_value"]["status"] == "success"


@contextmanager
def back_after(seconds: float, url: str, data_dir: Path) -> Iterator[None]:
    """Start another emulator with the same address and the same batches, after a while."""
    done = threading.Event()

    def serve() -> None:
        time.sleep(seconds)
        with running(data_dir=data_dir, port=int(url.rsplit(":", 1)[1])):
            done.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_platform_that_asks_for_time_gets_it(wait_on: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    desk.break_next({"status": 429, "headers": {"Retry-After": "1"}}, f"{BATCHES}/*")
    began = time.monotonic()
    wait_on(batch_id)
    assert time.monotonic() - began >= 1
    assert desk.looks() == 3


LASTING: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "reset": {"drop": "before"},
    "login page": LOGIN_PAGE,
    "refused token": REFUSED_TOKEN,
}


@pytest.mark.parametrize("effect", LASTING.values(), ids=LASTING)
def test_trouble_ends_a_wait_when_it_lasts_too_long_but_airflow_may_try_again(
    effect: dict[str, Any], wait_on: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch("success")
    desk.show(batch_id, status="staging")
    desk.break_next(effect, f"{BATCHES}/*", times=None)
    with pytest.raises(LostSightError, match=f"Nothing useful was heard of batch {batch_id}"):
        wait_on(batch_id, max_unreachable=0.5)
    assert desk.looks() > 3


def test_one_useful_answer_makes_the_patience_new(wait_on: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success")
    for _ in range(6):
        desk.show(batch_id, status="staging")
        desk.break_next({"status": 500}, f"{BATCHES}/*")
    wait_on(batch_id, max_unreachable=0.8, poke_interval=0.1)
    assert desk.looks() == 13


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "400": ({"status": 400, "body": {"title": "BadRequestError"}}, "BadRequestError"),
    "403": ({"status": 403, "body": {"title": "not yours"}}, "not yours"),
    "404": ({"status": 404}, "belongs to the sandbox"),
}


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal counts as lasting after a moment."""
    monkeypatch.setattr(watch, "REFUSAL_GRACE", 0.5)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize(("effect", "said"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_ends_a_wait_when_it_lasts(
    effect: dict[str, Any], said: str, wait: Wait, desk: Desk
) -> None:
    batch_id = desk.open_batch()
    desk.show(batch_id, status="staging")
    desk.break_next(effect, f"{BATCHES}/*", times=None)
    with pytest.raises(AirflowFailException, match=rf"answered with {effect['status']}.*{said}"):
        wait(batch_id)
    assert desk.looks() > 3


@pytest.mark.usefixtures("short_grace")
def test_an_unknown_batch_ends_a_wait(wait: Wait, desk: Desk) -> None:
    with pytest.raises(AirflowFailException, match="404"):
        wait("01HP1Z0A9YZ733QCJN6AXCATHF")
