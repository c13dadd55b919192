"""The stage on which these tests play."""

from airflow_stage import *  # noqa: F403
