"""What a task takes note of while it works, so that its lineage can be told when it has ended."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.lineage.names import Name, few, file_name, pattern_names

if TYPE_CHECKING:
    from airflow_provider_catalog.api.models import Batch
    from airflow_provider_catalog.ingest.plan import UploadPlan
    from airflow_provider_catalog.ingest.sources import SourceFile

HANDED_ON = ("dataset_id", "batch_id", "external_id", "sources", "files", "size")
LISTENER = "airflow.providers.openlineage.plugins.listener"


class Use(Enum):
    """What a task does with its dataset."""

    WRITES = auto()
    READS = auto()
    NEITHER = auto()


@dataclass
class Notes:
    """What a task knows so far; what it does not know is None.

    :param use: what it does with the dataset.
    :param dataset_id: the dataset.
    :param patterns: the files as its user has named them.
    :param sources: the names of the files that were found.
    :param files: how many files the batch gets.
    :param size: how many bytes these are.
    :param is_uploaded: whether they have all arrived.
    :param batch_id: its batch.
    :param batch: the same, as last seen.
    :param external_id: the batch's external id.
    :param schema: the dataset's schema, if the task has read it.
    """

    use: Use = Use.WRITES
    dataset_id: str | None = None
    batch_id: str | None = None
    patterns: object = ()
    sources: list[Name] | None = None
    files: int | None = None
    size: int | None = None
    is_uploaded: bool = False
    batch: Batch | None = None
    external_id: str | None = None
    schema: Mapping[str, Any] | None = None

    def found(self, files: Iterable[SourceFile]) -> None:
        """Note which files there are."""
        names = (file_name(each.address, each.account) for each in files)
        self.sources = few(name for name in names if name is not None)

    def read(self, schema: Mapping[str, Any]) -> None:
        """Note the dataset's schema."""
        self.schema = schema

    def planned(self, plan: UploadPlan) -> None:
        """Note what the batch gets."""
        self.files, self.size = len(plan.uploads), plan.size

    def saw(self, batch: Batch) -> None:
        """Note how the batch looks now."""
        self.batch_id, self.batch = batch.id, batch
        self.external_id = batch.external_id or self.external_id
        self.dataset_id = self.dataset_id or next(iter(batch.dataset_ids), None)

    @property
    def inputs(self) -> list[Name]:
        """The names of the files; of those that were not looked for, what the user has called them."""
        return pattern_names(self.patterns) if self.sources is None else self.sources

    def handed_on(self) -> dict[str, Any]:
        """Give what another process needs to go on, for the arguments of a deferral."""
        sources = None if self.sources is None else [list(each) for each in self.sources]
        return {name: getattr(self, name) for name in HANDED_ON} | {"sources": sources}

    def go_on(self, handed_on: Mapping[str, Any] | None, event: Mapping[str, Any]) -> None:
        """Note what was seen by others before this process.

        :param handed_on: what the process that has deferred has handed on, if anything.
        :param event: the trigger's.
        """
        from airflow_provider_catalog.api.models import Batch

        for name, value in (handed_on or {}).items():
            setattr(self, name, value)
        if self.sources is not None:
            self.sources = [Name(*each) for each in self.sources]
        # Who waits for any batches on a dataset has none that is its own.
        if event["summary"] is not None and self.use is not Use.READS:
            self.saw(Batch.from_summary(event["summary"], event.get("origin")))


def is_wanted() -> bool:
    """Whether OpenLineage listens in this process. Its plugin loads the listener, unless it is switched off."""
    return LISTENER in sys.modules
