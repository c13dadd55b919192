"""What a cleared task left behind: found by its owner, and replaced, kept or taken as it is."""

from __future__ import annotations

from typing import Any

import pytest
from attempts import FIRST, attempt
from client_stage import JSON_LINES, Pauses
from desk import BATCHES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import BatchStalledError, BatchStateError, LostSightError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.identity import LogicalAttempt
from airflow_provider_catalog.ingest.opening import Opening
from airflow_provider_catalog.ingest.reruns import earlier_batches, replaceable, still_counting
from airflow_provider_catalog.ingest.waiting import Patience

pytestmark = pytest.mark.usefixtures("patience")

CLEARED = attempt(clears=1)
PATIENCE = Patience(poll_interval=10, timeout=600)


def left(
    client: CatalogClient, desk: Desk, status: str = "success", whose: LogicalAttempt = FIRST, **parts: Any
) -> str:
    """Leave a batch of an attempt in a status; the next one is younger."""
    batch_id = Opening(client, whose, JSON_LINES).create().id
    desk.advance(1)
    if status != "loading":
        desk.hold(batch_id, status, **parts)
    desk.forget()
    return batch_id


def found(client: CatalogClient, whose: LogicalAttempt = CLEARED) -> list[str]:
    return [batch.id for batch in earlier_batches(client, whose)]


def signals(desk: Desk) -> list[str]:
    return [sent.query["action"] for sent in desk.sent("POST", "/data/foundation/import/batches/*")]


class TestEarlierBatches:
    def test_are_none_of_a_task_that_was_never_cleared(self, client: CatalogClient, desk: Desk) -> None:
        left(client, desk)
        assert found(client, FIRST) == []
        assert desk.sent() == []

    def test_are_found_oldest_first_whatever_became_of_them(self, client: CatalogClient, desk: Desk) -> None:
        ids = [left(client, desk, status) for status in ("failed", "success", "staging", "aborted")]
        assert found(client) == ids
        assert len(desk.sent()) == 1

    def test_are_found_also_if_the_catalog_does_not_show_them_yet(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.set(catalog_lag=4.5)
        batch_id = Opening(client, FIRST, JSON_LINES).create().id
        assert found(client) == [batch_id]

    def test_are_those_of_all_clears_before(self, client: CatalogClient, desk: Desk) -> None:
        ids = [left(client, desk, whose=attempt(clears=clears)) for clears in (0, 2, 3)]
        assert found(client, attempt(clears=5)) == ids

    def test_are_found_also_when_the_whole_run_was_cleared(self, client: CatalogClient, desk: Desk) -> None:
        batch_id = left(client, desk)
        assert found(client, attempt(clears=1, run_started=None)) == [batch_id]

    def test_are_not_those_of_the_attempt_itself(self, client: CatalogClient, desk: Desk) -> None:
        left(client, desk, "loading", whose=CLEARED)
        assert found(client) == []
        assert signals(desk) == []

    @pytest.mark.parametrize(
        "other",
        [{"map_index": 0}, {"run_id": "r2"}, {"client_id": "another"}],
        ids=["map index", "run", "credential"],
    )
    def test_are_not_those_of_somebody_else(
        self, client: CatalogClient, desk: Desk, other: dict[str, Any]
    ) -> None:
        left(client, desk, "loading", whose=attempt(**other))
        assert found(client) == []
        assert signals(desk) == []

    def test_are_not_those_of_somebody_else_where_the_catalog_does_not_know_the_filter(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        foreign = left(client, desk, "loading", whose=attempt(run_id="r2"))
        shown = {
            foreign: {"status": "loading", "tags": attempt(run_id="r2").tags},
            "B1": {"status": "success", "tags": {}},
        }
        desk.break_next({"status": 200, "body": shown}, BATCHES)
        assert found(client) == []
        assert client.get_batch(foreign).status == "loading"

    def test_that_were_left_open_are_aborted(self, client: CatalogClient, desk: Desk) -> None:
        left(client, desk, "loading")
        [batch] = earlier_batches(client, CLEARED)
        assert batch.status == "aborted"
        assert signals(desk) == ["ABORT"]

    def test_that_were_completed_in_the_meantime_are_left_alone(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        batch_id = left(client, desk, "loading")
        desk.set(catalog_lag=3, promotion_seconds=600)
        desk.advance(4)
        client.complete_batch(batch_id)
        [batch] = earlier_batches(client, CLEARED)
        assert batch.id == batch_id
        assert batch.status == "loaded"


def replaced(client: CatalogClient, patience: Patience = PATIENCE) -> list[str]:
    return replaceable(client, earlier_batches(client, CLEARED), patience)


class TestReplacing:
    def test_concerns_what_is_in_the_dataset(self, client: CatalogClient, desk: Desk) -> None:
        ids = {status: left(client, desk, status) for status in ("success", "failed", "active", "aborted")}
        assert replaced(client) == [ids["success"], ids["active"]]

    def test_leaves_out_what_was_taken_out_already(self, client: CatalogClient, desk: Desk) -> None:
        left(client, desk, "inactive")
        left(client, desk, "deleted")
        assert replaced(client) == []

    def test_waits_for_what_is_on_its_way(self, client: CatalogClient, desk: Desk, patience: Pauses) -> None:
        desk.set(promotion_seconds=30, empty_batch="success")
        batch_id = left(client, desk, "loading")
        client.complete_batch(batch_id)
        assert replaced(client) == [batch_id]
        assert sum(patience) == pace.CATALOG_LAG + 30

    def test_leaves_out_what_fails_on_its_way(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(promotion_seconds=30, empty_batch="failed")
        client.complete_batch(left(client, desk, "loading"))
        assert replaced(client) == []

    def test_is_given_up_when_a_batch_is_stuck(self, client: CatalogClient, desk: Desk) -> None:
        left(client, desk, "stalled")
        with pytest.raises(BatchStalledError):
            replaced(client, Patience(10, 600, stalled_grace=0))

    def test_is_given_up_for_now_when_a_batch_takes_too_long(self, client: CatalogClient, desk: Desk) -> None:
        left(client, desk, "staging")
        with pytest.raises(LostSightError):
            replaced(client)

    def test_names_a_batch_that_replaced_an_older_one_and_not_that_one(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        second = attempt(clears=1)
        first_id = left(client, desk)
        second_id = left(client, desk, whose=second)
        desk.hold(first_id, "inactive", tags={**FIRST.tags, "acp_successor": [second_id]})
        third = earlier_batches(client, attempt(clears=2))
        assert replaceable(client, third, PATIENCE) == [second_id]

    def test_is_refused_when_the_platform_has_merged_the_batch_into_one_of_its_own(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        batch_id = left(client, desk, "inactive", tags={"acp_successor": ["COMPACTED"]})
        with pytest.raises(
            BatchStateError, match=f"{batch_id} is 'inactive' and can't be replaced.*COMPACTED"
        ) as caught:
            replaced(client)
        assert "on_rerun='append' or 'skip'" in str(caught.value)
        assert caught.value.permanent


class TestSkipping:
    @pytest.mark.parametrize(
        "status", ["success", "active", "staging", "loaded", "stalled", "never heard of"]
    )
    def test_takes_a_batch_that_is_in_the_dataset_or_on_its_way(
        self, client: CatalogClient, desk: Desk, status: str
    ) -> None:
        batch_id = left(client, desk, status)
        assert counting(client) == batch_id

    @pytest.mark.parametrize("status", ["loading", "failed", "aborted", "abandoned", "inactive", "deleted"])
    def test_leaves_out_what_is_not_in_the_dataset(
        self, client: CatalogClient, desk: Desk, status: str
    ) -> None:
        left(client, desk, status)
        assert counting(client) is None

    def test_takes_the_newest(self, client: CatalogClient, desk: Desk) -> None:
        left(client, desk)
        newest = left(client, desk)
        left(client, desk, "failed")
        assert counting(client) == newest

    def test_takes_one_that_the_platform_has_merged_into_another(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        batch_id = left(client, desk, "inactive", tags={"acp_successor": ["COMPACTED"]})
        assert counting(client) == batch_id

    def test_waits_for_nothing_but_the_catalog(
        self, client: CatalogClient, desk: Desk, patience: Pauses
    ) -> None:
        left(client, desk, "staging")
        patience.clear()
        counting(client)
        assert patience == [pace.CATALOG_LAG]


def counting(client: CatalogClient) -> str | None:
    batch: Batch | None = still_counting(earlier_batches(client, CLEARED))
    return batch.id if batch else None
