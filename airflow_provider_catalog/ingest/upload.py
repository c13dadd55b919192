"""Files into a batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import BinaryIO, cast

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.validation import check_request
from airflow_provider_catalog.ingest.files import SourceFile

log = logging.getLogger(__name__)


def upload_files(
    client: CatalogClient, batch_id: str, dataset_id: str, files: Sequence[SourceFile]
) -> dict[str, str | int]:
    """Stream files from disk into a batch, one after the other.

    A file of the same name is replaced, so a second call does no harm.

    :param client: reaches the sandbox of the batch.
    :param batch_id: a batch that is still loading.
    :param dataset_id: the dataset it was opened on.
    :param files: what :func:`~airflow_provider_catalog.ingest.files.find_files` gave.
    :return: the batch's id, the number of files and the number of bytes.
    :raises InvalidInputError: an argument is not usable; nothing was sent.
    :raises FileChangedError: a file changed while it was sent.
    """
    check_request(batch_id, "batchId")
    check_request(dataset_id, "datasetId")
    for file in files:
        client.file_url(batch_id, dataset_id, file.remote_name)
    total = sum(file.size for file in files)
    log.info("Uploading %d file(s), %s bytes, into batch %s.", len(files), f"{total:,}", batch_id)
    for number, file in enumerate(files, start=1):
        _upload(client, batch_id, dataset_id, file, f"{number} of {len(files)}")
    return {"batch_id": batch_id, "files": len(files), "bytes": total}


def missing_files(
    client: CatalogClient, batch: Batch, dataset_id: str, files: Sequence[SourceFile]
) -> list[SourceFile]:
    """Leave out the files that an earlier try has brought into a batch.

    A file is there if the platform has as many bytes of it as it has, and it was not written to since the batch was opened. A
    platform that does not tell gets all files again, which replaces them.

    :param client: reaches the sandbox of the batch.
    :param batch: a batch that is still loading; one that the Catalog has not shown yet is empty.
    :param dataset_id: the dataset it was opened on.
    :param files: all files of the batch.
    """
    opened = batch.created
    if opened is None:
        return list(files)
    missing = [
        file
        for file in files
        if file.written >= opened or client.received_size(batch.id, dataset_id, file.remote_name) != file.size
    ]
    log.info("%d of %d file(s) are in batch %s already.", len(files) - len(missing), len(files), batch.id)
    return missing


def _upload(client: CatalogClient, batch_id: str, dataset_id: str, file: SourceFile, place: str) -> None:
    started = time.monotonic()
    client.put_file(batch_id, dataset_id, file.remote_name, lambda: cast(BinaryIO, file.open()))
    seconds = time.monotonic() - started
    log.info("Uploaded %s (%s): %s bytes in %.1f s.", file.remote_name, place, f"{file.size:,}", seconds)
