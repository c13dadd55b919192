"""One run, one batch: what is found is gone on with, and another batch is opened only when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attempts import FIRST, attempt
from client_stage import JSON_LINES, MakeClient, Pauses
from desk import BATCHES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    BatchLostError,
    BatchStateError,
    InvalidInputError,
    LostSightError,
    OutcomeUnknownError,
)
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.identity import ATTEMPT_TAG, LogicalAttempt
from airflow_provider_catalog.ingest.opening import POSTS, Opening

pytestmark = pytest.mark.usefixtures("patience")

IMPORT = "/data/foundation/import/batches"
LOST = {"drop": "after"}
NOT_DONE = {"status": 503}


def opening(
    client: CatalogClient, whose: LogicalAttempt = FIRST, files: Sequence[str] = ("a.json",), **arguments: Any
) -> Opening:
    """Give an opening as a new process would have it."""
    return Opening(client, whose, JSON_LINES, content=lambda: files, **arguments)


def opened(client: CatalogClient, desk: Desk, status: str = "loading", **changes: Any) -> str:
    """Open a batch as another process of the attempt does that sees nothing else, and hold it in a status."""
    batch_id = opening(client, **changes).create().id
    desk.advance(1)
    if status != "loading":
        desk.hold(batch_id, status)
    desk.forget()
    return batch_id


def statuses(client: CatalogClient, *batch_ids: str) -> list[str]:
    return [client.get_batch(batch_id).status for batch_id in batch_ids]


def posts(desk: Desk) -> int:
    return len(desk.sent("POST", IMPORT))


def creations(desk: Desk) -> list[Any]:
    """Give the external ids with which batches were asked for, where none of that was lost."""
    return [sent.body["externalId"] for sent in desk.sent("POST", IMPORT)]


class TestOpening:
    def test_takes_one_post_between_two_looks(self, client: CatalogClient, desk: Desk) -> None:
        batch = opening(client).open()
        assert [(sent.method, sent.path) for sent in desk.sent(path="/data/*")] == [
            ("GET", BATCHES),
            ("POST", IMPORT),
            ("GET", BATCHES),
        ]
        assert (batch.status, batch.external_id) == ("loading", FIRST.external_id(1))
        assert batch.tags.items() >= {name: tuple(values) for name, values in FIRST.tags.items()}.items()

    def test_waits_until_the_catalog_shows_what_can_be_older(
        self, client: CatalogClient, patience: Pauses
    ) -> None:
        opening(client).open()
        assert sum(patience) == pace.CATALOG_LAG

    def test_leaves_the_users_payload_as_it_is_otherwise(self, client: CatalogClient, desk: Desk) -> None:
        Opening(client, FIRST, {**JSON_LINES, "tags": {"team": ["a"]}}).open()
        [sent] = desk.sent("POST", IMPORT)
        assert sent.body["tags"]["team"] == ["a"]
        assert {name: sent.body[name] for name in JSON_LINES} == JSON_LINES

    @pytest.mark.parametrize("name", ["airflow_dag_id", "airflow_owner", "airflow_attempt", "airflow_plan"])
    def test_refuses_tags_that_are_set_here(self, client: CatalogClient, desk: Desk, name: str) -> None:
        with pytest.raises(InvalidInputError, match=name):
            Opening(client, FIRST, {**JSON_LINES, "tags": {name: ["mine"]}})
        assert desk.sent() == []

    @pytest.mark.parametrize(
        "status", ["loaded", "staging", "retrying", "stalled", "success", "active", "never heard of"]
    )
    def test_adopts_a_batch_that_was_signalled_with_one_look(
        self, client: CatalogClient, desk: Desk, patience: Pauses, status: str
    ) -> None:
        batch_id = opened(client, desk, status)
        patience.clear()
        assert opening(client).open().id == batch_id
        assert [(sent.method, sent.path) for sent in desk.sent()] == [("GET", BATCHES)]
        assert patience == []

    def test_adopts_a_batch_that_is_loading(self, client: CatalogClient, desk: Desk) -> None:
        batch_id = opened(client, desk)
        assert opening(client).open().id == batch_id
        assert creations(desk) == []

    def test_adopts_a_batch_that_was_promoted_and_replaced_since(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        batch_id = opened(client, desk)
        desk.hold(batch_id, "inactive", tags={"acp_successor": ["B2"]})
        assert opening(client).open().id == batch_id

    @pytest.mark.parametrize("status", ["failed", "failure", "aborted", "abandoned"])
    def test_goes_on_to_the_next_number_when_the_batch_has(
        self, client: CatalogClient, desk: Desk, status: str
    ) -> None:
        opened(client, desk, status)
        opening(client).open()
        assert creations(desk) == [FIRST.external_id(2)]

    def test_looks_again_when_it_has_waited_for_what_it_replaces(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        cleared = attempt(clears=1)
        opened_meanwhile: list[str] = []

        def replaced() -> list[str]:
            opened_meanwhile.append(opening(client, cleared).create().id)
            return []

        assert [opening(client, cleared, replaced=replaced).create().id] == opened_meanwhile
        assert posts(desk) == 1

    def test_counts_on_from_failure_to_failure(self, client: CatalogClient, desk: Desk) -> None:
        for _ in range(3):
            batch = opening(client).open()
            desk.hold(batch.id, "failed")
        assert creations(desk) == [FIRST.external_id(number) for number in (1, 2, 3)]
        assert opening(client).find() is None

    @pytest.mark.parametrize(
        "other", [{"clears": 1}, {"map_index": 0}, {"run_id": "r2"}], ids=["clear", "map index", "run"]
    )
    def test_leaves_the_batch_of_another_attempt_alone(
        self, client: CatalogClient, desk: Desk, other: dict[str, Any]
    ) -> None:
        foreign = opened(client, desk, whose=attempt(**other))
        assert opening(client).open().id != foreign
        assert statuses(client, foreign) == ["loading"]

    def test_gives_up_for_now_when_somebody_ends_the_batch_at_once(
        self, client: CatalogClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pace, "sleep", lambda _: client.abort_batch(next(client.list_batches()).id))
        with pytest.raises(BatchLostError, match="Was it aborted by hand"):
            opening(client).open()

    def test_names_the_replaced_batches_only_when_one_is_opened(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        opening(client, replaced=lambda: ["B1", "B2"]).open()
        [sent] = desk.sent("POST", IMPORT)
        assert sent.body["replay"] == {"reason": "replace", "predecessors": ["$B1", "$B2"]}
        opening(client, replaced=lambda: pytest.fail("nothing is opened")).open()

    def test_says_nothing_of_a_replay_when_nothing_is_replaced(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        opening(client).open()
        [sent] = desk.sent("POST", IMPORT)
        assert "replay" not in sent.body


class TestALostAnswer:
    @pytest.mark.parametrize("lag", [0, 0.3, 20, 55])
    def test_with_a_batch_behind_it_is_made_up_for_by_looking(
        self, client: CatalogClient, desk: Desk, lag: float
    ) -> None:
        desk.set(catalog_lag=lag)
        desk.break_next(LOST, IMPORT)
        batch = opening(client).open()
        assert batch.external_id == FIRST.external_id(1)
        assert posts(desk) == 1

    def test_without_a_batch_behind_it_leads_to_another_after_the_catalogs_patience(
        self, client: CatalogClient, desk: Desk, patience: Pauses
    ) -> None:
        desk.break_next(NOT_DONE, IMPORT)
        assert opening(client).create().external_id == FIRST.external_id(1)
        assert posts(desk) == 2
        assert patience[0] == pace.CATALOG_LAG
        assert set(patience[1:]) == {pace.LOOK_PAUSE}
        assert 0 <= sum(patience) - pace.CATALOG_PATIENCE < pace.LOOK_PAUSE

    def test_beside_the_batch_of_another_process_leaves_no_batch_open(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.set(catalog_lag=3)
        process = opening(client)
        assert process.find() is None
        older = opened(client, desk)
        desk.advance(2.5)
        desk.break_next(LOST, IMPORT)
        assert process.create().id == older
        desk.advance(3)
        both = {batch.id: batch.status for batch in client.list_batches()}
        assert both.pop(older) == "loading"
        assert list(both.values()) == ["aborted"]

    def test_a_batch_that_shows_up_after_the_second_post_is_the_runs(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.set(catalog_lag=2 * pace.CATALOG_PATIENCE)
        desk.break_next(LOST, IMPORT)
        process = opening(client)
        second = process.create()
        desk.set(catalog_lag=0)
        settled = process.settle(second)
        assert posts(desk) == 2
        assert settled is not None
        assert settled.id != second.id
        assert statuses(client, settled.id, second.id) == ["loading", "aborted"]

    def test_again_and_again_ends_the_try(self, client: CatalogClient, desk: Desk) -> None:
        desk.break_next(NOT_DONE, IMPORT, times=None)
        with pytest.raises(OutcomeUnknownError) as caught:
            opening(client).create()
        assert not caught.value.permanent
        assert posts(desk) == POSTS

    def test_the_last_look_is_as_patient_as_the_others(self, client: CatalogClient, desk: Desk) -> None:
        desk.break_next(NOT_DONE, IMPORT, times=POSTS - 1)
        desk.break_next(LOST, IMPORT)
        assert opening(client).create().status == "loading"
        assert posts(desk) == POSTS

    def test_of_a_batch_that_was_aborted_meanwhile_leads_to_the_next_number(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        opened(client, desk, "aborted")
        desk.break_next({"status": 200, "body": {}}, BATCHES)
        desk.break_next(NOT_DONE, IMPORT)
        process = opening(client)
        assert process.find() is None
        assert process.create().external_id == FIRST.external_id(2)
        assert posts(desk) == 2

    @pytest.mark.parametrize("status", [400, 403, 429])
    def test_a_refusal_is_none(
        self, client: CatalogClient, desk: Desk, status: int, patience: Pauses
    ) -> None:
        desk.break_next({"status": status}, IMPORT, times=None)
        with pytest.raises(ApiError, match=str(status)):
            opening(client).create()
        assert desk.sent("GET", BATCHES) == []
        assert patience == []


class TestExternalIdsThatAreUnique:
    """Whether they are is not documented."""

    def test_show_that_somebody_was_faster(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(external_id_unique=True, catalog_lag=3)
        process = opening(client)
        assert process.find() is None
        faster = opening(client).create()
        assert process.create().id == faster.id
        assert [sent.status for sent in desk.sent("POST", IMPORT)] == [201, 409]

    def test_are_not_the_reason_of_every_conflict(self, client: CatalogClient, desk: Desk) -> None:
        desk.break_next({"status": 409}, IMPORT, times=None)
        with pytest.raises(ApiError, match="409") as caught:
            opening(client).create()
        assert caught.value.permanent
        assert posts(desk) == 1

    def test_lead_to_the_next_number_if_it_was_an_earlier_attempt_of_the_task(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.set(external_id_unique=True, catalog_lag=3)
        cleared = opening(client, attempt(chosen_id="nightly", clears=1))
        assert cleared.find() is None
        opening(client, attempt(chosen_id="nightly")).create()
        assert cleared.create().external_id == "nightly-2"
        assert [sent.status for sent in desk.sent("POST", IMPORT)] == [201, 409, 201]

    def test_do_no_harm_to_a_lost_answer(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(external_id_unique=True)
        desk.break_next(LOST, IMPORT)
        opening(client).open()
        assert posts(desk) == 1


class TestTwoAtOnce:
    @pytest.mark.parametrize("lag", [0.3, 3, 4.5])
    def test_agree_on_the_older_batch(self, client: CatalogClient, desk: Desk, lag: float) -> None:
        desk.set(catalog_lag=lag)
        first, second = opening(client), opening(client)
        assert (first.find(), second.find()) == (None, None)
        older = first.create()
        desk.advance(0.1)
        younger = second.create()
        settled = [process.settle(batch) for process, batch in ((second, younger), (first, older))]
        desk.advance(lag)
        assert [batch and batch.id for batch in settled] == [older.id, older.id]
        assert statuses(client, older.id, younger.id) == ["loading", "aborted"]

    def test_agree_by_the_id_on_batches_of_one_moment(self, client: CatalogClient) -> None:
        ids = [opening(client).create().id for _ in range(5)]
        found = opening(client).find()
        assert found is not None
        assert found.id == min(ids)
        assert statuses(client, *sorted(ids)) == ["loading", *["aborted"] * 4]

    def test_the_stray_of_one_that_died_is_aborted_by_the_other(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        process = opening(client)
        ours = process.create()
        desk.advance(1)
        stray = opening(client).create()
        settled = process.settle(ours)
        assert settled is not None
        assert settled.id == ours.id
        assert statuses(client, ours.id, stray.id) == ["loading", "aborted"]

    def test_go_on_with_the_batch_that_was_signalled_however_old(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        loading, signalled, stray = (opened(client, desk) for _ in range(3))
        desk.hold(signalled, "staging")
        found = opening(client).find()
        assert found is not None
        assert found.id == signalled
        assert statuses(client, loading, signalled, stray) == ["aborted", "staging", "aborted"]

    @pytest.mark.parametrize("status", ["loading", "success"])
    def test_go_on_with_the_batch_of_the_next_number_when_the_first_was_given_up_and_one_came_late(
        self, client: CatalogClient, desk: Desk, status: str
    ) -> None:
        opened(client, desk, "aborted")
        second = opening(client).open().id
        desk.hold(second, status)
        desk.advance(1)
        late = client.create_batch({**JSON_LINES, "externalId": FIRST.external_id(1)})
        found = opening(client).find()
        assert found is not None
        assert found.id == second
        assert statuses(client, second, late) == [status, "aborted"]

    def test_leave_a_second_batch_that_was_signalled_to_the_log(
        self, client: CatalogClient, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        older, younger = opened(client, desk, "success"), opened(client, desk, "staging")
        found = opening(client).find()
        assert found is not None
        assert found.id == older
        assert statuses(client, older, younger) == ["success", "staging"]
        assert f"Batch {younger} has been completed beside another one" in caplog.text

    def test_look_anew_when_the_younger_one_was_completed_in_the_meantime(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        older, younger = opened(client, desk), opened(client, desk)
        desk.set(catalog_lag=3, promotion_seconds=600)
        desk.advance(4)
        client.complete_batch(younger)
        found = opening(client).find()
        assert found is not None
        assert found.id == younger
        desk.set(catalog_lag=0)
        assert statuses(client, older)[0] == "aborted"

    def test_do_not_ask_for_ever_to_have_one_aborted(self, client: CatalogClient, desk: Desk) -> None:
        older, younger = opened(client, desk), opened(client, desk)
        desk.break_next({"status": 409}, f"*/batches/{younger}", times=None, method="POST")
        with pytest.raises(BatchStateError, match=f"Batch {younger} is 'loading' and can't be aborted"):
            opening(client).find()
        assert 2 <= len(desk.sent("POST", f"{IMPORT}/{younger}")) < 100
        assert statuses(client, older) == ["loading"]


class TestSettling:
    def test_waits_for_a_batch_that_the_catalog_shows_late(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(catalog_lag=pace.CATALOG_PATIENCE - 5)
        process = opening(client)
        batch = process.create()
        settled = process.settle(batch)
        assert settled is not None
        assert settled.id == batch.id

    def test_does_not_guess_about_a_batch_that_the_catalog_does_not_show(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.set(catalog_lag=3600)
        process = opening(client)
        batch = process.create()
        with pytest.raises(LostSightError, match=f"has not shown batch {batch.id} for 60 s") as caught:
            process.settle(batch)
        assert not caught.value.permanent
        assert posts(desk) == 1

    def test_costs_one_look_when_the_lag_is_over(
        self, client: CatalogClient, desk: Desk, patience: Pauses
    ) -> None:
        process = opening(client)
        batch = process.open()
        patience.clear()
        desk.forget()
        assert process.settle(batch) is not None
        assert len(desk.sent("GET", BATCHES)) == 1
        assert sum(patience) == 0

    def test_gives_nothing_when_the_batch_was_aborted(self, client: CatalogClient, desk: Desk) -> None:
        process = opening(client)
        batch = process.create()
        client.abort_batch(batch.id)
        assert process.settle(batch) is None

    def test_gives_the_batch_that_somebody_has_opened_instead(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        process = opening(client)
        batch = process.create()
        client.abort_batch(batch.id)
        other = opening(client).open()
        settled = process.settle(batch)
        assert settled is not None
        assert settled.id == other.id != batch.id


class TestThePlan:
    def test_a_batch_for_other_files_is_aborted_while_it_is_loading(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        old = opened(client, desk, files=["a.json", "b.json"])
        new = opening(client, files=["a.json"]).open()
        assert statuses(client, old, new.id) == ["aborted", "loading"]
        assert creations(desk) == [FIRST.external_id(2)]

    def test_a_batch_with_other_options_is_aborted_while_it_is_loading(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        old = opened(client, desk)
        payload = {**JSON_LINES, "partialIngestionPercent": 5}
        new = Opening(client, FIRST, payload, content=lambda: ["a.json"]).open()
        assert statuses(client, old, new.id) == ["aborted", "loading"]

    def test_the_order_of_the_files_does_not_matter(self, client: CatalogClient, desk: Desk) -> None:
        old = opened(client, desk, files=["a.json", "b.json"])
        assert opening(client, files=["b.json", "a.json"]).open().id == old

    def test_the_users_tags_do_not_matter(self, client: CatalogClient, desk: Desk) -> None:
        old = opened(client, desk)
        payload = {**JSON_LINES, "tags": {"loaded": ["at the second try"]}}
        assert Opening(client, FIRST, payload, content=lambda: ["a.json"]).open().id == old

    def test_a_batch_that_was_signalled_counts_whatever_is_in_it(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        old = opened(client, desk, "staging", files=["a.json", "b.json"])
        assert opening(client, files=["a.json"]).open().id == old

    def test_the_files_are_not_asked_for_when_the_batch_was_signalled(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        old = opened(client, desk, "success")
        process = Opening(client, FIRST, JSON_LINES, content=lambda: pytest.fail("the files may be gone"))
        assert process.open().id == old

    def test_a_batch_without_a_plan_is_taken_as_it_is(self, client: CatalogClient, desk: Desk) -> None:
        old = client.create_batch({**JSON_LINES, "externalId": FIRST.external_id(1)})
        assert opening(client).open().id == old


class TestAnExternalIdOfTheUsersOwn:
    CHOSEN = attempt(chosen_id="sales-1")

    def test_is_used_and_found_again(self, client: CatalogClient, desk: Desk) -> None:
        ids = {opening(client, self.CHOSEN).open().id for _ in range(2)}
        assert len(ids) == 1
        assert creations(desk) == ["sales-1"]

    def test_is_numbered_after_a_failure(self, client: CatalogClient, desk: Desk) -> None:
        opened(client, desk, "failed", whose=self.CHOSEN)
        opening(client, self.CHOSEN).open()
        assert creations(desk) == ["sales-1-2"]

    @pytest.mark.parametrize("status", ["loading", "success", "failed"])
    @pytest.mark.parametrize("owner", ["another task", "nobody"])
    def test_is_refused_when_it_belongs_to(
        self, client: CatalogClient, desk: Desk, owner: str, status: str
    ) -> None:
        other = attempt(chosen_id="sales-1", task_id="another")
        foreign = (
            opening(client, other).create().id
            if owner == "another task"
            else client.create_batch({**JSON_LINES, "externalId": "sales-1"})
        )
        if status != "loading":
            desk.hold(foreign, status)
        desk.forget()
        with pytest.raises(
            InvalidInputError, match=rf"external_id: got 'sales-1'.*batch {foreign} has it.*run_id"
        ):
            opening(client, self.CHOSEN).open()
        assert statuses(client, foreign) == [status]
        assert desk.sent("POST", "/data/*") == []

    @pytest.mark.parametrize("status", ["loading", "success", "failed"])
    def test_is_numbered_after_a_clear_and_the_old_batch_left_alone(
        self, client: CatalogClient, desk: Desk, status: str
    ) -> None:
        old = opened(client, desk, status, whose=self.CHOSEN)
        new = opening(client, attempt(chosen_id="sales-1", clears=1)).open()
        assert creations(desk) == ["sales-1-2"]
        assert statuses(client, old, new.id) == [status, "loading"]


class TestACatalogThatDoesNotKnowTheFilter:
    def test_makes_nobody_elses_batch_ours(self, client: CatalogClient, desk: Desk) -> None:
        foreign = client.create_batch({**JSON_LINES, "externalId": "somebody-elses"})
        shown = {foreign: {"status": "success", "externalId": "somebody-elses", "created": 1}}
        desk.break_next({"status": 200, "body": shown}, BATCHES)
        assert opening(client).open().id != foreign
        assert statuses(client, foreign) == ["loading"]

    def test_may_leave_external_ids_out_of_what_it_shows(self, client: CatalogClient, desk: Desk) -> None:
        own = {"status": "success", "created": 1, "tags": {ATTEMPT_TAG: [FIRST.attempt]}}
        desk.break_next({"status": 200, "body": {"B1": own}}, BATCHES)
        assert opening(client).open().id == "B1"

    def test_makes_no_batch_ours_that_has_no_external_id(self, client: CatalogClient, desk: Desk) -> None:
        foreign = [client.create_batch(JSON_LINES) for _ in range(2)]
        shown = {batch_id: {"status": "loading", "created": 1} for batch_id in foreign}
        desk.break_next({"status": 200, "body": shown}, BATCHES)
        assert opening(client).open().id not in foreign
        assert statuses(client, *foreign) == ["loading", "loading"]


def test_a_catalog_that_is_down_ends_the_look_and_nothing_is_opened(
    make_client: MakeClient, desk: Desk
) -> None:
    desk.break_next(NOT_DONE, BATCHES, times=None)
    with pytest.raises(ApiError, match="503") as caught:
        opening(make_client(desk.url, attempts=2)).open()
    assert not caught.value.permanent
    assert creations(desk) == []
