"""The stage of these tests; see `airflow_stage`."""

from airflow_stage import desk, no_pauses

__all__ = ["desk", "no_pauses"]
