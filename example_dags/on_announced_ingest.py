"""
### Run when another DAG has loaded something

It is scheduled on the asset of a dataset, which `announced_ingest` has among its outlets. **find_batches** reads the events that
the run was started by, and **process** does something for each batch that they tell of.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_catalog.assets.dataset import dataset_asset

profiles = dataset_asset(
    ims_org_id="0123456789ABCDEF01234567@AdobeOrg", sandbox_name="dev", dataset_id="5c8c3c555033b814b69f947f"
)

with DAG(
    dag_id="on_announced_ingest",
    doc_md=__doc__,
    schedule=[profiles],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["adobe", "example"],
) as dag:

    @task
    def find_batches(
        triggering_asset_events: Any = None,  # by Airflow 3
        triggering_dataset_events: Any = None,  # by Airflow 2
    ) -> list[dict[str, Any]]:
        found = triggering_asset_events or triggering_dataset_events or {}
        return [event.extra for events in found.values() for event in events]

    @task
    def process(batch: dict[str, Any]) -> str:
        return f"batch {batch['batch_id']} brought {batch['records_written']} records"

    process.expand(batch=find_batches())
