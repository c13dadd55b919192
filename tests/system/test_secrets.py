"""After full runs, neither the client secret nor any token is found in anything that Airflow has kept."""

from leaks import places_of
from runs import Runs


def test_no_secret_is_left_behind(runs: Runs) -> None:
    assert len(runs.secrets) > 1, "no token was issued"
    assert places_of(runs.secrets, runs.airflow) == set()


def test_no_secret_is_kept_in_a_trigger(runs: Runs) -> None:
    batch_id = runs.airflow.xcom_of("classic_ingest", "open_batch")
    assert batch_id in runs.triggers, "the waiting trigger was not seen"
    assert not [secret for secret in runs.secrets if secret in runs.triggers]


def test_the_search_finds_a_planted_secret_in_every_kind_of_place(runs: Runs) -> None:
    places = places_of([runs.planted], runs.airflow)
    logs = {place for place in places if place.startswith("logs/") and "spill" in place}
    assert logs
    assert places >= {"xcom.value", "rendered_task_instance_fields.rendered_fields", "serialized_dag.data"}
    assert runs.planted in runs.triggers
    assert any("Could not log in" in (runs.airflow.home / log).read_text() for log in logs)
