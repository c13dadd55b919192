"""A look at many batches that are waited for: of those on their way the status only, of the others all about their end."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from airflow_provider_catalog.api.statuses import RETRYING, STALLED, Phase, phase_of

if TYPE_CHECKING:
    from airflow_provider_catalog.api.look_ups import BatchLookUps, Findings

ON_THE_WAY = ("status", "updated")
AT_THE_END = (
    *ON_THE_WAY,
    "externalId",
    "completed",
    "relatedObjects",
    "metrics",
    "recordCount",
    "failedRecordCount",
    "errors",
    "tags",
)


def call_roll(look_ups: BatchLookUps, batch_ids: Collection[str]) -> Findings:
    """Look many batches up, with few requests.

    :param look_ups: of the sandbox in which they are.
    :param batch_ids: their ids.
    """
    findings = look_ups.find(batch_ids, ON_THE_WAY)
    telling = [batch.id for batch in findings.batches.values() if _has_more_to_tell(batch.status)]
    if len(batch_ids) > 1 and telling:
        more = look_ups.find(telling, AT_THE_END)
        known = {batch_id: batch for batch_id, batch in findings.batches.items() if batch_id not in telling}
        findings.batches = known | more.batches
        findings.errors |= more.errors
        findings.trouble = findings.trouble or more.trouble
    return findings


def _has_more_to_tell(status: str) -> bool:
    return status in (RETRYING, STALLED) or phase_of(status) not in (Phase.WAITING_ON_CLIENT, Phase.RUNNING)
