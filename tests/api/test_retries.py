"""How long the client waits between two tries, and how that is decided."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from client_stage import JSON_LINES, MakeClient, Pauses
from desk import Desk
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    CatalogError,
    Failure,
    InvalidInputError,
    UnreachableError,
)
from airflow_provider_catalog.api.problems import parse_retry_after
from airflow_provider_catalog.api.retries import (
    RETRY_AFTER_LIMIT,
    WAIT_LIMIT,
    Repeat,
    is_repeated,
    pause_after,
)


def api_error(status: int, retry_after: float | None = None) -> ApiError:
    return ApiError(Failure("GET /", status, retry_after=retry_after))


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


class TestPauses:
    @pytest.mark.parametrize("status", [429, 503, 500])
    def test_the_platforms_wish_is_granted(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, status: int
    ) -> None:
        desk.break_next({"status": status, "headers": {"Retry-After": "7"}}, path="/data/*", times=2)
        client.list_sandboxes()
        assert [7 <= pause <= 7 * 1.25 for pause in pauses] == [True] * 2
        assert pauses[0] != pauses[1], "all who were told to wait would come back at once"

    def test_a_create_waits_as_it_is_told(self, client: CatalogClient, desk: Desk, pauses: Pauses) -> None:
        desk.break_next({"status": 429, "headers": {"Retry-After": "7"}}, path="/data/*")
        client.create_batch(JSON_LINES)
        assert [7 <= pause <= 7 * 1.25 for pause in pauses] == [True]

    def test_a_wish_may_be_a_date(self, client: CatalogClient, desk: Desk, pauses: Pauses) -> None:
        effect = {"status": 429, "headers": {"Retry-After": in_seconds(40)}}
        desk.break_next(effect, path="/data/*")
        client.list_sandboxes()
        assert 35 < pauses[0] <= 40 * 1.25

    def test_a_wish_may_be_in_the_body(self, client: CatalogClient, desk: Desk, pauses: Pauses) -> None:
        effect = {
            "status": 429,
            "body": {"message": "Slow down", "retryAfterMs": "1500", "statusCode": "429"},
        }
        desk.break_next(effect, path="/data/*")
        client.list_sandboxes()
        assert [1.5 <= pause <= 1.5 * 1.25 for pause in pauses] == [True]

    @pytest.mark.parametrize(
        "wish", ["86400", "9" * 400, in_seconds(86400)], ids=["a day", "absurd", "tomorrow"]
    )
    def test_an_exaggerated_wish_is_capped(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, wish: str
    ) -> None:
        desk.break_next({"status": 503, "headers": {"Retry-After": wish}}, path="/data/*")
        client.list_sandboxes()
        assert [RETRY_AFTER_LIMIT <= pause <= RETRY_AFTER_LIMIT * 1.25 for pause in pauses] == [True]

    @pytest.mark.parametrize(
        "wish", [None, "0", "soon", "-5", in_seconds(-60)], ids=["none", "0", "word", "negative", "past"]
    )
    def test_without_a_useful_wish_it_waits_at_random_under_a_growing_limit(
        self, desk: Desk, make_client: MakeClient, pauses: Pauses, wish: str | None
    ) -> None:
        headers = {"Retry-After": wish} if wish is not None else {}
        desk.break_next({"status": 503, "headers": headers}, path="/data/*", times=None)
        with pytest.raises(ApiError):
            make_client(desk.url, attempts=10).list_sandboxes()
        limits = [min(2.0**n, WAIT_LIMIT) for n in range(9)]
        assert all(0 < pause <= limit for pause, limit in zip(pauses, limits, strict=True))
        assert len(set(pauses)) == len(pauses)

    def test_each_pause_is_announced_with_its_reason(
        self, client: CatalogClient, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        desk.break_next({"status": 503, "headers": {"Retry-After": "7"}}, path="/data/*")
        client.list_sandboxes()
        (record,) = (record for record in caplog.records if record.levelname == "WARNING")
        assert "was answered with 503; Service Unavailable" in record.getMessage()
        assert re.search(r"Trying again in [78]\.\d s\.$", record.getMessage())


REPEATED: list[tuple[CatalogError, bool, bool]] = [
    (UnreachableError("GET /", "no connection", sent=False), True, True),
    (UnreachableError("GET /", "time-out"), True, False),
    (UnreachableError("GET /", "certificate", sent=False, lasting=True), False, False),
    (api_error(429), True, True),
    *((api_error(status), True, False) for status in (408, 425, 500, 502, 503, 504, 507, 520, 527, 530)),
    *(
        (api_error(status), False, False)
        for status in (301, 400, 401, 403, 404, 409, 412, 413, 414, 415, 501, 505)
    ),
    (InvalidInputError("files", "x", "y"), False, False),
]


class TestTheTable:
    @pytest.mark.parametrize(
        ("error", "safe", "unsent_only"), REPEATED, ids=[str(row[0])[:45] for row in REPEATED]
    )
    def test_what_is_repeated(self, error: CatalogError, safe: bool, unsent_only: bool) -> None:
        assert is_repeated(error, Repeat.SAFE) is safe
        assert is_repeated(error, Repeat.UNSENT_ONLY) is unsent_only

    @pytest.mark.parametrize(
        ("error", "seconds"),
        [
            (api_error(429, 12.5), 12.5),
            (api_error(429, 1e9), RETRY_AFTER_LIMIT),
            (api_error(429), None),
            (UnreachableError("GET /", "time-out"), None),
            (None, None),
        ],
    )  # fmt: skip
    def test_what_the_platform_asks_for(self, error: Any, seconds: float | None) -> None:
        assert pause_after(error) == seconds


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("38", 38.0),
            (" 38 ", 38.0),
            ("0", 0.0),
            pytest.param(in_seconds(-5), 0.0, id="past"),  # its text differs from one process to the next
            ("soon", None),
            ("1.5", None),
            (None, None),
        ],
    )
    def test_what_it_says(self, header: str | None, seconds: float | None) -> None:
        assert parse_retry_after(header) == seconds

    @pytest.mark.parametrize(
        "header", ["9" * 5000, "Mon, 01 Jan 99999999 00:00:00 GMT", "Fri, 99 Foo 2020 99:99:99 +9999", "²"]
    )
    def test_nonsense_is_no_error(self, header: str) -> None:
        parse_retry_after(header)

    @given(st.text())
    def test_no_text_is_an_error(self, header: str) -> None:
        seconds = parse_retry_after(header)
        assert seconds is None or seconds >= 0
