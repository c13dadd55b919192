"""A DAG that loads each file of a folder with an ingestion of its own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_catalog.operators.ingest import IngestFilesOperator

FILES = sorted(str(path) for path in (Path(__file__).parent / "data").glob("*.json"))

with DAG("fleet", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    IngestFilesOperator.partial(
        task_id="load",
        dataset_id="5c8c3c555033b814b69f947f",
        deferrable=True,
        poll_interval=2,
        retries=20,
        retry_delay=timedelta(seconds=1),
    ).expand(files=FILES)
