"""
### Load several files, each in a batch of its own

Which files there are is found out when the DAG runs; the chain *open - upload - complete - wait* is then mapped over
them. One file that is refused fails its own chain, and the others go through.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task, task_group

from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.sensors.batch import BatchSensor

DATASET = "5c8c3c555033b814b69f947f"
REGIONS = Path(__file__).parent / "data" / "regions"

with DAG(
    dag_id="mapped_ingest",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["adobe", "example"],
) as dag:

    @task
    def find_files() -> list[str]:
        return sorted(str(path) for path in REGIONS.glob("*.json"))

    @task_group
    def ingest(file: str) -> None:
        open_batch = CreateBatchOperator(task_id="open_batch", dataset_id=DATASET)
        upload = UploadFilesOperator(
            task_id="upload", batch_id=open_batch.output, dataset_id=DATASET, files=file
        )
        complete = CompleteBatchOperator(task_id="complete", batch_id=open_batch.output)
        wait = BatchSensor(
            task_id="wait",
            batch_id=open_batch.output,
            deferrable=True,
            poke_interval=5,
            timeout=timedelta(hours=6),
        )
        open_batch >> upload >> complete >> wait

    ingest.expand(file=find_files())
