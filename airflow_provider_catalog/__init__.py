"""Airflow building blocks that load files into Adobe Experience Platform."""

__version__ = "0.1.0"
