"""The columns of a dataset: its XDM schema, flattened."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from threading import Thread
from typing import Any, NamedTuple

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import CatalogError
from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.ingest.preflight.xdm import Field, Kind, read_schema

log = logging.getLogger(__name__)

SECONDS = 5.0
"""How long the schema is waited for. OpenLineage gives up on all that a task tells after ten seconds, unless configured."""

MOST_COLUMNS = 1000
DEEPEST = 12


class Column(NamedTuple):
    """A field that has no fields itself.

    :param path: its name, below those of the fields around it: ``person.name.firstName``, or ``orders[].sku`` in an array.
    :param kind: its XDM type; None if it may be of any.
    """

    path: str
    kind: str | None


def read_dataset_schema(settings: PlatformSettings, dataset_id: str) -> Mapping[str, Any] | None:
    """Fetch a dataset's schema, with two requests, neither of which is repeated. None if it does not come in time.

    :param settings: reach the sandbox, over a connection of its own.
    :param dataset_id: the dataset.
    """
    found: list[Mapping[str, Any]] = []
    # A time-out of HTTP is about silence; it would let a name server or a slow answer take as long as they like.
    look = Thread(target=lambda: found.extend(_schema(settings, dataset_id)), daemon=True)
    look.start()
    look.join(SECONDS)
    return found[0] if found else None


def _schema(settings: PlatformSettings, dataset_id: str) -> Iterator[Mapping[str, Any]]:
    client = CatalogClient(replace(settings, timeout=SECONDS), attempts=1)
    try:
        dataset = client.get_dataset(dataset_id)
        if dataset.schema_id is not None:
            yield client.get_schema(dataset.schema_id, dataset.schema_version or 1)
    except CatalogError as error:
        log.info("The lineage is told without the schema of dataset %s. %s", dataset_id, error)
    finally:
        client.close()


def columns(schema: Mapping[str, Any]) -> list[Column]:
    """Flatten a schema. If there are very many columns, the deepest are left out: what is around them is a column then.

    :param schema: as :meth:`~airflow_provider_catalog.api.client.CatalogClient.get_schema` gives it.
    """
    record = read_schema(schema)
    for depth in range(DEEPEST, 0, -1):
        found = list(_flattened(record, "", depth))
        if len(found) <= MOST_COLUMNS:
            break
    return found


def _flattened(record: Field, prefix: str, depth: int) -> Iterator[Column]:
    for name, each in record.properties.items():
        path = f"{prefix}{name}"
        while each.kind is Kind.ARRAY and each.items is not None:
            path, each = f"{path}[]", each.items
        if each.properties and depth > 1:
            yield from _flattened(each, f"{path}.", depth - 1)
        else:
            yield Column(path, None if each.kind is None else str(each.kind))
