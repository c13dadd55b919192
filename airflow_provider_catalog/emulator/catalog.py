"""How the Catalog shows a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .batches import Batch, Json
from .clock import milliseconds
from .ingestion import related_objects
from .lifecycle import FAILED, LEFT, SUCCEEDED, Step

if TYPE_CHECKING:
    from .platform import Platform

_ENDED = SUCCEEDED | FAILED | LEFT


def batch_document(platform: Platform, batch: Batch, at: float) -> Json | None:
    """Return a batch as the Catalog shows it at a moment; None if it did not exist then."""
    steps = platform.batches.steps(batch, at)
    if not steps:
        return None
    document: Json = {
        **platform.ownership(batch.sandbox),
        "created": milliseconds(batch.created_at),
        "updated": milliseconds(steps[-1].at),
        "externalId": batch.external_id,
        "status": platform.batches.status(batch, at),
        "version": f"1.0.{len(steps) - 1}",
        "relatedObjects": related_objects(batch),
        "inputFormat": batch.opening.input_format,
        "tags": _tags(platform, batch, at),
    }
    if platform.settings.batch_has_id:
        document["id"] = batch.id
    if batch.opening.replay:
        document["replay"] = batch.opening.replay
    if document["status"] in FAILED:
        document["failedBatchLocation"] = f"https://ns.adobe.com/bulkingest/{batch.id}"
    return {**document, **_progress(batch, steps), **_forced(batch)}


def _tags(platform: Platform, batch: Batch, at: float) -> Json:
    replacement = platform.batches.replacement(batch, at)
    return {**batch.opening.tags, "acp_successor": [replacement[0]]} if replacement else batch.opening.tags


def _progress(batch: Batch, steps: list[Step]) -> Json:
    """Return what a batch has to show for its processing so far."""
    ended = next((step for step in steps if step.status in _ENDED), None)
    started_at = batch.signalled_at
    shown: Json = {}
    if started_at is not None and started_at <= steps[-1].at:
        shown["started"] = milliseconds(started_at)
    if ended is None or batch.outcome is None:
        return shown
    shown["completed"] = milliseconds(ended.at)
    if batch.outcome.errors:
        shown["errors"] = list(batch.outcome.errors)
    return {**shown, **_counts(batch.outcome.metrics)}


def _counts(metrics: Json) -> Json:
    shown: Json = {"metrics": metrics} if metrics else {}
    names = (
        ("inputRecordCount", "recordCount"),
        ("failedRecordCount", "failedRecordCount"),
        ("inputByteSize", "size"),
    )
    return shown | {name: metrics[metric] for metric, name in names if metric in metrics}


def _forced(batch: Batch) -> Json:
    """Return the fields that a test has forced."""
    forced = batch.forced
    if forced is None:
        return {}
    shown: Json = {"updated": milliseconds(forced.at)}
    if forced.errors is not None:
        shown["errors"] = list(forced.errors)
    if forced.metrics is not None:
        shown |= _counts(forced.metrics)
    if forced.tags is not None:
        shown["tags"] = {**batch.opening.tags, **forced.tags}
    return shown
