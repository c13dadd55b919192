"""A DAG that runs for each batch that is promoted on a dataset; its task costs nothing, since the scheduler ends it itself."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_catalog.triggers.dataset import DatasetBatchEventTrigger

CRM_PROFILES = "5c8c3c555033b814b69f947f"

profiles = Asset(
    "crm_profiles",
    watchers=[
        AssetWatcher(
            name="batches",
            trigger=DatasetBatchEventTrigger(
                dataset_id=CRM_PROFILES,
                catalog_conn_id="arrivals",
                since="2020-01-01",
                poll_interval=1,
                dag_id="on_batch",
            ),
        )
    ],
)

with DAG("on_batch", schedule=[profiles], start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_runs=100):
    EmptyOperator(task_id="done")
