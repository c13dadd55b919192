"""A DAG of which one run waits for all batches that the test has opened, and one that waits for a batch of its own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_catalog.sensors.batch import BatchSensor

WAITS = json.loads((Path(__file__).parent / "waits.json").read_text())
ALWAYS = {"schedule": None, "start_date": datetime(2025, 1, 1, tzinfo=UTC)}
WAIT = {"deferrable": True, "retries": 2, "retry_delay": timedelta(seconds=1)}

with DAG("many_waits", max_active_tasks=1000, **ALWAYS):
    BatchSensor.partial(task_id="wait", poke_interval=5, **WAIT).expand_kwargs(WAITS)

with DAG("changed_secret", **ALWAYS):
    BatchSensor(
        task_id="wait",
        batch_id="{{ dag_run.conf['batch_id'] }}",
        catalog_conn_id="changed_secret",
        poke_interval=1,
        **WAIT,
    )
