"""
### Load a file, and announce it to other DAGs

When **ingest** succeeds, the platform has promoted the batch, and Airflow makes an event of the dataset's asset. The event tells
the batch and its counts. `on_announced_ingest` is scheduled on the asset, and runs then. If the ingestion fails, there is
no event.

The asset names the organisation, the sandbox and the dataset; here, those of the emulator.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_catalog.assets.dataset import dataset_asset
from airflow_provider_catalog.operators.ingest import IngestFilesOperator

DATASET = "5c8c3c555033b814b69f947f"
CUSTOMERS = Path(__file__).parent / "data" / "customers.json"

profiles = dataset_asset(
    ims_org_id="0123456789ABCDEF01234567@AdobeOrg", sandbox_name="dev", dataset_id=DATASET
)

with DAG(
    dag_id="announced_ingest",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["adobe", "example"],
) as dag:
    IngestFilesOperator(
        task_id="ingest",
        dataset_id=DATASET,
        files=str(CUSTOMERS),
        outlets=[profiles],
        deferrable=True,  # waits in the triggerer, without a worker slot
        poll_interval=5,  # seconds; once a minute is plenty for the real platform
    )
