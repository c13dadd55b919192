"""The platform's HTTP API in plain Python: what goes over the wire, and what comes back. Imports no Airflow."""
