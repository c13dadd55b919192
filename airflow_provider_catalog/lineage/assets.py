"""From a dataset as Airflow's asset to the same dataset in lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Asset


def to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """Give the dataset of an asset. OpenLineage calls this for each ``aep:`` URI.

    :param asset: ``aep://<organisation>/<sandbox>/<dataset id>``, with ``%40`` for the ``@`` of the organisation.
    :param lineage_context: of no use here.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.lstrip("/"))
