"""
### List the batches of a day that have failed, with code of your own

**find_failed** asks the Catalog through the hook which batches on the dataset have failed, whoever opened them, and why.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.hooks.retry_policy import CatalogRetryPolicy

DATASET = "5c8c3c555033b814b69f947f"

with DAG(
    dag_id="failed_batches",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["adobe", "example"],
) as dag:
    # Airflow 3.3 asks such a policy whether and when a task is tried again; the versions before it have none.
    policy: Any = {"retry_policy": CatalogRetryPolicy()} if hasattr(sdk, "RetryPolicy") else {}

    @task(retries=5, retry_delay=timedelta(minutes=1), **policy)
    def find_failed() -> list[str]:
        client = CatalogHook().client
        yesterday = datetime.now(UTC) - timedelta(days=1)
        failed = client.list_batches(
            dataset_id=DATASET,
            statuses=["failed", "failure"],
            created_after=int(yesterday.timestamp() * 1000),
        )
        return [f"{batch.id}: {batch.explanation}" for batch in failed]

    find_failed()
