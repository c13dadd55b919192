"""The announcing example once more, with a file that the platform refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_catalog.assets.dataset import dataset_asset
from airflow_provider_catalog.operators.ingest import IngestFilesOperator

DATASET = "5c8c3c555033b814b69f947f"

profiles = dataset_asset(
    ims_org_id="0123456789ABCDEF01234567@AdobeOrg", sandbox_name="dev", dataset_id=DATASET
)

with DAG(
    dag_id="announced_failure",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
):
    IngestFilesOperator(
        task_id="ingest",
        dataset_id=DATASET,
        files=Path(__file__).parent / "data" / "array.json",
        outlets=[profiles],
        deferrable=True,
        poll_interval=1,
    )
