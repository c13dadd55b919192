"""Which batches of a dataset were promoted since a moment, whoever has loaded them.

The Catalog is asked for batches by the time of their promotion (``completed``), not of their creation: a batch that was opened
long ago may be promoted only now, and never gets another time of promotion afterwards. Batches that were reverted or replaced
since then do not count, and neither do those into which the platform has merged older ones: they bring no new data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import floor
from typing import Any

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.look_ups import SHORTEST_FULL_PAGE
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest.watch import TroubleWatch

OVERLAP = 300.0
"""After so many seconds, a batch that was promoted is taken to be visible in the Catalog. Until then it is looked for again."""

PENDING_LIMIT = 500
"""So many batches wait to be handed on at most; those behind them are found again by later looks."""

DATASETS_PER_LOOK = 30
IDS_SHOWN = 100

MERGED = "consolidation"


def sweep(client: CatalogClient, dataset_ids: Collection[str], since: float) -> Iterator[list[Batch]]:
    """Go through the batches of some datasets that were promoted since a moment, page by page, each dataset's in that order.

    Between two pages batches may vanish, since they are reverted. That can hide one of those that were promoted in the same
    millisecond as the last one of a page; another sweep finds it.

    :param since: epoch seconds.
    """
    wanted = sorted(dataset_ids)
    for first in range(0, len(wanted), DATASETS_PER_LOOK):
        # The platform cuts off what is less than a millisecond; and so do floats of today, by a little.
        yield from _pages(client, wanted[first : first + DATASETS_PER_LOOK], floor(since * 1000 + 0.001))


def _pages(client: CatalogClient, dataset_ids: list[str], since: int) -> Iterator[list[Batch]]:
    """Page by the time of promotion, since batches that come and go would shift all places behind them."""
    known = 0  # how many batches of exactly that time have been seen
    while True:
        page = client.promoted_batches(dataset_ids, since, start=known)
        yield [batch for batch in page if brings_data(batch)]
        times = [_milliseconds(batch) for batch in page]
        if len(page) < SHORTEST_FULL_PAGE or times[-1] < since:
            return
        known = times.count(times[-1]) + (known if times[-1] == since else 0)
        since = times[-1]


def brings_data(batch: Batch) -> bool:
    """Whether a promoted batch has put data into its dataset that were not there before, and that still are."""
    return (
        batch.completed is not None and not batch.tags.get("acp_successor") and batch.replay_reason != MERGED
    )


def _milliseconds(batch: Batch) -> int:
    return round((batch.completed or 0.0) * 1000)


@dataclass(frozen=True)
class Goal:
    """What somebody waits for.

    :param batches: so many batches.
    :param records: so many records that were written; a batch whose records the platform does not count adds none.
    """

    batches: int | None = None
    records: int | None = None

    @classmethod
    def parse(cls, batches: object, records: object) -> Goal:
        """Read what a user wants; one batch if that is nothing.

        :raises InvalidInputError: it is not a number from 1.
        """
        if batches is None and records is None:
            return cls(batches=1)
        return cls(_number("min_batches", batches), _number("min_records", records))

    def __str__(self) -> str:
        return f"{self.records} records" if self.records is not None else f"{self.batches} batches"


def _number(name: str, value: object) -> int | None:
    if value is None:
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdecimal() or int(text) < 1:
        raise InvalidInputError(name, value, "a whole number from 1")
    return int(text)


@dataclass(frozen=True)
class Arrivals:
    """What has arrived in a dataset: as far as was looked, which is not beyond the page with which the goal was reached."""

    batches: int = 0
    records: int = 0
    batch_ids: tuple[str, ...] = ()

    def plus(self, page: Iterable[Batch]) -> Arrivals:
        """Add more batches; only the first ids are kept."""
        more = list(page)
        return Arrivals(
            self.batches + len(more),
            self.records + sum(batch.records_written or 0 for batch in more),
            (self.batch_ids + tuple(batch.id for batch in more))[:IDS_SHOWN],
        )

    def reach(self, goal: Goal) -> bool:
        """Whether that is enough."""
        return self.batches >= (goal.batches or 0) and self.records >= (goal.records or 0)

    def __str__(self) -> str:
        return f"{self.batches} batches, {self.records} records"

    @property
    def summary(self) -> dict[str, Any]:
        """The counts and the first ids, small enough for an XCom."""
        return {"batches": self.batches, "records": self.records, "batch_ids": list(self.batch_ids)}


class DatasetWatch(TroubleWatch):
    """The memory of a wait for batches on a dataset.

    Every look counts anew, so that a batch that is reverted while others are waited for does not count any more.

    :param dataset_id: the dataset.
    :param since: batches promoted at this moment or later count, epoch seconds.
    :param goal: what is waited for.
    :param max_unreachable: for how many seconds the platform may give no useful answer.
    """

    def __init__(self, dataset_id: str, since: float, goal: Goal, max_unreachable: float) -> None:
        super().__init__(f"dataset {dataset_id}", max_unreachable)
        self.dataset_id = dataset_id
        self.since = since
        self.goal = goal
        self._is_known = False

    @property
    def moment(self) -> str:
        """The moment in words."""
        return datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")

    def look(self, client: CatalogClient) -> Arrivals:
        """Look once.

        :raises CatalogError: it did not work, or the sandbox has no such dataset.
        """
        arrivals = Arrivals()
        for page in sweep(client, [self.dataset_id], self.since):
            arrivals = arrivals.plus(page)
            if arrivals.reach(self.goal):
                break
        if not arrivals.batches and not self._is_known:
            # The Catalog finds no batches on a dataset that does not exist, and says no more.
            client.get_dataset(self.dataset_id)
        self._is_known = True
        self.heard()
        return arrivals


@dataclass
class ArrivalLog:
    """What one reader of a dataset's arrivals has been given, so that each batch is given once.

    Batches that were promoted before the horizon are all done with. Of those since then it is known which are; and what waits
    to be given lies in between. The horizon follows the newest batch at a distance, ``OVERLAP``, or the first one for which there
    was no room, so what is kept is bounded.

    :param horizon: epoch seconds.
    :param done: the batches since then that are done with, each with the time of its promotion.
    """

    horizon: float
    done: dict[str, float] = field(default_factory=dict)
    _pending: dict[str, Batch] = field(default_factory=dict, init=False)
    _newest: float = field(default=0.0, init=False)
    _newest_at: float = field(default=0.0, init=False)
    _began_at: float = field(default=0.0, init=False)
    _saw_beginning: bool = field(default=False, init=False)
    _left_out_from: float | None = field(default=None, init=False)

    def begin(self, at: float) -> None:
        """Take note that a sweep begins, from this log's horizon or before.

        :param at: when it began, however late that is noted: seconds on a clock of any origin that runs evenly.
        """
        self._began_at = at
        self._saw_beginning = True
        self._left_out_from = None

    def take(self, batches: Iterable[Batch], at: float) -> None:
        """Take note of a page of promoted batches, oldest first.

        :param at: when it was there, by the same clock.
        """
        for batch in batches:
            completed = batch.completed or 0.0
            if completed < self.horizon or batch.id in self.done or batch.id in self._pending:
                continue
            if len(self._pending) >= PENDING_LIMIT:
                if self._left_out_from is None:
                    self._left_out_from = completed
                return
            self._pending[batch.id] = batch
            if completed > self._newest:
                self._newest, self._newest_at = completed, at

    def end(self) -> None:
        """Take note that a sweep has come to its end. If its beginning was seen, the horizon can follow.

        As time passes, it passes on the platform as well: what was not visible when the sweep began, so long after the newest
        batch was seen, is younger than that by as much. No clock is compared with another one.
        """
        if self._saw_beginning and self._newest:
            seen_until = self._newest + (self._began_at - self._newest_at)
            if self._left_out_from is not None:
                seen_until = min(seen_until, self._left_out_from)
            self._follow(seen_until - OVERLAP)
        self._saw_beginning = False

    def is_full(self, began_at: float) -> bool:
        """Whether a sweep has brought more than there is room for. What it goes on to bring is found again by another one.

        :param began_at: when that sweep began. Of one that this log has not taken note of yet it can't say so.
        """
        return self._began_at == began_at and self._left_out_from is not None

    def next(self) -> Batch | None:
        """Give the batch that was promoted first of those that wait."""
        return next(iter(self._pending.values()), None)

    @property
    def waiting(self) -> int:
        """How many batches wait to be given."""
        return len(self._pending)

    def settle(self, batch_id: str, completed: float) -> None:
        """Take note that a batch was given, and will not be given again.

        :param completed: when it was promoted.
        """
        self._pending.pop(batch_id, None)
        if completed >= self.horizon:
            self.done[batch_id] = completed

    def _follow(self, moment: float) -> None:
        oldest = min((batch.completed or 0.0 for batch in self._pending.values()), default=moment)
        self.horizon = max(self.horizon, min(moment, oldest))
        self.done = {batch_id: at for batch_id, at in self.done.items() if at >= self.horizon}

    @property
    def state(self) -> dict[str, Any]:
        """What must survive a restart, as JSON."""
        return {"horizon": self.horizon, "done": dict(self.done)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> ArrivalLog:
        """Go on where another one has stopped."""
        return cls(float(state["horizon"]), {str(name): float(at) for name, at in state["done"].items()})
