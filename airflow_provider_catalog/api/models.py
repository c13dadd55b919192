"""Batches and datasets as the Catalog shows them.

Adobe's producers write these records in many dialects (numbers as text, tags as scalars, dates in two notations), so they are
parsed permissively: what can't be read is absent, never an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_catalog.api.statuses import Phase, phase_of

DESCRIPTION_LIMIT = 300
ERRORS_SHOWN = 10

MAJOR_VERSION = re.compile(r"version=\"?(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class BatchIssue:
    """One entry of a batch's ``errors``.

    :param code: Adobe's code, such as ``INGEST-1401-400``.
    :param description: Adobe's text, if it gave one.
    :param records: how many records it concerns, where diagnostics were on.
    """

    code: str
    description: str | None = None
    records: int | None = None

    def __str__(self) -> str:
        return f"{self.heading}: {self.description}" if self.description else self.heading

    @property
    def heading(self) -> str:
        """The code and the count, without Adobe's text."""
        return f"{self.code} ({self.records} records)" if self.records is not None else self.code


@dataclass(frozen=True)
class Batch:
    """A batch in the Catalog. Times are epoch seconds; counts are records; what the Catalog did not say is None.

    See https://developer.adobe.com/experience-platform-apis/references/catalog/ (batches).
    """

    id: str
    status: str
    external_id: str | None = None
    created: float | None = None
    updated: float | None = None
    started: float | None = None
    completed: float | None = None
    records_read: int | None = None
    records_written: int | None = None
    records_failed: int | None = None
    dataset_ids: tuple[str, ...] = ()
    errors: tuple[BatchIssue, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    input_format: Mapping[str, Any] | None = None
    replay_reason: str | None = None

    @classmethod
    def parse(cls, batch_id: str, record: Mapping[str, Any]) -> Batch:
        """Read a Catalog record."""
        related = [item for item in _items(record.get("relatedObjects")) if _is_dataset(item)]
        metrics = _metrics(record, related)
        return cls(
            id=batch_id,
            status=str(record.get("status") or "unknown").lower(),
            external_id=_text(record.get("externalId")),
            created=_seconds(record.get("created")),
            updated=_seconds(record.get("updated")),
            started=_seconds(record.get("started")),
            completed=_seconds(record.get("completed")),
            records_read=_first_count(metrics, "inputRecordCount", "recordsRead"),
            records_written=_first_count(metrics, "outputRecordCount", "recordsWritten", "recordCount"),
            records_failed=_first_count(metrics, "failedRecordCount", "recordsFailed", "invalidRecordCount"),
            dataset_ids=tuple(str(item["id"]) for item in related if item.get("id")),
            errors=tuple(_issue(item) for item in _items(record.get("errors"))),
            tags=_tags(record.get("tags")),
            input_format=_input_format(record.get("inputFormat")),
            replay_reason=_replay_reason(record.get("replay")),
        )

    @property
    def phase(self) -> Phase:
        """Where the batch is on its way; one that was promoted and replaced since then counts as succeeded."""
        phase = phase_of(self.status)
        if phase is Phase.SUCCEEDED_ONCE:
            return Phase.SUCCEEDED if self.was_promoted else Phase.FAILED
        return phase

    @property
    def was_promoted(self) -> bool:
        """Whether a batch that is no longer active has been, by its time of completion or its successor."""
        return self.completed is not None or bool(self.tags.get("acp_successor"))

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any], origin: Mapping[str, Any] | None = None) -> Batch:
        """Make a batch again of its summary, and of its origin where that is known, with what they hold."""
        errors = tuple(BatchIssue(**issue) for issue in summary["errors"])
        if origin is None:
            return cls(**{**summary, "errors": errors})
        dataset_ids = tuple(origin["dataset_ids"])
        return cls(**{**summary, **origin, "errors": errors, "dataset_ids": dataset_ids})

    @property
    def summary(self) -> dict[str, Any]:
        """The id, the status, the counts and the first errors, small enough for an XCom."""
        return {
            "id": self.id,
            "status": self.status,
            "records_read": self.records_read,
            "records_written": self.records_written,
            "records_failed": self.records_failed,
            "errors": [asdict(issue) for issue in self.errors[:ERRORS_SHOWN]],
        }

    @property
    def origin(self) -> dict[str, Any]:
        """Whose it is, where it went and when, fit for JSON: what an asset event tells beside the id and the counts."""
        return {
            "external_id": self.external_id,
            "completed": self.completed,
            "dataset_ids": list(self.dataset_ids),
        }

    @property
    def records_total(self) -> int | None:
        """How many records there were: those read, or else those written and rejected."""
        if self.records_read is not None or self.records_written is None or self.records_failed is None:
            return self.records_read
        return self.records_written + self.records_failed

    @property
    def rejection(self) -> str:
        """How many rows were rejected, in words."""
        if self.records_failed is None:
            return "an unknown number of its rows was rejected (the platform does not count those of CSV)"
        if not self.records_total:
            return f"{self.records_failed} of its rows were rejected"
        share = self.records_failed / self.records_total
        return f"{self.records_failed} of its {self.records_total} rows ({share:.2%}) were rejected"

    @property
    def explanation(self) -> str:
        """The platform's errors as one text."""
        if not self.errors:
            return "The Catalog gives no errors for it."
        shown = "; ".join(str(issue) for issue in self.errors[:ERRORS_SHOWN])
        more = len(self.errors) - ERRORS_SHOWN
        return f"Errors: {shown}" + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class Dataset:
    """A dataset in the Catalog.

    :param id: its id.
    :param name: its display name.
    :param schema_id: the ``$id`` of its XDM schema.
    :param schema_version: the major version of that.
    :param tags: its tags, each with a tuple of texts.
    """

    id: str
    name: str | None = None
    schema_id: str | None = None
    schema_version: int | None = None
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, dataset_id: str, record: Mapping[str, Any]) -> Dataset:
        """Read a Catalog record."""
        reference = record.get("schemaRef")
        schema = reference if isinstance(reference, Mapping) else {}
        return cls(
            id=dataset_id,
            name=_text(record.get("name")),
            schema_id=_text(schema.get("id")),
            schema_version=_major_version(schema.get("contentType")),
            tags=_tags(record.get("tags")),
        )


def _items(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _is_dataset(item: Mapping[str, Any]) -> bool:
    return str(item.get("type")).lower() == "dataset"


def _metrics(record: Mapping[str, Any], related: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the places where producers put counts, the batch's own metrics winning."""
    merged: dict[str, Any] = {name: record.get(name) for name in ("recordCount", "failedRecordCount")}
    for owner in (*related, record):
        metrics = owner.get("metrics")
        if isinstance(metrics, Mapping):
            merged.update(metrics)
    return merged


def _first_count(metrics: Mapping[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(metrics.get(name))) is not None), None)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _replay_reason(value: object) -> str | None:
    """Read why a batch takes the place of others."""
    reason = _text(value.get("reason")) if isinstance(value, Mapping) else None
    return reason.lower() if reason else None


def _input_format(value: object) -> Mapping[str, Any] | None:
    """Read a batch's format, which Adobe's sources spell in several cases, with booleans as texts in some."""
    if not isinstance(value, Mapping) or not isinstance(value.get("format"), str):
        return None
    charset = {"charset": str(value["charset"]).upper()} if "charset" in value else {}
    flags = {
        name: str(value[name]).lower() == "true" for name in ("header", "isMultiLineJson") if name in value
    }
    return {**value, "format": value["format"].lower(), **charset, **flags}


def _seconds(value: object) -> float | None:
    """Read epoch milliseconds or an ISO date; the Catalog's zero means "not yet"."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not value:
        return None
    try:
        seconds = float(value) / 1000
    except OverflowError:
        return None
    except ValueError:
        return _seconds_of_date(str(value))
    return seconds if seconds and math.isfinite(seconds) else None


def _seconds_of_date(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _major_version(content_type: object) -> int | None:
    """Read the end of ``application/vnd.adobe.xed+json;version=1``."""
    match = MAJOR_VERSION.search(content_type) if isinstance(content_type, str) else None
    return int(match[1]) if match else None


def _tags(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        return {}
    return {
        str(name): tuple(str(item) for item in (held if isinstance(held, list) else [held]))
        for name, held in value.items()
    }


def _issue(item: Mapping[str, Any]) -> BatchIssue:
    description = _text(item.get("description"))
    if description and len(description) > DESCRIPTION_LIMIT:
        description = f"{description[:DESCRIPTION_LIMIT]}…"
    return BatchIssue(
        code=str(item.get("code", "unknown")),
        description=description,
        records=_count(item.get("recordCount")),
    )
