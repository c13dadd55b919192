"""
### Load each file with one task, and keep the rows that were rejected

1. **find_files** finds out which files there are,
2. **ingest** loads each of them in a batch of its own: a retry goes on where the try before it has stopped, and a cleared
   task replaces the rows that it had loaded,
3. **keep_rejected** writes the rejected rows of each batch with their reasons into a folder, also if the batch failed.

Up to five per cent of a file's rows may be rejected before its batch fails.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir

from airflow.providers.common.compat.sdk import DAG, XComArg, task, task_group

from airflow_provider_catalog.operators.diagnostics import DownloadBatchErrorsOperator
from airflow_provider_catalog.operators.ingest import IngestFilesOperator

DATASET = "5c8c3c555033b814b69f947f"
REGIONS = Path(__file__).parent / "data" / "regions"
REJECTED = Path(gettempdir()) / "rejected"

with DAG(
    dag_id="one_task_ingest",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["adobe", "example"],
) as dag:

    @task
    def find_files() -> list[str]:
        return sorted(str(path) for path in REGIONS.glob("*.json"))

    @task_group
    def load(file: str) -> None:
        ingest = IngestFilesOperator(
            task_id="ingest",
            dataset_id=DATASET,
            files=file,
            partial_ingestion_percent=5,
            deferrable=True,  # waits in the triggerer, without a worker slot
            poll_interval=5,  # seconds; once a minute is plenty for the real platform
        )
        DownloadBatchErrorsOperator(
            task_id="keep_rejected",
            # It is there as soon as the batch is, also if that fails.
            batch_id=XComArg(ingest, key="batch_id"),
            path=str(REJECTED / "{{ run_id }}" / "{{ ti.map_index }}.jsonl"),
        ).as_teardown()  # runs in any case, and leaves a failed run failed

    load.expand(file=find_files())
