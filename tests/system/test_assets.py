"""An ingestion announces its batch by an asset, and a DAG that is scheduled on that runs once; a failed one starts nothing."""

from datetime import UTC, datetime
from typing import Any

from airflow_stack import AIRFLOW_2
from catalog_view import record_counts
from runs import Runs

DATASET = "5c8c3c555033b814b69f947f"
URI = f"aep://0123456789ABCDEF01234567%40AdobeOrg/dev/{DATASET}"
ANNOUNCING, FAILING, LISTENING = "announced_ingest", "announced_failure", "on_announced_ingest"


def events(runs: Runs) -> list[dict[str, Any]]:
    """Give all events of all assets."""
    kind = "dataset" if AIRFLOW_2 else "asset"
    found: list[dict[str, Any]] = runs.airflow.api("GET", f"/{kind}s/events?limit=100")[f"{kind}_events"]
    return found


def runs_of(runs: Runs, dag_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = runs.airflow.api("GET", f"/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
    return found


def announced_batch(runs: Runs) -> tuple[str, dict[str, Any]]:
    """Give the batch of the ingestion that has succeeded, as the Catalog has it."""
    batch_id = runs.airflow.xcom_of(ANNOUNCING, "ingest", "batch_id")
    return batch_id, runs.platform.batch(batch_id)


def test_the_ingestion_that_has_succeeded_makes_the_only_event(runs: Runs) -> None:
    [event] = events(runs)
    assert event["dataset_uri" if AIRFLOW_2 else "uri"] == URI
    assert (event["source_dag_id"], event["source_task_id"], event["source_map_index"]) == (
        *(ANNOUNCING, "ingest"),
        -1,
    )
    [run] = runs_of(runs, ANNOUNCING)
    assert event["source_run_id"] == run["dag_run_id"]


def test_the_event_tells_the_batch_as_the_catalog_has_it(runs: Runs) -> None:
    batch_id, batch = announced_batch(runs)
    [event] = events(runs)
    assert batch["status"] == "success"
    completed = datetime.fromtimestamp(batch["completed"] / 1000, UTC)
    assert event["extra"] == {
        "dataset_id": DATASET,
        "batch_id": batch_id,
        "external_id": batch["externalId"],
        "completed": completed.isoformat(timespec="milliseconds"),
        **record_counts(batch),
    }
    assert record_counts(batch) == {"records_read": 10, "records_written": 10, "records_failed": 0}


def test_the_failed_ingestion_had_its_batch_and_makes_no_event(runs: Runs) -> None:
    batch_id = runs.airflow.xcom_of(FAILING, "ingest", "batch_id")
    assert runs.platform.batch(batch_id)["status"] == "failed"
    assert runs.airflow.state_of(FAILING, "ingest") == "failed"
    assert FAILING not in {event["source_dag_id"] for event in events(runs)}


def test_the_listening_dag_runs_once_because_of_the_event(runs: Runs) -> None:
    [event] = events(runs)
    [started] = event["created_dagruns"]
    [run] = runs_of(runs, LISTENING)
    assert (started["dag_id"], started["dag_run_id" if AIRFLOW_2 else "run_id"]) == (
        LISTENING,
        run["dag_run_id"],
    )
    assert run["run_type"] == ("dataset_triggered" if AIRFLOW_2 else "asset_triggered")
    assert run["state"] == "success"


def test_the_listening_dag_finds_what_the_event_tells(runs: Runs) -> None:
    [event] = events(runs)
    assert runs.airflow.xcom_of(LISTENING, "find_batches") == [event["extra"]]
