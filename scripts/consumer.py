"""What a user might write: a type checker must find the installed package's types, and nothing wrong here."""

from datetime import timedelta

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.ingest import IngestFilesOperator
from airflow_provider_catalog.sensors.batch import BatchSensor

load = IngestFilesOperator(task_id="load", dataset_id="dataset", files=["rows.json"], input_format="json")
wait = BatchSensor(task_id="wait", batch_id="batch", timeout=timedelta(hours=6))


def sandboxes() -> list[str]:
    """Reach the client behind the hook."""
    return list(CatalogHook().client.list_sandboxes())


IngestFilesOperator(task_id="load", dataset_id="dataset", files=3)  # type: ignore[arg-type]
