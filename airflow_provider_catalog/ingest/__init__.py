"""How files become a promoted batch, in plain Python on top of :mod:`airflow_provider_catalog.api`. Imports no Airflow."""
