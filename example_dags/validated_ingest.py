"""
### Validate a folder of files, join them, and load what fits the schema

One task looks at all files of a folder before anything is sent: records that do not fit the dataset's schema are left out and
written to a file with the reasons. What is left of the small files is joined into few uploads.

The run's parameters choose the folder, so that the same DAG loads one of an object store:
`{"folder": "s3://my_connection@my-bucket/customers/"}` (with Airflow's provider for that store installed).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_catalog.operators.ingest import IngestFilesOperator

DATASET = "5c8c3c555033b814b69f947f"
REGIONS = Path(__file__).parent / "data" / "regions"
INVALID = Path(gettempdir()) / "invalid"

with DAG(
    dag_id="validated_ingest",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params={"folder": Param(str(REGIONS), type="string", description="A folder, a glob, or an address")},
    tags=["adobe", "example"],
) as dag:
    IngestFilesOperator(
        task_id="ingest",
        dataset_id=DATASET,
        files="{{ params.folder }}",
        validate="schema",
        on_invalid="drop",
        invalid_records_path=str(INVALID / "{{ run_id }}.jsonl"),
        coalesce=True,
        max_parallel_uploads=8,
        deferrable=True,  # waits in the triggerer, without a worker slot
        poll_interval=5,  # seconds; once a minute is plenty for the real platform
    )
