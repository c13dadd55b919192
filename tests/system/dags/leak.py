"""A DAG that spills what it should keep to itself."""

import os
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG
from leaky import LeakyOperator

with DAG(dag_id="leak", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC)):
    LeakyOperator(task_id="spill", secret=os.environ["PLANTED_SECRET"], until=os.environ["RELEASE_FILE"])
