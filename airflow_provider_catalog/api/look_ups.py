"""Look-ups of many batches with few requests, by the Catalog's filter ``batch``.

Adobe documents the filter, but neither how many ids it takes nor what an unknown one does to the others. So a batch counts as
missing or refused only if the look-up of it alone says so:

* If a combined look-up is refused, its halves are asked for, down to single batches.
* If its answer lacks some of the batches, these are asked for again, in case the answer was cut short.

What is learned by this about the size that a look-up may have is kept for the next one.

See https://experienceleague.adobe.com/en/docs/experience-platform/catalog/api/filter-data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_catalog.api.errors import ApiError, CatalogError, UnreachableError
from airflow_provider_catalog.api.models import Batch

IDS_PER_REQUEST = 60
"""With ids of Adobe's usual 26 characters, and a quoted comma behind each, the address stays within its 2,000 characters."""

IDS_LENGTH = 1740

REFUSALS = frozenset({400, 403, 404, 413, 414})
"""Answers that may be due to one of the batches, or to their number."""

SHORTEST_FULL_PAGE = 20
"""A page with fewer entries is a whole one: the lowest limit that Adobe names, for the credentials of services."""

Record = Mapping[str, Any]


@dataclass
class Findings:
    """What a look at many batches has brought.

    :param batches: those that the Catalog shows.
    :param errors: what was wrong with others: unknown, refused, or unreadable.
    :param trouble: what broke the look off, so that nothing is known about the rest.
    """

    batches: dict[str, Batch] = field(default_factory=dict)
    errors: dict[str, CatalogError] = field(default_factory=dict)
    trouble: CatalogError | None = None


class BatchLookUps:
    """Looks many batches up.

    :param read_one: gives the record of one batch.
    :param read_many: gives what the Catalog's list shows for a query.
    """

    def __init__(
        self,
        read_one: Callable[[str], Record],
        read_many: Callable[[Mapping[str, str]], Mapping[str, Any]],
    ) -> None:
        self._read_one = read_one
        self._read_many = read_many
        self.size = IDS_PER_REQUEST

    def find(self, batch_ids: Iterable[str], properties: Iterable[str] = ()) -> Findings:
        """Look batches up.

        :param batch_ids: their ids.
        :param properties: the top-level fields that are needed where several are asked for at once; empty for all.
        """
        findings = Findings()
        query = {"properties": names} if (names := ",".join(properties)) else {}
        try:
            for part in self._parts(list(dict.fromkeys(batch_ids))):
                self._find(part, query, findings)
        except CatalogError as error:
            findings.trouble = error
        return findings

    def _parts(self, batch_ids: Sequence[str]) -> Iterator[list[str]]:
        part: list[str] = []
        length = 0
        for batch_id in batch_ids:
            length += len(batch_id) + len("%2C")
            if part and (len(part) >= self.size or length > IDS_LENGTH):
                yield part
                part, length = [], len(batch_id) + len("%2C")
            part.append(batch_id)
        if part:
            yield part

    def _find(self, batch_ids: Sequence[str], query: Mapping[str, str], findings: Findings) -> None:
        if len(batch_ids) == 1:
            self._find_one(batch_ids[0], findings)
            return
        ids = {"batch": ",".join(batch_ids), "limit": str(len(batch_ids))}
        try:
            page = self._read_many({**ids, **query})
        except ApiError as error:
            if error.failure.status not in REFUSALS:
                raise
            self._find_halves(batch_ids, query, findings)
            return
        rest = [batch_id for batch_id in batch_ids if not self._take(batch_id, page, findings)]
        if len(rest) == len(batch_ids):
            self._find_each(rest, findings, is_filtered=not page)
        elif rest:
            self._find(rest, query, findings)
            if len(page) >= SHORTEST_FULL_PAGE and not findings.batches.keys().isdisjoint(rest):
                self.size = min(self.size, len(page))

    def _find_halves(self, batch_ids: Sequence[str], query: Mapping[str, str], findings: Findings) -> None:
        middle = len(batch_ids) // 2
        for half in (batch_ids[:middle], batch_ids[middle:]):
            self._find(half, query, findings)
        if findings.errors.keys().isdisjoint(batch_ids):
            self.size = min(self.size, middle)  # there was nothing wrong with any of them but their number

    def _find_each(self, batch_ids: Sequence[str], findings: Findings, *, is_filtered: bool) -> None:
        for batch_id in batch_ids:
            self._find_one(batch_id, findings)
        if not is_filtered and not findings.batches.keys().isdisjoint(batch_ids):
            self.size = 1

    def _find_one(self, batch_id: str, findings: Findings) -> None:
        try:
            findings.batches[batch_id] = Batch.parse(batch_id, self._read_one(batch_id))
        except ApiError as error:
            if error.failure.status not in REFUSALS:
                raise
            findings.errors[batch_id] = error

    def _take(self, batch_id: str, page: Mapping[str, Any], findings: Findings) -> bool:
        """Take a batch from an answer, if it is there."""
        if batch_id not in page:
            return False
        record = page[batch_id]
        if isinstance(record, Mapping):
            findings.batches[batch_id] = Batch.parse(batch_id, record)
        else:
            call = f"Looking at batch {batch_id}"
            findings.errors[batch_id] = UnreachableError(
                call, "the Catalog shows something else than a batch"
            )
        return True
