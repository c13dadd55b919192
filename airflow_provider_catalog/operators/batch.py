"""The life of a batch, one task for each step: open it, put files in, signal completion; or give it up."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator

from airflow_provider_catalog.hooks.catalog import DEFAULT_CONN_ID, CatalogHook
from airflow_provider_catalog.hooks.failures import failing_fast
from airflow_provider_catalog.lineage.reporting import ReportsLineage
from airflow_provider_catalog.links.dataset import DatasetLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_catalog.lineage.notes import Notes


def as_text(value: Any) -> Any:
    """Give a path as text, also in a list, and anything else as it is: Airflow 3.0 and 3.1 can't render a path object."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [as_text(item) for item in value]
    return value


class CatalogOperator(BaseOperator):
    """What all operators of this package share: a connection, a sandbox, and failing fast.

    A permanent error fails the task at once, without retries; a transient one that lasts longer than the client's own patience
    leaves the task to Airflow's retries.

    :param catalog_conn_id: the connection (templated).
    :param sandbox_name: another sandbox than the connection's (templated).
    """

    template_fields: Sequence[str] = ("catalog_conn_id", "sandbox_name")
    ui_color = "#f5e1df"
    _is_killed = False

    def __init__(
        self, *, catalog_conn_id: str = DEFAULT_CONN_ID, sandbox_name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.catalog_conn_id = catalog_conn_id
        self.sandbox_name = sandbox_name

    @cached_property
    def hook(self) -> CatalogHook:
        """The hook of the task's connection and sandbox."""
        # The operators report more of their lineage than the hook can.
        return CatalogHook(self.catalog_conn_id, self.sandbox_name, report_lineage=False)

    def execute(self, context: Context) -> Any:
        """Do the work.

        :raises AirflowFailException: it can't be done, whatever the number of tries.
        """
        with failing_fast():
            return self.work(context)

    def _stop_if_killed(self) -> None:
        if self._is_killed:
            # Airflow 3 lets a task run on after its on_kill, for some seconds.
            raise AirflowException("The task was killed.")

    @abstractmethod
    def work(self, context: Context) -> Any:
        """Do what this operator is for."""


class CreateBatchOperator(ReportsLineage, CatalogOperator):
    """Open a batch on a dataset. The batch's id is the return value.

    A retry finds the batch that an earlier try has opened and hands that one on, whatever the earlier try died of; a cleared
    task opens a new one. See :mod:`airflow_provider_catalog.ingest.opening`.

    See https://experienceleague.adobe.com/en/docs/experience-platform/ingestion/batch/api-overview. All arguments are templated.

    :param dataset_id: the dataset's id.
    :param input_format: ``json`` (one object a line), ``multiline-json`` (one array, or objects over several lines), ``parquet``,
        ``csv``, or a mapping in Adobe's names with options, such as ``{"format": "csv", "delimiter": ";"}``.
    :param tags: names with a text or a list of texts, kept on the batch.
    :param enable_error_diagnostics: whether the platform keeps the reasons why rows were rejected.
    :param partial_ingestion_percent: how many per cent of the rows may be rejected before the batch fails, 0 to 100.
    :param replay_predecessors: the ids of batches that this one replaces.
    :param replay_predecessors_by_external_id: the same, by external ids.
    :param replay_reason: why; ``replace`` unless given.
    :param external_id: a name of your own for the batch, different in each run, in place of a derived one.
    """

    template_fields: Sequence[str] = (
        *CatalogOperator.template_fields,
        "dataset_id",
        "input_format",
        "tags",
        "enable_error_diagnostics",
        "partial_ingestion_percent",
        "replay_predecessors",
        "replay_predecessors_by_external_id",
        "replay_reason",
        "external_id",
    )
    operator_extra_links = (DatasetLink(),)

    def __init__(
        self,
        *,
        dataset_id: str | XComArg,
        input_format: str | Mapping[str, Any] | XComArg = "json",
        tags: Mapping[str, str | Sequence[str]] | XComArg | None = None,
        enable_error_diagnostics: bool | str | XComArg | None = None,
        partial_ingestion_percent: float | str | XComArg | None = None,
        replay_predecessors: str | Sequence[str] | XComArg | None = None,
        replay_predecessors_by_external_id: str | Sequence[str] | XComArg | None = None,
        replay_reason: str | XComArg | None = None,
        external_id: str | XComArg | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # What stands here is a value only when the templates have been rendered, that is, in work().
        self.dataset_id: Any = dataset_id
        self.input_format: Any = input_format
        self.tags: Any = tags
        self.enable_error_diagnostics: Any = enable_error_diagnostics
        self.partial_ingestion_percent: Any = partial_ingestion_percent
        self.replay_predecessors: Any = replay_predecessors
        self.replay_predecessors_by_external_id: Any = replay_predecessors_by_external_id
        self.replay_reason: Any = replay_reason
        self.external_id: Any = external_id

    def work(self, context: Context) -> str:
        """Find the batch of an earlier try or open it, and give its id."""
        from airflow_provider_catalog.api.payloads import create_batch_payload
        from airflow_provider_catalog.ingest.identity import LogicalAttempt
        from airflow_provider_catalog.ingest.opening import Opening

        payload = create_batch_payload(
            dataset_id=self.dataset_id,
            input_format=self.input_format,
            tags=self.tags,
            enable_error_diagnostics=self.enable_error_diagnostics,
            partial_ingestion_percent=self.partial_ingestion_percent,
            replay_predecessors=self.replay_predecessors,
            replay_predecessors_by_external_id=self.replay_predecessors_by_external_id,
            replay_reason=self.replay_reason,
            external_id=self.external_id,
        )
        chosen_id = payload.pop("externalId", None)
        client = self.hook.client
        attempt = LogicalAttempt.of(context, client.settings, self.dataset_id, chosen_id)
        DatasetLink.push(context, client.settings, self.dataset_id)
        batch = Opening(client, attempt, payload).open()
        self._notes.saw(batch)
        return batch.id

    def _new_notes(self) -> Notes:
        from airflow_provider_catalog.lineage.notes import Notes, Use

        return Notes(Use.NEITHER, self.dataset_id)


class UploadFilesOperator(ReportsLineage, CatalogOperator):
    """Stream files into a batch.

    Folders of the form ``key=value`` right above a file, and all folders that a glob's wildcards went through or that lie below a
    folder, are kept as its path in the batch. A file of the same name is replaced, so that a retry does no harm. How large files
    are cut, and what becomes of those that can't be, is said in :mod:`airflow_provider_catalog.ingest.plan`.

    :param batch_id: a batch that is still loading (templated).
    :param dataset_id: the dataset it was opened on (templated).
    :param files: a path, a folder, a glob or the address of an object store such as ``s3://connection_id@bucket/folder``, or a
        list of these (templated).
    :param coalesce: whether small files of JSON lines are joined before they are uploaded.
    :param max_parallel_uploads: how many requests upload at the same time, 1 to 32.
    :return: ``batch_id``, and the number of ``files`` that the batch has got, and of ``bytes``.
    """

    template_fields: Sequence[str] = (*CatalogOperator.template_fields, "batch_id", "dataset_id", "files")
    operator_extra_links = (DatasetLink(),)

    def __init__(
        self,
        *,
        batch_id: str | XComArg,
        dataset_id: str | XComArg,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | XComArg,
        coalesce: bool = False,
        max_parallel_uploads: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch_id: Any = batch_id
        self.dataset_id: Any = dataset_id
        self.files: Any = as_text(files)
        self.coalesce = coalesce
        self.max_parallel_uploads = max_parallel_uploads

    def work(self, context: Context) -> dict[str, str | int]:
        """Check all files, then upload them."""
        from airflow_provider_catalog.api.models import Batch
        from airflow_provider_catalog.api.validation import check_request
        from airflow_provider_catalog.hooks.stores import connect
        from airflow_provider_catalog.ingest.files import find_files
        from airflow_provider_catalog.ingest.plan import check_size, needs_format, plan_upload
        from airflow_provider_catalog.ingest.upload import Upload, checked_parallel, loading_batch

        check_request(self.batch_id, "batchId")
        check_request(self.dataset_id, "datasetId")
        parallel = checked_parallel(self.max_parallel_uploads)
        files = find_files(self.files, connect)
        self._notes.found(files)
        check_size(files, coalesce=self.coalesce)
        client = self.hook.client
        DatasetLink.push(context, client.settings, self.dataset_id)
        if needs_format(files, coalesce=self.coalesce):
            batch = loading_batch(client, self.batch_id)
        else:
            batch = Batch(self.batch_id, "loading")
        self._notes.saw(batch)
        plan = plan_upload(files, batch.input_format, coalesce=self.coalesce)
        self._notes.planned(plan)
        Upload(client, batch, self.dataset_id, plan, parallel=parallel, check_in=self._stop_if_killed).run()
        self._notes.is_uploaded = True
        return {"batch_id": batch.id, "files": len(plan.uploads), "bytes": plan.size}

    def _new_notes(self) -> Notes:
        from airflow_provider_catalog.lineage.notes import Notes

        return Notes(dataset_id=self.dataset_id, patterns=self.files)

    def on_kill(self) -> None:
        """Stop the upload. The batch stays open, for another try."""
        self._is_killed = True


class _SignalOperator(CatalogOperator):
    """One signal to one batch."""

    template_fields: Sequence[str] = (*CatalogOperator.template_fields, "batch_id")

    def __init__(self, *, batch_id: str | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id: Any = batch_id


class CompleteBatchOperator(ReportsLineage, _SignalOperator):
    """Signal that all files of a batch are there. The platform then works on it; wait with ``BatchSensor``.

    An asset of the dataset belongs in the ``outlets`` of that sensor: nothing is in the dataset when this task succeeds.

    :param batch_id: the batch (templated), which is the return value as well.
    """

    def work(self, context: Context) -> str:
        """Signal completion."""
        self.hook.client.complete_batch(self.batch_id)
        self.log.info("The platform has accepted the completion of batch %s.", self.batch_id)
        return str(self.batch_id)

    def _new_notes(self) -> Notes:
        from airflow_provider_catalog.lineage.notes import Notes, Use

        return Notes(Use.NEITHER, batch_id=self.batch_id)


class AbortBatchOperator(_SignalOperator):
    """Give up a batch that is not promoted yet. One that is given up already is a success.

    :param batch_id: the batch (templated), which is the return value as well.
    """

    def work(self, context: Context) -> str:
        """Abort the batch."""
        from airflow_provider_catalog.ingest.ending import abort_batch

        abort_batch(self.hook.client, self.batch_id)
        return str(self.batch_id)


class RevertBatchOperator(_SignalOperator):
    """Take the data of a promoted batch out of the dataset. One that is taken out already is a success.

    :param batch_id: the batch (templated), which is the return value as well.
    """

    def work(self, context: Context) -> str:
        """Revert the batch."""
        from airflow_provider_catalog.ingest.ending import revert_batch

        revert_batch(self.hook.client, self.batch_id)
        return str(self.batch_id)
