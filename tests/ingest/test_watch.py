"""What each look at a batch means for somebody who waits for it, on a clock that the test drives."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from airflow_provider_catalog.api.errors import (
    ApiError,
    AuthenticationError,
    BatchFailedError,
    BatchStalledError,
    CatalogError,
    Failure,
    LostSightError,
    NotFoundError,
    UnreachableError,
)
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest.watch import REFUSAL_GRACE, BatchWatch

NOON = 1_711_652_400.0


@pytest.fixture
def watch() -> BatchWatch:
    return BatchWatch("B1", stalled_grace=600, max_unreachable=1800)


def batch(status: str, **record: Any) -> Batch:
    return Batch.parse("B1", {"status": status, **record})


def answer(status: int, retry_after: float | None = None) -> ApiError:
    kind = {401: AuthenticationError, 404: NotFoundError}.get(status, ApiError)
    return kind(Failure("GET /batches/B1", status, title="Words of the platform", retry_after=retry_after))


TROUBLE = [
    answer(500),
    answer(502),
    answer(503),
    answer(504),
    answer(429),
    answer(401),
    UnreachableError("GET /", "reset"),
]


class TestVerdicts:
    @pytest.mark.parametrize("status", ["success", "active", "Success", "ACTIVE"])
    def test_a_promoted_batch_ends_the_wait(self, watch: BatchWatch, status: str) -> None:
        assert watch.saw(batch(status), NOON)

    @pytest.mark.parametrize("status", ["inactive", "deleted", "archived", "retained"])
    @pytest.mark.parametrize(
        "trace",
        [{"completed": 1_711_652_400_000}, {"tags": {"acp_successor": ["B2"]}}],
        ids=["completed", "successor"],
    )
    def test_a_batch_that_was_promoted_and_replaced_ends_it_as_well(
        self, watch: BatchWatch, status: str, trace: dict[str, Any]
    ) -> None:
        assert watch.saw(batch(status, **trace), NOON)

    @pytest.mark.parametrize("status", ["failed", "failure", "aborted", "abandoned", "Failed", "inactive"])
    def test_a_batch_that_was_given_up_fails_it_with_the_platforms_errors(
        self, watch: BatchWatch, status: str
    ) -> None:
        with pytest.raises(
            BatchFailedError, match=r"Batch B1 ended as '\w+'\. Errors: 106: An empty file"
        ) as caught:
            watch.saw(batch(status, errors=[{"code": "106", "description": "An empty file"}]), NOON)
        assert caught.value.permanent

    @pytest.mark.parametrize(
        "status", ["loading", "loaded", "queued", "staging", "processing", "staged", "retrying", "paused", ""]
    )
    def test_any_other_batch_is_waited_for_however_long(self, watch: BatchWatch, status: str) -> None:
        assert not watch.saw(batch(status), NOON)
        assert not watch.saw(batch(status), NOON + 10**9)

    @pytest.mark.parametrize(
        ("status", "level", "words"),
        [
            ("retrying", logging.WARNING, "Batch B1 is retrying"),
            ("stalled", logging.WARNING, "Batch B1 is stalled; the wait fails if that lasts for 0:10:00"),
            ("paused", logging.WARNING, "unknown status 'paused'"),
            ("loading", logging.INFO, "has not been signalled"),
            ("staging", logging.INFO, "Batch B1 is staging"),
            ("success", logging.INFO, "Batch B1 is success"),
        ],
    )
    def test_each_new_status_is_announced_once(
        self, watch: BatchWatch, caplog: pytest.LogCaptureFixture, status: str, level: int, words: str
    ) -> None:
        caplog.set_level(logging.INFO, "airflow_provider_catalog")
        for second in range(3):
            watch.saw(batch(status), NOON + second)
        assert [record.levelno for record in caplog.records] == [level]
        assert words in caplog.text


class TestStalledBatches:
    def test_are_waited_for_until_the_grace_is_over(self, watch: BatchWatch) -> None:
        assert not watch.saw(batch("stalled"), NOON)
        assert not watch.saw(batch("stalled"), NOON + 599)
        with pytest.raises(BatchStalledError, match="Ask Adobe's support") as caught:
            watch.saw(batch("stalled"), NOON + 600)
        assert caught.value.permanent

    def test_that_move_on_get_a_new_grace(self, watch: BatchWatch) -> None:
        watch.saw(batch("stalled"), NOON)
        watch.saw(batch("processing"), NOON + 500)
        assert not watch.saw(batch("stalled"), NOON + 601)
        assert not watch.saw(batch("stalled"), NOON + 1200)
        with pytest.raises(BatchStalledError):
            watch.saw(batch("stalled"), NOON + 1201)

    def test_are_known_to_be_so_since_the_catalog_says_it(self, watch: BatchWatch) -> None:
        since = int((NOON - 500) * 1000)
        assert not watch.saw(batch("stalled", updated=since), NOON)
        with pytest.raises(BatchStalledError):
            watch.saw(batch("stalled", updated=since), NOON + 100)

    def test_get_no_more_time_from_updates_or_from_a_clock_that_is_ahead(self, watch: BatchWatch) -> None:
        watch.saw(batch("stalled", updated=int((NOON + 9999) * 1000)), NOON)
        with pytest.raises(BatchStalledError):
            watch.saw(batch("stalled", updated=int((NOON + 599) * 1000)), NOON + 600)

    def test_fail_at_once_without_a_grace(self) -> None:
        with pytest.raises(BatchStalledError):
            BatchWatch("B1", stalled_grace=0).saw(batch("stalled"), NOON)


class TestTrouble:
    @pytest.mark.parametrize("error", TROUBLE, ids=lambda error: str(error)[:40])
    def test_is_tolerated_for_a_time_and_not_for_a_count(
        self, watch: BatchWatch, error: CatalogError
    ) -> None:
        for second in range(0, 1800, 10):
            watch.missed(error, NOON + second)
        with pytest.raises(
            LostSightError, match="Nothing useful was heard of batch B1 for 0:30:00"
        ) as caught:
            watch.missed(error, NOON + 1800)
        assert str(error) in str(caught.value)
        assert not caught.value.permanent

    def test_counts_from_the_last_useful_look(self, watch: BatchWatch) -> None:
        watch.missed(answer(503), NOON)
        watch.saw(batch("staging"), NOON + 1799)
        watch.missed(answer(503), NOON + 1801)
        watch.missed(answer(503), NOON + 3600)
        with pytest.raises(LostSightError):
            watch.missed(answer(503), NOON + 3601)

    def test_of_several_kinds_is_one_trouble(self, watch: BatchWatch) -> None:
        for minute, error in enumerate(TROUBLE):
            watch.missed(error, NOON + 60 * minute)
        with pytest.raises(LostSightError):
            watch.missed(answer(503), NOON + 1800)

    def test_is_logged_each_time(self, watch: BatchWatch, caplog: pytest.LogCaptureFixture) -> None:
        watch.missed(answer(503), NOON)
        watch.missed(UnreachableError("GET /", "it rained"), NOON + 1)
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
        assert "goes on waiting. GET /batches/B1 was answered with 503" in caplog.text

    @pytest.mark.parametrize(
        ("wish", "pause"), [(30.0, 30.0), (10_000.0, 300.0), (None, 0.0)], ids=["given", "capped", "none"]
    )
    def test_tells_when_to_ask_again(self, watch: BatchWatch, wish: float | None, pause: float) -> None:
        watch.missed(answer(429, wish), NOON)
        assert watch.quiet_seconds == pytest.approx(pause, abs=2)

    def test_asks_again_in_time_where_the_clock_is_put_back(
        self, watch: BatchWatch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watch.missed(answer(429, 30.0), time.time())
        monkeypatch.setattr(time, "time", lambda: NOON)
        assert watch.quiet_seconds <= 30


class TestRefusals:
    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_end_the_wait_if_they_last(self, watch: BatchWatch, status: int) -> None:
        watch.missed(answer(status), NOON)
        assert watch.is_refused
        watch.missed(answer(status), NOON + REFUSAL_GRACE - 1)
        with pytest.raises(ApiError, match=f"answered with {status}; Words of the platform") as caught:
            watch.missed(answer(status), NOON + REFUSAL_GRACE)
        assert caught.value.permanent

    @pytest.mark.parametrize(
        "relief", [lambda watch: watch.saw(batch("staging"), NOON + 60), lambda watch: watch.missed(answer(503), NOON + 60)],
        ids=["a look", "other trouble"],
    )  # fmt: skip
    def test_must_last_without_a_break(self, watch: BatchWatch, relief: Any) -> None:
        watch.missed(answer(404), NOON)
        relief(watch)
        assert not watch.is_refused
        watch.missed(answer(404), NOON + REFUSAL_GRACE)
        with pytest.raises(NotFoundError):
            watch.missed(answer(404), NOON + 2 * REFUSAL_GRACE)

    @pytest.mark.parametrize("status", [401, 409, 413, 418, 302])
    def test_of_other_kinds_are_trouble_like_any_other(self, watch: BatchWatch, status: int) -> None:
        watch.missed(answer(status), NOON)
        assert not watch.is_refused
        watch.missed(answer(status), NOON + 1799)
        with pytest.raises(LostSightError):
            watch.missed(answer(status), NOON + 1800)

    def test_of_a_credential_say_nothing_of_the_batch(self, watch: BatchWatch) -> None:
        refused = AuthenticationError(Failure("POST /ims/token/v3", 400, code="invalid_client"))
        watch.missed(refused, NOON)
        watch.missed(refused, NOON + 2 * REFUSAL_GRACE)
        assert not watch.is_refused

    def test_a_batch_that_is_not_shown_yet_is_no_reason_to_warn(
        self, watch: BatchWatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "airflow_provider_catalog")
        watch.missed(answer(404), NOON)
        assert [record.levelname for record in caplog.records] == ["INFO"]
        assert "does not show batch B1 yet" in caplog.text
