"""One DAG for each case: a task that loads three files, over a connection that is named like the DAG."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_catalog.operators.ingest import IngestFilesOperator

HERE = Path(__file__).parent

for dag_id, arguments in json.loads((HERE / "cases.json").read_text()).items():
    with DAG(dag_id=dag_id, schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC)):
        IngestFilesOperator(
            task_id="load",
            dataset_id="5c8c3c555033b814b69f947f",
            files=str(HERE / "data" / "*.json"),
            catalog_conn_id=dag_id,
            retries=4,
            retry_delay=timedelta(seconds=1),
            poll_interval=1,
            **arguments,
        )
