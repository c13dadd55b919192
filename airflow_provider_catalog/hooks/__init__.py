"""Airflow's connections to the platform."""
