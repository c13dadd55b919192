"""Links from Airflow's pages to Adobe's."""
