"""Datasets as Airflow's assets, and what the events of these tell."""
