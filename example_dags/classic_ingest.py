"""
### Load one file into Adobe Experience Platform

1. **open_batch** opens a batch on the dataset,
2. **upload** puts the file into it,
3. **complete** signals that all files are there,
4. **wait** follows the batch until the platform has promoted it, and fails with the platform's reason if it does not.

The file, its format and the dataset are parameters of the run. The connection `adobe_catalog_default` says
which organisation and sandbox the batch goes to.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.sensors.batch import BatchSensor

CUSTOMERS = Path(__file__).parent / "data" / "customers.json"

with DAG(
    dag_id="classic_ingest",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params={
        "file": Param(str(CUSTOMERS), type="string", description="The file to load"),
        "input_format": Param(
            "json",
            enum=["json", "multiline-json", "parquet", "csv"],
            description="json: one object per line; multiline-json: an array, or objects over several lines",
        ),
        "dataset_id": Param(
            "5c8c3c555033b814b69f947f", type="string", description="The dataset to load it into"
        ),
    },
    tags=["adobe", "example"],
) as dag:
    open_batch = CreateBatchOperator(
        task_id="open_batch",
        dataset_id="{{ params.dataset_id }}",
        input_format="{{ params.input_format }}",
        enable_error_diagnostics=True,  # so that the platform says why it rejects rows
    )
    upload = UploadFilesOperator(
        task_id="upload",
        batch_id=open_batch.output,
        dataset_id="{{ params.dataset_id }}",
        files="{{ params.file }}",
    )
    complete = CompleteBatchOperator(task_id="complete", batch_id=open_batch.output)
    wait = BatchSensor(
        task_id="wait",
        batch_id=open_batch.output,
        deferrable=True,  # waits in the triggerer, without a worker slot
        poke_interval=5,  # seconds; once a minute is plenty for the real platform
        timeout=timedelta(hours=6),
    )
    open_batch >> upload >> complete >> wait
