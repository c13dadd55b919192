"""`DatasetBatchTrigger` waits without a worker; the trigger of assets is there in any Airflow, and says which one it needs."""

import inspect
import json
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException
from desk import BATCHES, CRM_PROFILES, LOCAL_SECRET, Desk
from tasks import IS_AIRFLOW_2, fire, restored

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers.batch import Outcome
from airflow_provider_catalog.triggers.dataset import DatasetBatchEventTrigger, DatasetBatchTrigger


def trigger(**arguments: Any) -> DatasetBatchTrigger:
    known: dict[str, Any] = {
        "dataset_id": CRM_PROFILES,
        "catalog_conn_id": "adobe_catalog_default",
        "sandbox_name": None,
        "since": 0.0,
        "min_batches": 1,
        "min_records": None,
        "poll_interval": 0.02,
        "max_unreachable": 1800,
        "deadline": time.time() + 20,
    }
    return DatasetBatchTrigger(**{**known, **arguments})


def test_every_argument_is_stored_and_makes_the_same_trigger_again() -> None:
    stored = trigger(hard_deadline=5.5, min_batches=None, min_records=7, sandbox_name="dev")
    assert set(inspect.signature(DatasetBatchTrigger.__init__).parameters) - {"self"} == set(
        stored.serialize()[1]
    )
    assert restored(stored).serialize() == stored.serialize()


def test_nothing_that_is_stored_is_a_secret(desk: Desk) -> None:
    waiting = trigger(deadline=0)
    fire(waiting)
    stored = json.dumps(waiting.serialize())
    assert desk.emulator.issued_tokens
    assert not [secret for secret in (LOCAL_SECRET, *desk.emulator.issued_tokens) if secret in stored]


ENDS: dict[str, tuple[dict[str, Any], Outcome]] = {
    "arrived": ({}, Outcome.PROMOTED),
    "out of time": ({"min_batches": 2, "deadline": 0}, Outcome.TIMED_OUT),
    "stopped": ({"min_batches": 2, "hard_deadline": 0}, Outcome.STOPPED),
    "unknown dataset": ({"dataset_id": "000000000000000000000000"}, Outcome.FAILED),
}


@pytest.mark.parametrize(("arguments", "outcome"), ENDS.values(), ids=ENDS)
def test_the_event_says_how_it_ended_and_names_the_dataset(
    arguments: dict[str, Any], outcome: Outcome, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_catalog.ingest.watch.REFUSAL_GRACE", 0.1)
    desk.set(empty_batch="success", promotion_seconds=0)
    client = CatalogHook().client
    client.complete_batch(desk.open_batch())
    event = fire(trigger(**arguments))
    assert event["outcome"] == outcome.value
    assert arguments.get("dataset_id", CRM_PROFILES) in event["message"]
    assert (event["summary"] or {}).get("batches") == (1 if outcome is Outcome.PROMOTED else None)


def mistaken_once(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Let the client make a mistake over the first answer; what is given lists the answers."""
    answers: list[object] = []
    promoted_batches = CatalogClient.promoted_batches

    def mistaken(client: CatalogClient, *arguments: Any, **named: Any) -> Any:
        answers.append(promoted_batches(client, *arguments, **named))
        return answers[-1] if len(answers) > 1 else 1 / 0

    monkeypatch.setattr(CatalogClient, "promoted_batches", mistaken)
    return answers


def test_it_never_looks_more_often_than_asked(desk: Desk) -> None:
    desk.break_next({"status": 503}, BATCHES, times=None)
    event = fire(trigger(poll_interval=0.1, deadline=time.time() + 0.6))
    assert event["outcome"] == Outcome.TIMED_OUT
    assert 2 <= len(desk.sent("GET", BATCHES)) <= 7


def test_its_deadline_ends_it_also_while_the_platform_does_not_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_catalog.triggers.dataset.LAST_LOOK_SECONDS", 0.2)
    desk.hold_requests("before", BATCHES, times=None)
    try:
        event = fire(trigger(deadline=time.time() + 0.5))
        assert len(desk.sent("GET", BATCHES)) == 1
    finally:
        desk.mend()
        desk.release_all()
    assert event["outcome"] == Outcome.TIMED_OUT


def test_a_deadline_that_has_passed_while_nobody_waited_still_gets_a_look(desk: Desk) -> None:
    desk.set(empty_batch="success", promotion_seconds=0)
    CatalogHook().client.complete_batch(desk.open_batch())
    assert fire(trigger(deadline=time.time() - 3600))["outcome"] == Outcome.PROMOTED


def test_a_mistake_over_one_strange_answer_does_not_end_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.set(empty_batch="success", promotion_seconds=0)
    CatalogHook().client.complete_batch(desk.open_batch())
    mistaken = mistaken_once(monkeypatch)
    assert fire(trigger())["outcome"] == Outcome.PROMOTED
    assert len(mistaken) >= 2


@pytest.mark.skipif(not IS_AIRFLOW_2, reason="Airflow 3 has asset watchers")
def test_airflow_2_says_that_it_has_no_watchers() -> None:
    with pytest.raises(AirflowOptionalProviderFeatureException, match="needs Airflow 3"):
        DatasetBatchEventTrigger(dataset_id=CRM_PROFILES)
