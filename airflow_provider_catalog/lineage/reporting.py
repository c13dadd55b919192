"""What OpenLineage's listener asks a task for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_catalog.hooks.catalog import CatalogHook
    from airflow_provider_catalog.lineage.notes import Notes


class ReportsLineage:
    """A task that tells OpenLineage of its files, its dataset and its batch.

    See https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html.
    """

    if TYPE_CHECKING:

        @cached_property
        def hook(self) -> CatalogHook:
            """The hook of the task's connection and sandbox."""

    @abstractmethod
    def _new_notes(self) -> Notes:
        """Give what is known before the task works, when its templates have been rendered."""

    @cached_property
    def _notes(self) -> Notes:
        return self._new_notes()

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """Note how the batch looked to whom it made fail."""
        from airflow_provider_catalog.api.errors import BatchError

        try:
            yield
        except BatchError as error:
            self._notes.saw(error.batch)
            raise

    @property
    def _lineage_arguments(self) -> dict[str, Any]:
        """What ``execute_complete`` needs, beside the event, to tell of lineage; nothing where nobody asks for it."""
        from airflow_provider_catalog.lineage.notes import is_wanted

        return {"lineage": self._notes.handed_on()} if is_wanted() else {}

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Tell of the dataset. Nothing is asked of the platform."""
        from airflow_provider_catalog.lineage.events import lineage_at_start

        return lineage_at_start(self._notes, self.hook)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell what the task has done.

        :param task_instance: of no use here.
        """
        from airflow_provider_catalog.lineage.events import lineage_at_end

        return lineage_at_end(self._notes, self.hook)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell what the task has done before it failed.

        :param task_instance: of no use here.
        """
        return self.get_openlineage_facets_on_complete(task_instance)
