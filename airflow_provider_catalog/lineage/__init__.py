"""Lineage: what Airflow's users of OpenLineage are told of files, datasets and batches.

Nothing here is needed for loading, and nothing of OpenLineage is imported unless its listener asks a task for its lineage.
"""
