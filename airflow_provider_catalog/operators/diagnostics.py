"""Learning what was wrong with the rows of a batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.links.dataset import DatasetLink
from airflow_provider_catalog.operators.batch import CatalogOperator, as_text

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg


class DownloadBatchErrorsOperator(CatalogOperator):
    """Write the rejected rows of a batch into a file, one JSON line for each, with its reasons. All arguments are templated.

    The lines are the platform's own: the record with ``_errors`` (``code``, ``message``) and ``_filename`` if the batch was
    opened with error diagnostics; else, if it failed, with ``_validationErrors`` (``keyword``, ``message``,
    ``pointerToViolation``). A row that could not be parsed is the text ``_corrupt_record``. Without rejected rows the file is
    empty. The platform keeps them up to 30 days.

    The rows are customers' data: they stand in the file and nowhere else. A local file can be read by its owner only, replaces an
    older one of the same name, and appears when it is whole; missing folders are made. In an object store the same holds for
    stores whose fsspec file system can take back a file that is not finished (S3 and others).

    :param batch_id: a batch that has ended.
    :param path: a local path, or an address for Airflow's ``ObjectStoragePath`` such as ``s3://conn_id@bucket/rejected.jsonl``.
    :return: ``batch_id``, ``path``, the number of ``rows``, and ``codes``: how many rows were rejected for which reason.
    """

    template_fields: Sequence[str] = (*CatalogOperator.template_fields, "batch_id", "path")
    operator_extra_links = (DatasetLink(),)

    def __init__(
        self, *, batch_id: str | XComArg, path: str | os.PathLike[str] | XComArg, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.batch_id: Any = batch_id
        self.path: Any = as_text(path)

    def work(self, context: Context) -> dict[str, Any]:
        """Write the file."""
        from airflow_provider_catalog.hooks.targets import new_file
        from airflow_provider_catalog.ingest.diagnostics import write_rejected_rows

        client = self.hook.client
        with new_file("path", self.path) as target:
            batch = client.get_batch(self.batch_id)
            if batch.dataset_ids:
                DatasetLink.push(context, client.settings, batch.dataset_ids[0])
            written = write_rejected_rows(client, batch, target)
        self.log.info(
            "Wrote %d rejected row(s) of batch %s to %s; by code: %s.",
            written.rows,
            self.batch_id,
            self.path,
            written.codes,
        )
        return {
            "batch_id": self.batch_id,
            "path": str(self.path),
            "rows": written.rows,
            "codes": written.codes,
        }
