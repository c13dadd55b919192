"""One DAG for each way in which data come in, and one whose file the platform refuses."""

from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.operators.ingest import IngestFilesOperator
from airflow_provider_catalog.sensors.batch import BatchSensor

DATASET = "5c8c3c555033b814b69f947f"
DATA = Path(__file__).parent / "data" / "lineage"
START = datetime(2025, 1, 1, tzinfo=UTC)
WAIT = {"deferrable": True, "poll_interval": 1}

with DAG(dag_id="lineage_success", schedule=None, start_date=START):
    IngestFilesOperator(task_id="load", dataset_id=DATASET, files=str(DATA / "good"), **WAIT)

with DAG(dag_id="lineage_failure", schedule=None, start_date=START):
    IngestFilesOperator(task_id="load", dataset_id=DATASET, files=str(DATA / "bad.json"), **WAIT)

with DAG(dag_id="lineage_chain", schedule=None, start_date=START):
    open_batch = CreateBatchOperator(task_id="open_batch", dataset_id=DATASET)
    upload = UploadFilesOperator(
        task_id="upload", batch_id=open_batch.output, dataset_id=DATASET, files=str(DATA / "good" / "a.json")
    )
    complete = CompleteBatchOperator(task_id="complete", batch_id=open_batch.output)
    wait = BatchSensor(task_id="wait", batch_id=open_batch.output, deferrable=True, poke_interval=1)
    open_batch >> upload >> complete >> wait

with DAG(dag_id="lineage_hook", schedule=None, start_date=START):

    @task
    def load_by_hand() -> str:
        client = CatalogHook().client
        batch_id = client.create_batch({"datasetId": DATASET, "inputFormat": {"format": "json"}})
        client.put_file(batch_id, DATASET, "a.json", lambda: (DATA / "good" / "a.json").open("rb"))
        client.complete_batch(batch_id)
        return batch_id

    load_by_hand()
