"""Giving a batch up: aborting what is loading, reverting what was promoted, whatever is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from client_stage import Pauses
from desk import Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, BatchStateError, InvalidInputError, NotFoundError
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.ending import TRIES, abort_batch, revert_batch

End = Callable[..., None]


@dataclass(frozen=True)
class Ending:
    """A way to give up: the function, its signal, a status in which it works, and the status that follows."""

    end: End
    action: str
    status: str
    result: str


@pytest.fixture(
    params=[
        Ending(abort_batch, "ABORT", "loading", "aborted"),
        Ending(revert_batch, "REVERT", "success", "inactive"),
    ],
    ids=["abort", "revert"],
)
def ending(request: pytest.FixtureRequest) -> Ending:
    """Each way to give up."""
    return request.param  # type: ignore[no-any-return]


class SlowClient(CatalogClient):
    """Somebody else acts between its look and its signal.

    :param other: how that one reaches the sandbox.
    """

    def __init__(self, other: CatalogClient) -> None:
        super().__init__(other.settings)
        self._other = other

    def abort_batch(self, batch_id: str) -> None:
        self._other.abort_batch(batch_id)
        super().abort_batch(batch_id)

    def revert_batch(self, batch_id: str) -> None:
        self._other.revert_batch(batch_id)
        super().revert_batch(batch_id)


def signals(desk: Desk) -> list[tuple[str, int | str]]:
    return [
        (sent.query["action"], sent.status)
        for sent in desk.sent("POST", path="/data/foundation/import/batches/*")
    ]


def catalog_status(desk: Desk, client: CatalogClient, batch_id: str) -> str:
    desk.mend()
    return client.get_batch(batch_id).status


def make_trouble(desk: Desk, effect: dict[str, Any], times: int | None = 1) -> None:
    desk.break_next(effect, path="/data/foundation/import/*", times=times)


class TestBothWays:
    def test_it_is_signalled_once(
        self, client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, ending: Ending
    ) -> None:
        desk.hold(batch_id, ending.status)
        ending.end(client, batch_id, sleep=pauses)
        assert signals(desk) == [(ending.action, 200)]
        assert catalog_status(desk, client, batch_id) == ending.result
        assert pauses == []

    def test_a_second_time_does_nothing(
        self, client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, ending: Ending
    ) -> None:
        desk.hold(batch_id, ending.status)
        ending.end(client, batch_id, sleep=pauses)
        ending.end(client, batch_id, sleep=pauses)
        assert signals(desk) == [(ending.action, 200)]

    @pytest.mark.parametrize(
        "effect", [{"drop": "after"}, {"status": 503, "after": True}], ids=["reset", "503"]
    )
    def test_a_lost_answer_is_made_up_for_by_looking(
        self,
        client: CatalogClient,
        desk: Desk,
        batch_id: str,
        pauses: Pauses,
        ending: Ending,
        effect: dict[str, Any],
    ) -> None:
        desk.hold(batch_id, ending.status)
        make_trouble(desk, effect)
        ending.end(client, batch_id, sleep=pauses)
        assert len(signals(desk)) == 1
        assert catalog_status(desk, client, batch_id) == ending.result
        assert len(pauses) == 1

    @pytest.mark.parametrize("effect", [{"drop": "before"}, {"status": 500}], ids=["reset", "500"])
    def test_a_signal_that_did_not_arrive_is_sent_again(
        self,
        client: CatalogClient,
        desk: Desk,
        batch_id: str,
        pauses: Pauses,
        ending: Ending,
        effect: dict[str, Any],
    ) -> None:
        desk.hold(batch_id, ending.status)
        make_trouble(desk, effect)
        ending.end(client, batch_id, sleep=pauses)
        assert [sent for sent, _ in signals(desk)] == [ending.action, ending.action]
        assert catalog_status(desk, client, batch_id) == ending.result

    def test_a_catalog_that_lags_behind_a_lost_answer_is_waited_for(
        self, client: CatalogClient, desk: Desk, batch_id: str, ending: Ending
    ) -> None:
        desk.hold(batch_id, ending.status)
        desk.set(catalog_lag=pace.CATALOG_LAG)
        desk.freeze()
        make_trouble(desk, {"status": 504, "after": True})
        ending.end(client, batch_id, sleep=desk.advance)
        assert signals(desk) == [(ending.action, 504)]
        assert catalog_status(desk, client, batch_id) == ending.result

    def test_trouble_that_lasts_is_raised_and_may_pass_later(
        self, client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, ending: Ending
    ) -> None:
        desk.hold(batch_id, ending.status)
        make_trouble(desk, {"status": 503}, times=None)
        with pytest.raises(ApiError, match="503") as caught:
            ending.end(client, batch_id, sleep=pauses)
        assert not caught.value.permanent
        assert len(signals(desk)) == TRIES

    def test_another_client_that_was_faster_is_no_failure(
        self, client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, ending: Ending
    ) -> None:
        desk.hold(batch_id, ending.status)
        desk.set(catalog_lag=0)
        ending.end(SlowClient(client), batch_id, sleep=pauses)
        assert [status for _, status in signals(desk)] == [200, 400]
        assert catalog_status(desk, client, batch_id) == ending.result

    def test_a_catalog_that_lags_behind_another_client_is_waited_for_before_a_refusal_is_believed(
        self, client: CatalogClient, desk: Desk, batch_id: str, ending: Ending
    ) -> None:
        desk.hold(batch_id, ending.status)
        desk.set(catalog_lag=pace.CATALOG_LAG)
        desk.freeze()
        ending.end(SlowClient(client), batch_id, sleep=desk.advance)
        assert [status for _, status in signals(desk)] == [200, 400]
        assert catalog_status(desk, client, batch_id) == ending.result

    @pytest.mark.parametrize("status", [400, 409, 412])
    def test_a_refusal_that_the_catalog_does_not_explain_is_named_after_its_lag(
        self, client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, ending: Ending, status: int
    ) -> None:
        desk.hold(batch_id, ending.status)
        make_trouble(desk, {"status": status})
        with pytest.raises(
            BatchStateError, match=f"can't be {ending.action.lower()}ed.*answered with {status}"
        ):
            ending.end(client, batch_id, sleep=pauses)
        assert len(signals(desk)) == 1
        assert pauses == [pace.CATALOG_LAG]

    @pytest.mark.parametrize("status", [403, 415])
    def test_a_refusal_that_has_nothing_to_do_with_the_state_is_passed_on(
        self, client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, ending: Ending, status: int
    ) -> None:
        desk.hold(batch_id, ending.status)
        make_trouble(desk, {"status": status})
        with pytest.raises(ApiError, match=str(status)) as caught:
            ending.end(client, batch_id, sleep=pauses)
        assert caught.value.permanent
        assert len(signals(desk)) == 1

    def test_an_unknown_batch_is_not_found(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, ending: Ending
    ) -> None:
        with pytest.raises(
            NotFoundError, match="POST /data/foundation/import/batches/UNKNOWN was answered with 404"
        ):
            ending.end(client, "UNKNOWN", sleep=pauses)
        assert pauses == []

    def test_a_malformed_id_is_refused(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, ending: Ending
    ) -> None:
        with pytest.raises(InvalidInputError, match="batch_id"):
            ending.end(client, "a/b", sleep=pauses)
        assert desk.sent() == []


def test_a_batch_that_the_catalog_does_not_show_yet_can_be_aborted(
    client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses
) -> None:
    desk.set(catalog_lag=3600)
    abort_batch(client, batch_id, sleep=pauses)
    desk.set(catalog_lag=0)
    assert client.get_batch(batch_id).status == "aborted"


STATES: list[tuple[End, str, str]] = [
    *((abort_batch, status, "It is promoted, but it can be reverted") for status in ("success", "active")),
    *((abort_batch, status, "It had been promoted") for status in ("inactive", "archived")),
    *((abort_batch, status, "it can be reverted") for status in ("loaded", "staging", "staged", "stalled")),
    (revert_batch, "loading", "abort it"),
    (revert_batch, "staging", "wait for its end"),
    *((revert_batch, status, "It was never promoted") for status in ("failed", "abandoned")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("end", "status", "advice"), STATES, ids=[f"{end.__name__} {status}" for end, status, _ in STATES]
)
def test_a_state_in_which_it_makes_no_sense_is_named_with_advice(
    client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, end: End, status: str, advice: str
) -> None:
    desk.hold(batch_id, status)
    with pytest.raises(BatchStateError, match=advice) as caught:
        end(client, batch_id, sleep=pauses)
    assert caught.value.permanent
    assert f"Batch {batch_id} is '{status}' and can't be" in str(caught.value)
    assert caught.value.batch.status == status
    assert pauses == [pace.CATALOG_LAG] * len(signals(desk))


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (abort_batch, "failed"),
        (abort_batch, "failure"),
        (abort_batch, "abandoned"),
        (revert_batch, "inactive"),
        (revert_batch, "deleted"),
    ],
)
def test_a_batch_that_is_out_of_the_way_already_is_left_alone(
    client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, end: End, status: str
) -> None:
    desk.hold(batch_id, status)
    end(client, batch_id, sleep=pauses)
    assert signals(desk) == []


def test_a_batch_whose_data_are_in_another_one_now_is_not_taken_for_reverted(
    client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses
) -> None:
    desk.hold(batch_id, "inactive", tags={"acp_successor": ["MERGED"]})
    with pytest.raises(BatchStateError, match="has put MERGED in its place"):
        revert_batch(client, batch_id, sleep=pauses)
    assert signals(desk) == []


@pytest.mark.parametrize("status", ["archived", "retained"])
def test_of_a_batch_in_an_archive_the_platform_says_whether_it_can_be_reverted(
    client: CatalogClient, desk: Desk, batch_id: str, pauses: Pauses, status: str
) -> None:
    desk.hold(batch_id, status)
    with pytest.raises(BatchStateError, match="was answered with"):
        revert_batch(client, batch_id, sleep=pauses)
    assert len(signals(desk)) == 1
