"""Which batches have arrived in a dataset since a moment, each of them once, whatever else goes on there."""

from __future__ import annotations

import random
from collections.abc import Iterable
from math import floor
from typing import Any

import pytest
from client_stage import JSON_LINES, MakeClient
from desk import CRM_PROFILES, PAGE_VIEWS, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, InvalidInputError, NotFoundError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest import arrivals
from airflow_provider_catalog.ingest.arrivals import OVERLAP, ArrivalLog, Arrivals, DatasetWatch, Goal, sweep

CATALOG = "/data/foundation/catalog/batches"
NOON = 1_711_652_400.0
ONE = Goal(1)


@pytest.fixture(autouse=True)
def _promotion(desk: Desk) -> None:
    """Time stands still, and batches without files are promoted at once."""
    desk.freeze()
    desk.set(empty_batch="success", promotion_seconds=0)


def load(client: CatalogClient, dataset_id: str = CRM_PROFILES, **fields: Any) -> str:
    batch_id = client.create_batch({**JSON_LINES, "datasetId": dataset_id, **fields})
    client.complete_batch(batch_id)
    return batch_id


def arrived(client: CatalogClient, since: float = 0, *dataset_ids: str) -> list[str]:
    return [batch.id for page in sweep(client, dataset_ids or [CRM_PROFILES], since) for batch in page]


class TestSweep:
    def test_finds_promoted_batches_in_the_order_of_their_promotion(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        early = client.create_batch(JSON_LINES)
        desk.advance(3600)
        first = load(client)
        desk.advance(1)
        client.complete_batch(early)
        assert arrived(client) == [first, early]

    def test_leaves_out_what_was_promoted_before(self, client: CatalogClient, desk: Desk) -> None:
        load(client)
        desk.advance(1)
        batch_id = load(client)
        moment = client.get_batch(batch_id).completed or 0
        assert arrived(client, moment) == [batch_id]
        assert arrived(client, moment + 0.001) == []

    def test_finds_a_batch_that_was_opened_long_before_the_moment(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        opened = client.create_batch(JSON_LINES)
        desk.advance(80_000)
        moment = desk.emulator.platform.clock.now()
        client.complete_batch(opened)
        assert arrived(client, moment) == [opened]

    def test_looks_at_the_datasets_that_are_asked_for(self, client: CatalogClient) -> None:
        ours, theirs = load(client), load(client, PAGE_VIEWS)
        assert arrived(client) == [ours]
        assert set(arrived(client, 0, CRM_PROFILES, PAGE_VIEWS)) == {ours, theirs}

    def test_does_not_count_what_has_not_been_promoted_or_is_there_no_more(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        client.create_batch(JSON_LINES)
        desk.hold(client.create_batch(JSON_LINES), "failed")
        client.revert_batch(load(client))
        replaced = load(client)
        replacement = load(client, replay={"reason": "replace", "predecessors": [f"${replaced}"]})
        assert arrived(client) == [replacement]

    def test_does_not_count_batches_into_which_older_ones_were_merged(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        merged = load(client)
        load(client, replay={"reason": "consolidation", "predecessors": [f"${merged}"]})
        assert arrived(client) == []

    def test_does_not_count_a_batch_that_has_a_successor_but_is_still_shown_as_active(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        batch_id = load(client)
        desk.hold(batch_id, "active", tags={"acp_successor": ["01HP1Z0A9YZ733QCJN6AXCATHF"]})
        assert arrived(client) == []

    @pytest.mark.parametrize("count", [19, 20, 21, 100, 101, 230])
    @pytest.mark.parametrize("apart", [0, 0.001], ids=["at once", "one after the other"])
    def test_finds_all_however_many_there_are(
        self, count: int, apart: float, client: CatalogClient, desk: Desk
    ) -> None:
        loaded = []
        for _ in range(count):
            desk.emulator.platform.clock.advance(apart)
            loaded.append(load(client))
        desk.forget()
        assert sorted(arrived(client)) == sorted(loaded)
        assert len(desk.sent("GET", CATALOG)) <= count // 100 + 2

    def test_goes_on_where_the_platform_gives_shorter_pages(
        self, client: CatalogClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loaded = [load(client) for _ in range(45)]
        monkeypatch.setattr("airflow_provider_catalog.api.client.PAGE_SIZE", 20)
        assert sorted(arrived(client)) == sorted(loaded)

    def test_skips_none_of_the_others_when_a_batch_is_reverted_between_two_pages(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        loaded = []
        for _ in range(150):
            # Of a millisecond floats may lose so much that two fall into one.
            desk.emulator.platform.clock.advance(0.002)
            loaded.append(load(client))
        pages = sweep(client, [CRM_PROFILES], 0)
        found = [batch.id for batch in next(pages)]
        client.revert_batch(loaded[0])
        found += [batch.id for page in pages for batch in page]
        assert found == loaded

    def test_asks_for_many_datasets_in_a_few_requests(self, client: CatalogClient, desk: Desk) -> None:
        load(client)
        desk.forget()
        others = [f"{number:024x}" for number in range(89)]
        assert len(arrived(client, 0, CRM_PROFILES, *others)) == 1
        requests = desk.sent("GET", CATALOG)
        assert len(requests) == 3
        assert all(len(request.query["dataSet"]) < 1500 for request in requests)


class TestWatch:
    def watch(self, dataset_id: str = CRM_PROFILES, goal: Goal = ONE) -> DatasetWatch:
        return DatasetWatch(dataset_id, 0, goal, 1800)

    def test_counts_batches_and_records(self, client: CatalogClient, desk: Desk) -> None:
        loaded = [load(client), load(client)]
        for batch_id, records in zip(loaded, (3, 4), strict=True):
            desk.hold(batch_id, "success", metrics={"outputRecordCount": records})
        found = self.watch(goal=Goal(records=7)).look(client)
        assert (found.batches, found.records, set(found.batch_ids)) == (2, 7, set(loaded))
        assert found.reach(Goal(records=7))
        assert not found.reach(Goal(records=8))

    def test_stops_counting_when_there_is_enough(self, client: CatalogClient, desk: Desk) -> None:
        for _ in range(120):
            load(client)
        desk.forget()
        assert self.watch().look(client).batches == 100
        assert len(desk.sent("GET", CATALOG)) == 1

    def test_keeps_a_bounded_number_of_ids(self) -> None:
        batches = [Batch(str(number), "success") for number in range(250)]
        found = Arrivals().plus(batches[:150]).plus(batches[150:])
        assert (found.batches, len(found.batch_ids)) == (250, 100)

    def test_a_batch_that_is_reverted_in_the_meantime_does_not_count_any_more(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        watch = self.watch(goal=Goal(2))
        first = load(client)
        assert watch.look(client).batches == 1
        client.revert_batch(first)
        load(client)
        assert watch.look(client).batches == 1

    def test_an_unknown_dataset_is_an_error_and_an_empty_one_is_not(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        with pytest.raises(NotFoundError):
            self.watch("000000000000000000000000").look(client)
        watch = self.watch()
        assert watch.look(client) == watch.look(client) == Arrivals()
        assert len(desk.sent("GET", "*/dataSets/*")) == 2

    @pytest.mark.parametrize("value", [0, -1, "many", 1.5, True, ""])
    def test_a_goal_that_makes_no_sense_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidInputError, match="min_records: got"):
            Goal.parse(None, value)

    def test_a_goal_is_one_batch_unless_it_is_given(self) -> None:
        assert Goal.parse(None, None) == Goal(batches=1)
        assert Goal.parse("3", None) == Goal(batches=3)
        assert Goal.parse(None, 10) == Goal(records=10)


def batch(name: str, completed: float) -> Batch:
    return Batch(name, "success", completed=completed)


def give_all(log: ArrivalLog) -> list[str]:
    given = []
    while (found := log.next()) is not None:
        given.append(found.id)
        log.settle(found.id, found.completed or 0)
    return given


def look(log: ArrivalLog, batches: Iterable[Batch], now: float) -> list[str]:
    """Let a log see a whole sweep, and give what is new in it."""
    log.begin(now)
    log.take(batches, now)
    log.end()
    return give_all(log)


class TestLog:
    def test_gives_each_batch_once_and_the_oldest_first(self) -> None:
        log = ArrivalLog(NOON)
        first, second, third = batch("1", NOON), batch("2", NOON + 1), batch("3", NOON + 2)
        assert look(log, [first, second], 0) == ["1", "2"]
        assert look(log, [first, second, third], 60) == ["3"]
        assert look(log, [first, second, third], 120) == []

    def test_begins_at_its_horizon(self) -> None:
        assert look(ArrivalLog(NOON), [batch("old", NOON - 0.001), batch("new", NOON)], 0) == ["new"]

    def test_finds_a_batch_that_becomes_visible_later_than_one_that_was_promoted_after_it(self) -> None:
        log = ArrivalLog(NOON)
        assert look(log, [batch("quick", NOON + 1000)], 0) == ["quick"]
        late = batch("late", NOON + 1000 - OVERLAP + 1)
        assert look(log, [late, batch("quick", NOON + 1000)], 0) == ["late"]

    def test_forgets_what_can_not_come_again(self) -> None:
        log = ArrivalLog(NOON)
        for minute in range(1000):
            look(log, [batch(str(minute), NOON + 60 * minute)], 60 * minute)
        assert len(log.done) <= OVERLAP / 60 + 1
        assert look(log, [batch("3", NOON + 180)], 60_000) == []

    def test_goes_on_after_a_burst_when_nothing_more_comes(self) -> None:
        log = ArrivalLog(NOON)
        look(log, [batch(str(number), NOON + 1) for number in range(100)], 0)
        look(log, [], OVERLAP + 2)
        assert (log.horizon, log.done) == (NOON + 3, {})

    def test_does_not_take_the_time_that_a_sweep_lasts_for_time_in_which_all_became_visible(self) -> None:
        log = ArrivalLog(NOON)
        log.begin(0)
        log.take([batch("quick", NOON + 1000)], 200)
        log.end()
        give_all(log)
        late = batch("late", NOON + 1000 - 200 - OVERLAP)
        assert look(log, [late, batch("quick", NOON + 1000)], 300) == ["late"]

    def test_does_not_move_on_past_what_waits_to_be_given(self) -> None:
        log = ArrivalLog(NOON)
        log.begin(0)
        log.take([batch("waits", NOON + 1), batch("new", NOON + 10_000)], 0)
        log.end()
        assert log.horizon == NOON + 1

    def test_a_restart_goes_on_with_what_was_not_settled(self) -> None:
        log = ArrivalLog(NOON)
        log.take([batch("1", NOON), batch("2", NOON), batch("3", NOON + 1)], 0)
        log.settle("1", NOON)
        again = ArrivalLog.restored(log.state)
        assert look(again, [batch("1", NOON), batch("2", NOON), batch("3", NOON + 1)], 0) == ["2", "3"]

    def test_a_sweep_that_was_cut_short_moves_nothing(self) -> None:
        log = ArrivalLog(NOON)
        log.begin(0)
        log.take([batch("new", NOON + 10_000)], 0)
        give_all(log)
        assert log.horizon == NOON
        log.take([batch("newer", NOON + 20_000)], 0)
        log.begin(0)
        log.end()
        assert log.horizon > NOON

    def test_a_sweep_of_which_the_beginning_was_not_seen_moves_nothing(self) -> None:
        log = ArrivalLog(NOON)
        log.take([batch("new", NOON + 10_000)], 0)
        log.end()
        assert log.horizon == NOON

    def test_what_was_too_much_to_keep_is_found_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arrivals, "PENDING_LIMIT", 3)
        many = [batch(str(number), NOON + 1000 * number) for number in range(20)]
        log = ArrivalLog(NOON)
        given: list[str] = []
        for _ in range(6):
            log.begin(0)
            log.take(many[:10], 0)
            assert log.waiting == 3 or len(given) > 6
            given += give_all(log)
            log.take(many[10:], 0)  # now there is room for these, but not for those that lie between
            log.end()
            given += give_all(log)
        assert sorted(given, key=int) == [each.id for each in many]

    def test_a_backlog_does_not_let_what_is_kept_grow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arrivals, "PENDING_LIMIT", 3)
        many = [batch(str(minute), NOON + 60 * minute) for minute in range(100)]
        log = ArrivalLog(NOON)
        given: list[str] = []
        while len(given) < len(many):
            log.begin(0)
            log.take((each for each in many if (each.completed or 0) >= log.horizon), 0)
            assert log.is_full(0) or len(given) + log.waiting == len(many)
            log.end()
            assert len(log.done) <= OVERLAP / 60 + 3
            given += give_all(log)
        assert given == [each.id for each in many]

    def test_is_full_in_the_sweep_that_brought_too_much_and_in_no_later_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A later one of which it has not heard yet must not be broken off and taken for a whole one."""
        monkeypatch.setattr(arrivals, "PENDING_LIMIT", 1)
        log = ArrivalLog(NOON)
        log.begin(10)
        log.take([batch("1", NOON), batch("2", NOON + 1)], 10)
        assert log.is_full(10)
        log.end()
        give_all(log)
        assert not log.is_full(70)
        log.begin(70)
        assert not log.is_full(70)


class TestLogAgainstThePlatform:
    @pytest.mark.parametrize("seed", range(4))
    def test_each_batch_is_given_once_whatever_happens(
        self, seed: int, make_client: MakeClient, desk: Desk
    ) -> None:
        """Some are slow, some are reverted, requests fail, the Catalog lags, and the reader is restarted."""
        chance, clock, client = (
            random.Random(seed),
            desk.emulator.platform.clock,
            make_client(desk.url, attempts=1),
        )
        desk.set(catalog_lag=5)
        log = ArrivalLog(floor(clock.now()))
        given: list[str] = []
        loaded: list[str] = []
        opened: list[str] = []
        for _ in range(40):
            opened.append(client.create_batch(JSON_LINES))
            if chance.random() < 0.7:
                chosen = opened.pop(chance.randrange(len(opened)))
                client.complete_batch(chosen)
                loaded.append(chosen)
            clock.advance(chance.choice([0, 0.5, 30, 200]))
            if chance.random() < 0.3:
                desk.break_next({"status": 503}, CATALOG)
            given += self.look(client, log, clock.now())
            if chance.random() < 0.2:
                log = ArrivalLog.restored(log.state)
        clock.advance(10)
        desk.mend()
        given += self.look(client, log, clock.now())
        assert sorted(given) == sorted(loaded)
        assert len(log.done) <= len(loaded)

    def look(self, client: CatalogClient, log: ArrivalLog, now: float) -> list[str]:
        log.begin(now)
        try:
            for page in sweep(client, [CRM_PROFILES], log.horizon):
                log.take(page, now)
        except ApiError:
            return []
        log.end()
        return give_all(log)
