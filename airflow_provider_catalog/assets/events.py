"""What the events of a dataset's asset tell, whether a task or a watcher makes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.assets.dataset import SCHEME

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_catalog.api.models import Batch
    from airflow_provider_catalog.hooks.catalog import CatalogHook

log = logging.getLogger(__name__)


def batch_event(batch: Batch, dataset_id: str) -> dict[str, Any]:
    """Say of a promoted batch what its asset event holds; what the platform does not say is None."""
    completed = None if batch.completed is None else datetime.fromtimestamp(batch.completed, UTC)
    return {
        "dataset_id": dataset_id,
        "batch_id": batch.id,
        "external_id": batch.external_id,
        "completed": completed and completed.isoformat(timespec="milliseconds"),
        "records_read": batch.records_read,
        "records_written": batch.records_written,
        "records_failed": batch.records_failed,
    }


def tell_outlets(
    task: BaseOperator, context: Context, hook: CatalogHook, batch: Batch, dataset_ids: Iterable[str]
) -> None:
    """Put a promoted batch into the events that Airflow makes of the datasets' assets when the task succeeds.

    Those are made for what its user has put into the task's ``outlets``, and for nothing else.

    :param task: the task.
    :param context: Airflow's context of it.
    :param hook: reaches the sandbox. Its connection is read only if there is such an outlet.
    :param batch: the promoted batch.
    :param dataset_ids: the datasets that it has gone into.
    """
    outlets = [outlet for outlet in task.outlets if str(getattr(outlet, "uri", "")).startswith(f"{SCHEME}:")]
    if not outlets:
        return
    loaded = {hook.dataset_asset(dataset_id).uri: dataset_id for dataset_id in dataset_ids}
    for outlet in outlets:
        if outlet.uri in loaded:
            context["outlet_events"][outlet].extra.update(batch_event(batch, loaded[outlet.uri]))
        else:
            log.warning(
                "Airflow makes an event of the asset %s, but batch %s has gone into %s.",
                *(outlet.uri, batch.id, ", ".join(loaded) or "an unknown dataset"),
            )
