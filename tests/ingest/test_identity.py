"""Whose batch it is: every part of a logical attempt counts, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from attempts import FIRST, attempt
from client_stage import settings_for
from desk import CRM_PROFILES

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.validation import check_request
from airflow_provider_catalog.ingest import identity
from airflow_provider_catalog.ingest.identity import LogicalAttempt, with_own_tags

OTHERS: dict[str, Any] = {
    "dag_id": "sales2",
    "run_id": "manual__2026-01-01T00:00:00+00:00",
    "task_id": "load2",
    "map_index": 0,
    "dataset_id": "5e8f1d2b9a4c7018ad64e210",
    "sandbox_name": "prod",
    "client_id": "another-client",
    "run_started": FIRST.run_started + timedelta(microseconds=1) if FIRST.run_started else None,
    "clears": 1,
}
OF_THE_ATTEMPT = {"run_started", "clears"}


class TestTheExternalId:
    @pytest.mark.parametrize(("part", "other"), OTHERS.items(), ids=OTHERS)
    def test_is_another_one_for_another(self, part: str, other: Any) -> None:
        assert attempt(**{part: other}).external_id(1) != FIRST.external_id(1)

    def test_is_told_apart_by_every_part(self) -> None:
        assert {*OTHERS, "chosen_id"} == set(vars(FIRST))

    def test_keeps_parts_apart_that_run_together_as_text(self) -> None:
        assert attempt(dag_id="a.b", task_id="c").attempt != attempt(dag_id="a", task_id="b.c").attempt
        assert attempt(map_index=1, clears=11).attempt != attempt(map_index=11, clears=1).attempt

    def test_is_the_same_in_every_process_and_every_version_of_airflow(self) -> None:
        assert FIRST.external_id(1) == "airflow-ca8901a07065fc90d26847a9067e1e1a-1"
        assert FIRST.owner == "dae441e49f559bf74ddd56a7811c148b"

    def test_has_a_number_of_its_own_for_each_batch_of_the_attempt(self) -> None:
        assert len({FIRST.external_id(number) for number in range(1, 20)}) == 19
        assert FIRST.external_id(2) == FIRST.external_id(1).removesuffix("1") + "2"

    def test_is_one_that_the_platform_takes(self) -> None:
        odd = attempt(dag_id="ü, %", run_id="backfill__2026-01-01T00:00:00+00:00", task_id="group.load")
        check_request(odd.external_id(12), "externalId")

    def test_does_not_depend_on_the_zone_in_which_the_start_is_written(self) -> None:
        assert FIRST.run_started is not None
        elsewhere = FIRST.run_started.astimezone(timezone(timedelta(hours=5, minutes=30)))
        assert attempt(run_started=elsewhere).attempt == FIRST.attempt

    def test_can_be_had_for_a_run_of_which_the_start_is_not_known(self) -> None:
        assert attempt(run_started=None).attempt != FIRST.attempt


class TestAnExternalIdOfTheUsersOwn:
    def test_is_taken_as_it_is_and_numbered_after_a_failure(self) -> None:
        chosen = attempt(chosen_id="sales-1")
        assert [chosen.external_id(number) for number in (1, 2, 3)] == ["sales-1", "sales-1-2", "sales-1-3"]

    def test_does_not_change_whose_batch_it_is(self) -> None:
        assert attempt(chosen_id="sales-1").tags == FIRST.tags


class TestTheOwner:
    @pytest.mark.parametrize(("part", "other"), OTHERS.items(), ids=OTHERS)
    def test_is_the_task_instance_whatever_was_cleared(self, part: str, other: Any) -> None:
        assert (attempt(**{part: other}).owner == FIRST.owner) is (part in OF_THE_ATTEMPT)

    def test_can_be_read_by_people_and_searched_for(self) -> None:
        assert FIRST.tags == {
            "airflow_dag_id": ["sales"],
            "airflow_run_id": ["scheduled__2026-01-01T00:00:00+00:00"],
            "airflow_task_id": ["load"],
            "airflow_map_index": ["-1"],
            "airflow_owner": [FIRST.owner],
            "airflow_attempt": [FIRST.attempt],
        }


class TestTags:
    def test_of_the_user_stay_beside_ours(self) -> None:
        payload = {"datasetId": CRM_PROFILES, "tags": {"team": ["a"]}}
        assert with_own_tags(payload, {"airflow_owner": ["x"]}) == {
            "datasetId": CRM_PROFILES,
            "tags": {"team": ["a"], "airflow_owner": ["x"]},
        }
        assert payload["tags"] == {"team": ["a"]}

    def test_of_ours_are_refused_from_the_user(self) -> None:
        with pytest.raises(InvalidInputError, match=r"tags: got \['airflow_owner'\], expected other names"):
            with_own_tags({"tags": {"airflow_owner": ["me"], "team": ["a"]}}, FIRST.tags)


class TestATestRun:
    """`airflow dags test` starts a run at its logical date, and on Airflow 2.11 gives all tests of a date the same run id."""

    def test_goes_on_with_no_batch_of_another_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        date = datetime(2026, 1, 1, tzinfo=UTC)
        test = context()
        test["dag_run"] = SimpleNamespace(start_date=date, logical_date=date)
        first, retry = attempt_in(test), attempt_in(test)
        monkeypatch.setattr(identity, "PROCESS_STARTED", identity.PROCESS_STARTED + timedelta(seconds=1))
        assert first == retry != attempt_in(test)

    def test_is_no_run_that_was_scheduled(self) -> None:
        date = datetime(2026, 1, 1, tzinfo=UTC)
        scheduled = context()
        scheduled["dag_run"].logical_date = date
        assert attempt_in(scheduled).run_started == scheduled["dag_run"].start_date


def context(try_number: int = 1, max_tries: int = 2, retries: int = 2, map_index: int = -1) -> dict[str, Any]:
    """Give the parts of Airflow's context that tell the attempt."""
    ti = SimpleNamespace(
        dag_id="sales",
        run_id="scheduled__2026-01-01T00:00:00+00:00",
        task_id="load",
        map_index=map_index,
        try_number=try_number,
        max_tries=max_tries,
        id=f"another one for try {try_number}",
        task=SimpleNamespace(retries=retries),
    )
    return {
        "ti": ti,
        "dag_run": SimpleNamespace(start_date=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)),
    }


def attempt_in(context: dict[str, Any], chosen_id: str | None = None) -> LogicalAttempt:
    return LogicalAttempt.of(context, settings_for("http://127.0.0.1:1"), CRM_PROFILES, chosen_id)


class TestTheContextOfATask:
    """The counts are those that every version of Airflow gives to a task with ``retries=2``."""

    def test_tells_the_attempt(self) -> None:
        assert attempt_in(context()) == FIRST
        assert attempt_in(context(), "sales-1") == attempt(chosen_id="sales-1")

    def test_is_the_same_attempt_at_a_retry(self) -> None:
        assert attempt_in(context(try_number=2)) == attempt_in(context(try_number=1))

    def test_is_another_attempt_after_each_clear(self) -> None:
        tries = [(1, 2), (3, 4), (4, 5)]
        attempts = [attempt_in(context(try_number, max_tries)) for try_number, max_tries in tries]
        assert [each.clears for each in attempts] == [0, 2, 3]
        assert len({each.attempt for each in attempts}) == 3

    def test_tells_mapped_instances_apart(self) -> None:
        assert attempt_in(context(map_index=0)).owner != attempt_in(context(map_index=1)).owner
