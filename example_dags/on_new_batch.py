"""
### Run for each batch that is promoted on a dataset (Airflow 3)

A watcher in the triggerer makes an asset event of each batch that the platform promotes on the dataset, whoever has loaded it.
**find_batches** reads the events that the run was started by, usually one, and **process** does something for each of them.

A watcher runs while its DAG is not paused.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_catalog.triggers.dataset import DatasetBatchEventTrigger

DATASET = "5c8c3c555033b814b69f947f"

# Not the asset of `announced_ingest`: the batches of tasks that have it in their outlets would make two events each.
new_batches = Asset(
    "crm_profiles",
    watchers=[
        AssetWatcher(
            name="new_batches",
            trigger=DatasetBatchEventTrigger(
                dataset_id=DATASET,
                poll_interval=5,  # seconds; once a minute is plenty for the real platform
                dag_id="on_new_batch",  # the next event comes when this DAG has a run for the one before
            ),
        )
    ],
)

with DAG(
    dag_id="on_new_batch",
    doc_md=__doc__,
    schedule=[new_batches],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["adobe", "example"],
) as dag:

    @task
    def find_batches(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        events_by_asset = (triggering_asset_events or {}).values()
        return [event.extra["payload"] for events in events_by_asset for event in events]

    @task
    def process(batch: dict[str, Any]) -> str:
        return f"batch {batch['batch_id']} brought {batch['records_written']} records"

    process.expand(batch=find_batches())
