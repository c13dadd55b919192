"""Uploading a large file: INITIALIZE, chunks, COMPLETE. What is checked when, and what becomes of the bytes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from .batches import Batch, StoredFile
from .chunks import Chunk, defect
from .ingestion import check_loading
from .lifecycle import RUNNING, Status
from .problems import problem
from .uploads import Upload

if TYPE_CHECKING:
    from .platform import Platform


def initialize(platform: Platform, batch: Batch, path: str) -> None:
    """Begin the upload of a large file. Raises Refusal (400) if its path is in use."""
    _drop_forsaken(platform)
    if path in batch.uploads or path in batch.files:
        if platform.settings.path_in_use == "refused":
            raise problem(400, f"The batch {batch.id} has a file at this path already.")
        platform.batches.drop_path(batch, path)
    target = platform.store.new_file()
    target.touch()
    platform.batches.begin_upload(batch, Upload(path, target.name))


def upload_for_chunk(batch: Batch, path: str) -> Upload:
    """Return the upload that takes chunks at a path. Raises Refusal: 400 if the file there is whole, 404 for none."""
    if upload := batch.uploads.get(path):
        return upload
    if path in batch.files:
        raise problem(400, "The file at this path takes no chunks: it is complete.")
    raise problem(404, "No file was initialised at this path.")


async def receive_chunk(
    platform: Platform, batch: Batch, upload: Upload, chunk: Chunk, body: AsyncIterator[bytes], lost: bool
) -> None:
    """Write a chunk down as it arrives, and count it unless it is to be `lost`.

    Raises Refusal (400) if it is not as long as its range, lies where no batch reaches, or does not go with what was said
    of the file before.
    """
    _check_reach(platform, chunk)
    _check_total(upload, chunk)
    with upload.arrival(chunk, platform.store) as arrival:
        async for data in body:
            arrival.write(data)
            if arrival.size > chunk.size:
                break
        if arrival.size != chunk.size:
            raise wrong_length(chunk)
        check_loading(platform, batch)
        if batch.uploads.get(upload.path) is not upload:
            raise problem(400, "The file was completed or begun anew before the chunk had arrived.")
        _check_total(upload, chunk)
        again = upload.has(chunk) and platform.settings.repeated_chunk == "ignored"
        if not (lost or again):
            upload.settle(arrival, platform.store)
            platform.batches.keep_newest_chunk(upload)


def complete(platform: Platform, batch: Batch, path: str) -> StoredFile:
    """Make a file of the chunks. Raises Refusal: 400 if they are not the whole file, 404 if there is no upload."""
    upload = batch.uploads.get(path)
    if upload is None:
        return _completed_before(platform, batch, path)
    if why := defect(upload.chunks, upload.total):
        raise problem(400, why)
    upload.stop()
    size = sum(chunk.size for chunk in upload.chunks)
    os.truncate(
        platform.store.file(upload.stored_as), size
    )  # a chunk that broke off may have left bytes behind the end
    file = StoredFile(path, size, upload.stored_as, chunked=True)
    platform.batches.end_upload(batch, upload, file)
    return file


def wrong_length(chunk: Chunk) -> Exception:
    """Return the refusal of a body that is not as long as its range."""
    return problem(400, f"The body is not as long as its Content-Range says: {chunk.size} bytes.")


def _check_reach(platform: Platform, chunk: Chunk) -> None:
    most = platform.settings.max_batch_bytes
    if chunk.last >= most:
        raise problem(400, f"The Content-Range goes beyond what a batch may have: {most} bytes.")


def _check_total(upload: Upload, chunk: Chunk) -> None:
    known = upload.total
    if None not in (known, chunk.total) and known != chunk.total:
        raise problem(400, f"The file has {known} bytes, an earlier Content-Range said.")
    total = chunk.total if known is None else known
    if total is not None and chunk.last >= total:
        raise problem(400, f"The Content-Range goes beyond the end of the file, which has {total} bytes.")


def _completed_before(platform: Platform, batch: Batch, path: str) -> StoredFile:
    file = batch.files.get(path)
    if file is None:
        raise problem(404, "No file was initialised at this path.")
    if not file.chunked or platform.settings.second_completion == "refused":
        raise problem(400, "The file at this path is complete already.")
    return file


def _drop_forsaken(platform: Platform) -> None:
    """Delete what has arrived for batches that were abandoned meanwhile: time does that, and nothing happens at that moment."""
    now = platform.clock.now()
    for batch in platform.batches.with_uploads():
        begun = batch.begun(now)
        if begun and begun[-1].status not in {Status.LOADING, *RUNNING}:
            platform.batches.drop_uploads(batch)
