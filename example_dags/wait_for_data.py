"""
### Wait until somebody has loaded data into a dataset

**wait** waits in the triggerer until the platform has promoted a batch on the dataset, whoever has loaded it, since the run's
data interval began; **report** says which batches that were.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_catalog.sensors.batch import DatasetBatchSensor

DATASET = "5c8c3c555033b814b69f947f"

with DAG(
    dag_id="wait_for_data",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["adobe", "example"],
) as dag:
    wait = DatasetBatchSensor(
        task_id="wait",
        dataset_id=DATASET,
        deferrable=True,
        poke_interval=5,  # seconds; once a minute is plenty for the real platform
        timeout=timedelta(hours=6),
    )

    @task
    def report(arrived: dict[str, Any]) -> str:
        return f"{arrived['batches']} batches with {arrived['records']} records: {arrived['batch_ids']}"

    report(cast(dict[str, Any], wait.output))
