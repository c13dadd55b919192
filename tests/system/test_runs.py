"""A scheduler, a triggerer and workers of their own run the DAGs; the platform and Airflow's API tell the outcome."""

import pytest
from airflow_stack import AIRFLOW_2
from catalog_view import record_counts
from runs import Runs

DATASET = "5c8c3c555033b814b69f947f"
MODES = {"poke": "wait_poke", "reschedule": "wait_reschedule", "deferrable": "classic_ingest"}
SUCCEEDED = pytest.mark.parametrize("dag_id", MODES.values(), ids=MODES.keys())


def xcom(runs: Runs, dag_id: str, task_id: str) -> object:
    return runs.airflow.xcom_of(dag_id, task_id)


@SUCCEEDED
def test_every_task_succeeds_at_its_first_try(runs: Runs, dag_id: str) -> None:
    tasks = runs.airflow.tasks_of(dag_id)
    assert set(tasks) == {"open_batch", "upload", "complete", "wait"}
    assert {(task["state"], task["try_number"]) for task in tasks.values()} == {("success", 1)}


@SUCCEEDED
def test_the_batch_id_is_handed_on_from_task_to_task(runs: Runs, dag_id: str) -> None:
    batch_id = xcom(runs, dag_id, "open_batch")
    assert xcom(runs, dag_id, "upload")["batch_id"] == batch_id
    assert xcom(runs, dag_id, "complete") == batch_id
    assert xcom(runs, dag_id, "wait")["id"] == batch_id


@SUCCEEDED
def test_the_summary_says_what_the_platform_has_counted(runs: Runs, dag_id: str) -> None:
    summary = xcom(runs, dag_id, "wait")
    batch = runs.platform.batch(summary["id"])
    assert batch["status"] == "success"
    assert summary == {"id": summary["id"], "status": "success", **record_counts(batch), "errors": []}
    assert (summary["records_read"], summary["records_written"], summary["records_failed"]) == (10, 10, 0)


def test_each_run_has_opened_one_batch(runs: Runs) -> None:
    chains = (*MODES.values(), "wait_for_failure", "lineage_chain")
    opened = {xcom(runs, dag_id, "open_batch") for dag_id in chains}
    opened |= {
        runs.airflow.xcom_of(dag_id, task_id, "batch_id")
        for task_id, dag_ids in {
            "ingest": ("announced_ingest", "announced_failure"),
            "load": ("lineage_success", "lineage_failure"),
        }.items()
        for dag_id in dag_ids
    }
    opened.add(xcom(runs, "lineage_hook", "load_by_hand"))
    assert len(opened) == 10
    assert opened == set(runs.platform.batches_of(DATASET))


def test_the_classic_dag_was_run_by_its_schedule(runs: Runs) -> None:
    assert runs.airflow.run_of("classic_ingest")["run_type"] == "scheduled"


@pytest.mark.parametrize("dag_id", ["classic_ingest", "announced_ingest"])
def test_no_dag_runs_again_when_a_day_begins(runs: Runs, dag_id: str) -> None:
    dag = runs.airflow.api("GET", f"/dags/{dag_id}")
    assert dag["next_dagrun_create_after" if AIRFLOW_2 else "next_dagrun_run_after"] is None


def test_a_failed_batch_fails_the_sensor_without_another_try(runs: Runs) -> None:
    tasks = runs.airflow.tasks_of("wait_for_failure")
    assert (tasks["complete"]["state"], tasks["wait"]["state"], tasks["wait"]["try_number"]) == (
        "success",
        "failed",
        1,
    )


def test_the_log_of_a_failed_sensor_gives_the_reason_and_no_row(runs: Runs) -> None:
    batch = runs.platform.batch(xcom(runs, "wait_for_failure", "open_batch"))
    log = runs.airflow.log_of("wait_for_failure", "wait")
    assert batch["errors"][0]["code"] in log
    assert "firstName" not in log


@SUCCEEDED
def test_the_task_that_opens_the_batch_links_to_the_dataset(runs: Runs, dag_id: str) -> None:
    links = runs.airflow.links_of(dag_id, "open_batch")
    assert f"{runs.platform.url}/ui/dev/datasets/{DATASET}" in links.values()
