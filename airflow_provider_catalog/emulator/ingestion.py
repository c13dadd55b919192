"""Batch ingestion: opening a batch, putting files into it, and signalling what to do with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .batches import Batch, Json, Opening, StoredFile
from .clock import milliseconds
from .lifecycle import Action, Status, Step, Verdict, opening, removal, verdict
from .problems import Refusal, problem
from .ulid import new_ulid

if TYPE_CHECKING:
    from .platform import Platform

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def open_batch(platform: Platform, sandbox: str, request: Opening) -> Batch:
    """Open a batch. Raises Refusal for an unknown dataset."""
    if not platform.datasets.get(sandbox, request.dataset_id):
        raise problem(400, f"The dataset {request.dataset_id} does not exist in this sandbox.")
    if platform.settings.external_id_unique:
        _check_unique(platform, sandbox, request.external_id)
    now = platform.clock.now()
    plan = opening(now, platform.settings.abandon_after)
    batch = Batch(new_ulid(milliseconds(now)), sandbox, request, now, plan)
    platform.batches.add(batch)
    return batch


def find_batch(platform: Platform, sandbox: str, batch_id: str) -> Batch:
    """Return a batch. Raises Refusal (404) if the sandbox has no such batch."""
    batch = platform.batches.get(sandbox, batch_id)
    if batch is None:
        raise _no_batch(batch_id)
    return batch


def batch_of_dataset(platform: Platform, sandbox: str, batch_id: str, dataset_id: str) -> Batch:
    """Return a batch of a dataset. Raises Refusal (404) if there is none."""
    batch = find_batch(platform, sandbox, batch_id)
    if batch.opening.dataset_id != dataset_id:
        raise problem(404, f"The batch {batch_id} has no dataset {dataset_id}.")
    return batch


def batch_for_upload(platform: Platform, sandbox: str, batch_id: str, dataset_id: str) -> Batch:
    """Return a batch that takes files for a dataset. Raises Refusal (404, 400) if it does not."""
    batch = batch_of_dataset(platform, sandbox, batch_id, dataset_id)
    check_loading(platform, batch)
    return batch


def check_loading(platform: Platform, batch: Batch) -> None:
    """Refuse a batch that takes no files any more: with 400, or with 404 if a reset has made away with it."""
    if platform.batches.find(batch.id) is not batch:
        raise _no_batch(batch.id)
    status = platform.batches.status(batch, platform.clock.now())
    if status != Status.LOADING:
        raise problem(400, f"The batch {batch.id} is {status}: files can be put into a loading batch only.")


def check_remote_path(path: str) -> None:
    """Refuse a remote file name with empty or relative parts, or with control characters, with 400."""
    if _CONTROL.search(path) or any(part in ("", ".", "..") for part in path.split("/")):
        raise problem(400, "The file path has empty or relative parts, or control characters.")


def check_no_upload(platform: Platform, batch: Batch, path: str) -> None:
    """Refuse a file in one piece with 400 where one is being uploaded in chunks, unless it may take its place."""
    if path in batch.uploads and platform.settings.path_in_use == "refused":
        raise problem(400, "The file at this path is being uploaded in chunks.")


def put_file(platform: Platform, batch: Batch, file: StoredFile) -> bool:
    """Add an uploaded file to a batch, if it still takes it; say whether there was none at its path."""
    try:
        check_loading(platform, batch)
        check_no_upload(platform, batch, file.path)
    except Refusal:
        platform.store.file(file.stored_as).unlink(missing_ok=True)
        raise
    if file.path in batch.uploads:
        platform.batches.drop_path(batch, file.path)
    return platform.batches.put_file(batch, file)


async def act(platform: Platform, batch: Batch, action: Action) -> None:
    """Do what the client signals. Raises Refusal (400) if the batch's status does not allow it."""
    now = platform.clock.now()
    status = platform.batches.status(batch, now)
    decision = verdict(action, status, platform.settings.abort_until)
    if decision is Verdict.REFUSE:
        raise problem(400, f"{action} is not possible: the batch {batch.id} is {status}.")
    if decision is Verdict.ALREADY_DONE:
        return
    if action is Action.COMPLETE:
        _check_finished(platform, batch)
        await platform.promotions.take_in(batch)
        return
    batch.replan(now, _steps_after(platform, action, now))
    platform.batches.save(batch)
    platform.batches.drop_uploads(batch)


def related_objects(batch: Batch) -> list[Json]:
    """Return what a batch belongs to: its dataset."""
    return [{"type": "dataSet", "id": batch.opening.dataset_id}]


def _no_batch(batch_id: str) -> Refusal:
    return problem(404, f"The batch {batch_id} does not exist.")


def _steps_after(platform: Platform, action: Action, now: float) -> list[Step]:
    if action is Action.REVERT:
        return removal(now, platform.settings.deletion_after)
    return [Step(now, Status.ABORTED if action is Action.ABORT else platform.settings.failure_word)]


def _check_finished(platform: Platform, batch: Batch) -> None:
    if batch.uploads and platform.settings.unfinished_files == "refused":
        raise problem(
            400, f"COMPLETE is not possible: the batch {batch.id} has files that are not completed."
        )


def _check_unique(platform: Platform, sandbox: str, external_id: str | None) -> None:
    if any(batch.external_id == external_id for batch in platform.batches.in_sandbox(sandbox)):
        raise problem(409, f"There is a batch with the external id {external_id} already.")
