"""
### Take a batch back if there is too little in it

1. **open_batch**, **upload**, **complete** and **wait** load a file,
2. **abort** gives the batch up if the upload has failed, so that it does not stay open,
3. **decide** looks at what the platform has counted. With enough records **keep** goes on; else **revert** takes the data out
   of the dataset again, and **tell** fails the run.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Param, task

from airflow_provider_catalog.operators.batch import (
    AbortBatchOperator,
    CompleteBatchOperator,
    CreateBatchOperator,
    RevertBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.sensors.batch import BatchSensor

DATASET = "5c8c3c555033b814b69f947f"
CUSTOMERS = Path(__file__).parent / "data" / "customers.json"

with DAG(
    dag_id="take_back",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params={
        "file": Param(str(CUSTOMERS), type="string", description="The file to load"),
        "least": Param(5, type="integer", description="How many records must have come in"),
    },
    tags=["adobe", "example"],
) as dag:
    open_batch = CreateBatchOperator(task_id="open_batch", dataset_id=DATASET)
    upload = UploadFilesOperator(
        task_id="upload", batch_id=open_batch.output, dataset_id=DATASET, files="{{ params.file }}"
    )
    complete = CompleteBatchOperator(task_id="complete", batch_id=open_batch.output)
    wait = BatchSensor(
        task_id="wait",
        batch_id=open_batch.output,
        deferrable=True,
        poke_interval=5,  # seconds; once a minute is plenty for the real platform
        timeout=timedelta(hours=6),
    )
    open_batch >> upload >> complete >> wait

    abort = AbortBatchOperator(task_id="abort", batch_id=open_batch.output, trigger_rule="one_failed")
    upload >> abort

    @task.branch
    def decide(batch: dict[str, Any], params: Any = None) -> str:
        return "keep" if batch["records_written"] >= params["least"] else "revert"

    @task
    def keep(batch: dict[str, Any]) -> str:
        return f"{batch['records_written']} records are in"

    @task
    def tell(batch_id: str) -> None:
        raise AirflowFailException(f"Batch {batch_id} had too few records, and was reverted.")

    promoted = cast(dict[str, Any], wait.output)
    revert = RevertBatchOperator(task_id="revert", batch_id=open_batch.output)
    decide(promoted) >> [keep(promoted), revert]
    tell(cast(str, revert.output))
