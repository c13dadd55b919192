"""The classic chain once more for each way of waiting, and once with a file that the platform refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.sensors.batch import BatchSensor

DATASET = "5c8c3c555033b814b69f947f"
DATA = Path(__file__).parent / "data"

# Airflow 3 may take a second visit within five seconds of a reschedule for a failure, and spend a try on it.
CHAINS = {
    "wait_poke": ("customers.json", {"mode": "poke", "poke_interval": 1}),
    "wait_reschedule": ("customers.json", {"mode": "reschedule", "poke_interval": 15}),
    "wait_for_failure": ("array.json", {"deferrable": True, "poke_interval": 1}),
}

for dag_id, (file, waiting) in CHAINS.items():
    with DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
    ):
        open_batch = CreateBatchOperator(task_id="open_batch", dataset_id=DATASET)
        upload = UploadFilesOperator(
            task_id="upload", batch_id=open_batch.output, dataset_id=DATASET, files=DATA / file
        )
        complete = CompleteBatchOperator(task_id="complete", batch_id=open_batch.output)
        wait = BatchSensor(task_id="wait", batch_id=open_batch.output, **waiting)
        open_batch >> upload >> complete >> wait
