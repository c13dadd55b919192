"""The facet that tells of a batch. Imports OpenLineage."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import ClassVar
from urllib.parse import quote

from airflow.providers.common.compat.openlineage.facet import RunFacet
from attrs import define

KEY = "adobe_batch"
SCHEMA_FILE = "AdobeBatchRunFacet.json"


@define
class AdobeBatchRunFacet(RunFacet):
    """The batch that a run works on. What is not known is None, and left out.

    :param batchId: its id.
    :param externalId: the id by which the platform can be searched for it.
    :param status: its status when it was last seen.
    :param recordsRead: how many records the platform has read.
    :param recordsWritten: how many it has written into the dataset.
    :param recordsFailed: how many it has rejected.
    :param link: a page about its dataset.
    """

    batchId: str
    externalId: str | None = None
    status: str | None = None
    recordsRead: int | None = None
    recordsWritten: int | None = None
    recordsFailed: int | None = None
    link: str | None = None

    _additional_skip_redact: ClassVar[list[str]] = ["batchId", "externalId", "status", "link"]

    @staticmethod
    def _get_schema() -> str:
        return schema_url()


@cache
def schema_url() -> str:
    """Give an address of the facet's schema that can be read anywhere: it holds the schema itself."""
    schema = json.loads(files(__package__).joinpath(SCHEMA_FILE).read_text())
    text = json.dumps(schema, separators=(",", ":"))
    return f"data:application/schema+json,{quote(text, safe=':,$/')}#/$defs/{AdobeBatchRunFacet.__name__}"
