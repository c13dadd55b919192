"""Waiting for a batch in the process that loaded it."""

from __future__ import annotations

import pytest
from client_stage import MakeClient, Pauses
from desk import BATCHES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    BatchFailedError,
    BatchStalledError,
    LostSightError,
)
from airflow_provider_catalog.ingest import watch
from airflow_provider_catalog.ingest.waiting import Patience, wait_for

pytestmark = pytest.mark.usefixtures("patience")

MINUTELY = Patience(poll_interval=60, timeout=3600)


def test_it_ends_when_the_batch_is_promoted(
    client: CatalogClient, desk: Desk, batch_id: str, patience: Pauses
) -> None:
    desk.set(promotion_seconds=300, empty_batch="success")
    client.complete_batch(batch_id)
    batch = wait_for(client, batch_id, MINUTELY)
    assert (batch.id, batch.status) == (batch_id, "success")
    assert patience == [60.0] * 5
    assert desk.looks() == 6


def test_it_does_not_pause_before_the_first_look(
    client: CatalogClient, desk: Desk, batch_id: str, patience: Pauses
) -> None:
    desk.hold(batch_id, "success")
    wait_for(client, batch_id, MINUTELY)
    assert patience == []


@pytest.mark.parametrize("status", ["failed", "aborted", "abandoned"])
def test_it_fails_with_the_batch(client: CatalogClient, desk: Desk, batch_id: str, status: str) -> None:
    desk.hold(batch_id, status, errors=[{"code": "INGEST-1401-400", "description": "A row is corrupt."}])
    with pytest.raises(BatchFailedError, match="INGEST-1401-400") as caught:
        wait_for(client, batch_id, MINUTELY)
    assert caught.value.batch.status == status


def test_it_fails_with_a_batch_that_stays_stalled(client: CatalogClient, desk: Desk, batch_id: str) -> None:
    desk.hold(batch_id, "stalled")
    with pytest.raises(BatchStalledError):
        wait_for(client, batch_id, Patience(60, 3600, stalled_grace=0))


def test_it_ends_in_time_and_lets_another_try_go_on(
    client: CatalogClient, desk: Desk, batch_id: str, patience: Pauses
) -> None:
    desk.hold(batch_id, "staging")
    with pytest.raises(
        LostSightError, match="not promoted within 150 s; another try goes on waiting"
    ) as caught:
        wait_for(client, batch_id, Patience(poll_interval=60, timeout=150))
    assert not caught.value.permanent
    assert patience == [60, 60, 30]


def test_it_looks_once_more_at_the_end(client: CatalogClient, desk: Desk, batch_id: str) -> None:
    desk.set(promotion_seconds=100, empty_batch="success")
    client.complete_batch(batch_id)
    assert wait_for(client, batch_id, Patience(poll_interval=3600, timeout=150)).status == "success"
    assert desk.looks() == 2


def test_no_time_at_all_is_one_look(client: CatalogClient, desk: Desk, batch_id: str) -> None:
    desk.hold(batch_id, "staging")
    with pytest.raises(LostSightError):
        wait_for(client, batch_id, Patience(poll_interval=60, timeout=0))
    assert desk.looks() == 1


def test_trouble_on_the_way_changes_nothing(make_client: MakeClient, desk: Desk, batch_id: str) -> None:
    client = make_client(desk.url, attempts=1)
    desk.break_next({"status": 503}, f"{BATCHES}/*", times=3)
    desk.break_next({"drop": "before"}, f"{BATCHES}/*", times=3)
    desk.break_next({"status": 404}, f"{BATCHES}/*", times=3)
    desk.hold(batch_id, "success")
    assert wait_for(client, batch_id, MINUTELY).status == "success"
    assert desk.looks() == 10


def test_trouble_that_lasts_ends_it_for_now(make_client: MakeClient, desk: Desk, batch_id: str) -> None:
    desk.break_next({"status": 503}, f"{BATCHES}/*", times=None)
    with pytest.raises(LostSightError, match="Nothing useful was heard") as caught:
        wait_for(make_client(desk.url, attempts=1), batch_id, Patience(60, 3600, max_unreachable=0))
    assert not caught.value.permanent


def test_a_refusal_that_lasts_ends_it(
    client: CatalogClient, desk: Desk, batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REFUSAL_GRACE", 0)
    desk.break_next({"status": 403}, f"{BATCHES}/*", times=None)
    with pytest.raises(ApiError, match="403"):
        wait_for(client, batch_id, MINUTELY)


def test_it_pauses_for_as_long_as_the_platform_asks(
    make_client: MakeClient, desk: Desk, batch_id: str, patience: Pauses
) -> None:
    desk.break_next({"status": 429, "headers": {"Retry-After": "200"}}, f"{BATCHES}/*")
    desk.hold(batch_id, "success")
    wait_for(make_client(desk.url, attempts=1), batch_id, MINUTELY)
    assert patience == [pytest.approx(200, abs=2)]


def test_it_does_not_pause_beyond_its_end(
    make_client: MakeClient, desk: Desk, batch_id: str, patience: Pauses
) -> None:
    desk.break_next({"status": 429, "headers": {"Retry-After": "200"}}, f"{BATCHES}/*", times=None)
    with pytest.raises(LostSightError):
        wait_for(make_client(desk.url, attempts=1), batch_id, Patience(poll_interval=60, timeout=90))
    assert sum(patience) == 90
