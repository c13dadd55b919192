"""From the notes of a task to what OpenLineage takes. Imports OpenLineage."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.openlineage.facet import (
    DatasetFacet,
    InputDataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
    RunFacet,
    SchemaDatasetFacet,
    SchemaDatasetFacetFields,
)
from airflow.providers.openlineage.extractors import OperatorLineage

from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.api.statuses import Phase
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.lineage.columns import columns, read_dataset_schema
from airflow_provider_catalog.lineage.facets import KEY, AdobeBatchRunFacet
from airflow_provider_catalog.lineage.names import dataset_name
from airflow_provider_catalog.lineage.notes import Notes, Use
from airflow_provider_catalog.links.dataset import dataset_url

log = logging.getLogger(__name__)


def lineage_at_start(notes: Notes, hook: CatalogHook) -> OperatorLineage[Any, Any]:
    """Tell what a task is about to do. Which files there are it does not know yet, and the platform is not asked."""
    settings = _settings(hook)
    lineage = _with_dataset(notes, settings, {})
    lineage.run_facets = _run_facets(notes, settings)
    return lineage


def lineage_at_end(notes: Notes, hook: CatalogHook) -> OperatorLineage[Any, Any]:
    """Tell what a task has done. What can't be found out is left out."""
    settings = _settings(hook)
    lineage = _with_dataset(notes, settings, _dataset_facets(notes, settings))
    lineage.inputs += [InputDataset(*name) for name in notes.inputs]
    lineage.run_facets = _run_facets(notes, settings)
    for output in lineage.outputs:
        output.outputFacets = _statistics(notes)
    return lineage


def _settings(hook: CatalogHook) -> PlatformSettings | None:
    try:
        return hook.client.settings
    except Exception as error:  # noqa: BLE001 - Airflow's database, API server and secrets backends have errors of their own
        log.info("The lineage is told without the dataset: %s", error)
        return None


def _with_dataset(
    notes: Notes, settings: PlatformSettings | None, facets: Mapping[str, DatasetFacet]
) -> OperatorLineage[Any, Any]:
    if settings is None or notes.dataset_id is None or notes.use is Use.NEITHER:
        return OperatorLineage()
    name = dataset_name(settings.ims_org_id, settings.sandbox_name, notes.dataset_id)
    if notes.use is Use.READS:
        return OperatorLineage(inputs=[InputDataset(*name, facets=dict(facets))])
    return OperatorLineage(outputs=[OutputDataset(*name, facets=dict(facets))])


def _dataset_facets(notes: Notes, settings: PlatformSettings | None) -> dict[str, DatasetFacet]:
    if settings is None or notes.dataset_id is None or notes.use is Use.NEITHER:
        return {}
    schema = notes.schema or read_dataset_schema(settings, notes.dataset_id)
    if schema is None:
        return {}
    try:
        fields = [SchemaDatasetFacetFields(name=each.path, type=each.kind) for each in columns(schema)]
    except Exception as error:  # noqa: BLE001 - whatever the registry has answered, everything else that is known is told
        log.warning("The lineage is told without the schema, which can't be understood: %r.", error)
        return {}
    return {"schema": SchemaDatasetFacet(fields=fields)}


def _statistics(notes: Notes) -> dict[str, OutputStatisticsOutputDatasetFacet]:
    """Count what is in the dataset, or, for a task that only uploads, in the batch; nothing if that has failed."""
    promoted = notes.batch if notes.batch is not None and notes.batch.phase is Phase.SUCCEEDED else None
    if promoted is None and not notes.is_uploaded:
        return {}
    rows = None if promoted is None else promoted.records_written
    if rows is notes.size is notes.files is None:
        return {}
    return {
        "outputStatistics": OutputStatisticsOutputDatasetFacet(
            rowCount=rows, size=notes.size, fileCount=notes.files
        )
    }


def _run_facets(notes: Notes, settings: PlatformSettings | None) -> dict[str, RunFacet]:
    if notes.batch_id is None:
        return {}
    facet = AdobeBatchRunFacet(batchId=notes.batch_id, externalId=notes.external_id)
    if notes.batch is not None:
        facet.status = notes.batch.status
        facet.recordsRead = notes.batch.records_read
        facet.recordsWritten = notes.batch.records_written
        facet.recordsFailed = notes.batch.records_failed
    if settings is not None and notes.dataset_id is not None:
        facet.link = dataset_url(settings, notes.dataset_id)
    return {KEY: facet}
