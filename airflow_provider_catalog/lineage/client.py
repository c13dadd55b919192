"""Lineage of code that uploads through the hook, told to Airflow's collector of what hooks do."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.lineage.names import dataset_name

if TYPE_CHECKING:
    from airflow_provider_catalog.hooks.catalog import CatalogHook

log = logging.getLogger(__name__)

# With one of these in it a path is another one where it is taken for the end of a URI.
URI_MARKS = frozenset("?#")


class ReportingClient(CatalogClient):
    """A client that tells of each dataset into which it has put a file, and of the files of this machine that these were.

    Of a file in an object store Airflow's ``ObjectStoragePath`` tells when it is opened. What goes through the large-file
    protocol is not told of.

    :param settings: as for the client.
    :param hook: on whose behalf it works.
    :param options: as for the client.
    """

    def __init__(self, settings: PlatformSettings, hook: CatalogHook, **options: Any) -> None:
        super().__init__(settings, **options)
        self._hook = hook
        self._told: set[str] = set()

    def put_file(
        self, batch_id: str, dataset_id: str, remote_name: str, open_body: Callable[[], BinaryIO]
    ) -> None:
        """Send one file of a batch, as the client does."""
        path: object = None

        def opened() -> BinaryIO:
            nonlocal path
            body = open_body()
            path = getattr(body, "name", None)
            return body

        super().put_file(batch_id, dataset_id, remote_name, opened)
        # Of what open() gives, the name is a path; of pipes and sockets it is a number.
        if isinstance(path, str) and os.path.isfile(path) and not URI_MARKS.intersection(path):
            self._tell("add_input_asset", f"file://{os.path.abspath(path)}")
        settings = self.settings
        name = dataset_name(settings.ims_org_id, settings.sandbox_name, dataset_id)
        self._tell("add_output_asset", "/".join(name))

    def _tell(self, method: str, uri: str) -> None:
        """Tell of an asset, once."""
        if uri in self._told:
            return
        self._told.add(uri)
        try:
            from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

            getattr(get_hook_lineage_collector(), method)(context=self._hook, uri=uri)
        except Exception:
            # What was uploaded is uploaded, whatever becomes of the lineage.
            log.warning("The lineage could not be told of %s.", uri, exc_info=True)
