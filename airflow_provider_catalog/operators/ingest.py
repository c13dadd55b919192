"""All in one task: files become a promoted batch, or it is said why they did not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowTaskTimeout,
    conf,
)

from airflow_provider_catalog.hooks.durations import seconds
from airflow_provider_catalog.hooks.failures import failing_fast
from airflow_provider_catalog.hooks.summaries import leaving_summary, push_summary
from airflow_provider_catalog.lineage.reporting import ReportsLineage
from airflow_provider_catalog.links.dataset import DatasetLink
from airflow_provider_catalog.operators.batch import CatalogOperator, as_text

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_catalog.api.models import Batch
    from airflow_provider_catalog.ingest.ingestion import Ingestion
    from airflow_provider_catalog.ingest.plan import UploadPlan
    from airflow_provider_catalog.ingest.rejected import RejectedLimit
    from airflow_provider_catalog.ingest.sources import SourceFile
    from airflow_provider_catalog.ingest.waiting import Patience
    from airflow_provider_catalog.lineage.notes import Notes

BATCH_ID_KEY = "batch_id"
RERUNS = ("replace", "append", "skip")
INVALID = ("fail", "drop", "warn")

# The trigger keeps the deadline itself, with a last look; Airflow's own is for a triggerer that is gone.
BACKSTOP = timedelta(minutes=5)
ABORT_SECONDS = 4.0


class IngestFilesOperator(ReportsLineage, CatalogOperator):
    """Open a batch, upload files, signal completion, and wait until the platform has promoted it.

    However often the task is retried, and whatever died before, there is one promoted batch for each run of it: a try finds
    the batch of the tries before it in the Catalog and goes on with it. See :mod:`airflow_provider_catalog.ingest.opening`.

    The batch's id is in the XCom ``batch_id`` as soon as there is a batch, and what became of it in ``batch_summary``, also when
    the task fails.

    If the dataset's asset is among the task's ``outlets``, its event tells the batch and the counts: see
    :mod:`airflow_provider_catalog.assets.events`.

    :param dataset_id: the dataset's id (templated).
    :param files: a path, a folder, a glob or the address of an object store such as ``s3://connection_id@bucket/folder``, or a
        list of these (templated). Files of any size: see :mod:`airflow_provider_catalog.ingest.plan`.
    :param input_format: as in ``CreateBatchOperator`` (templated).
    :param tags: names with a text or a list of texts, kept on the batch beside those that name its owner (templated).
    :param enable_error_diagnostics: whether the platform keeps the reasons why rows were rejected; true unless given (templated).
    :param partial_ingestion_percent: how many per cent of the rows may be rejected before the batch fails, 0 to 100 (templated).
    :param fail_on_rejected: from how many rejected rows (``100``) or what share of them (``0.01`` or ``"1%"``) a promoted batch
        counts as a failure, as in ``BatchSensor`` (templated).
    :param external_id: a name of your own for the batch, different in each run, in place of a derived one (templated).
    :param validate: ``schema``: hold all records against the dataset's schema before anything is sent, as the platform would
        (json, multiline-json), or compare the columns (parquet). Nothing is validated unless given.
    :param on_invalid: what happens if some do not fit: ``fail``, ``warn``, or ``drop`` (of JSON lines, those are not uploaded).
    :param invalid_records_path: with ``drop``, where these lines are written with the reasons, as JSON lines: a local path or an
        address of ``ObjectStoragePath`` (templated). They hold customers' data, and are written nowhere else.
    :param validate_share: the share of records that is validated, for huge files; 1, all of them, unless given.
    :param coalesce: whether small files of JSON lines are joined before they are uploaded.
    :param max_parallel_uploads: how many requests upload at the same time, 1 to 32.
    :param on_rerun: what happens to the data that the task loaded before it was cleared: ``replace`` (the new batch takes their
        place), ``append`` (they stay, and the new ones are added) or ``skip`` (they count, and nothing is loaded again).
    :param abort_on_kill: whether the batch is aborted when somebody kills, marks or clears the task before the platform has it;
        on Airflow 3.3 also when somebody clears the deferred task or marks it failed, as long as the platform takes an abort.
    :param poll_interval: seconds between two looks at the batch.
    :param timeout: how long one try waits for the promotion; seconds or a timedelta, six hours unless given.
    :param stalled_grace: how long the batch may be ``stalled``; seconds or a timedelta.
    :param max_unreachable: how long the platform may give no useful answer; seconds or a timedelta.
    :param deferrable: wait in the triggerer; Airflow's ``default_deferrable`` unless given.
    :return: ``id``, ``status``, ``records_read``, ``records_written``, ``records_failed`` and ``errors``; a count that the
        platform does not give is None.
    """

    template_fields: Sequence[str] = (
        *CatalogOperator.template_fields,
        "dataset_id",
        "files",
        "input_format",
        "tags",
        "enable_error_diagnostics",
        "partial_ingestion_percent",
        "fail_on_rejected",
        "external_id",
        "invalid_records_path",
    )
    operator_extra_links = (DatasetLink(),)

    def __init__(
        self,
        *,
        dataset_id: str | XComArg,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | XComArg,
        input_format: str | Mapping[str, Any] | XComArg = "json",
        tags: Mapping[str, str | Sequence[str]] | XComArg | None = None,
        enable_error_diagnostics: bool | str | XComArg = True,
        partial_ingestion_percent: float | str | XComArg | None = None,
        fail_on_rejected: float | str | XComArg | None = None,
        external_id: str | XComArg | None = None,
        validate: str | None = None,
        on_invalid: str = "fail",
        invalid_records_path: str | os.PathLike[str] | XComArg | None = None,
        validate_share: float = 1.0,
        coalesce: bool = False,
        max_parallel_uploads: int = 4,
        on_rerun: str = "replace",
        abort_on_kill: bool = True,
        poll_interval: float = 60.0,
        timeout: float | timedelta = timedelta(hours=6),
        stalled_grace: float | timedelta = timedelta(hours=1),
        max_unreachable: float | timedelta = timedelta(minutes=30),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # What stands in a templated field is a value only when the templates have been rendered.
        self.dataset_id: Any = dataset_id
        self.files: Any = as_text(files)
        self.input_format: Any = input_format
        self.tags: Any = tags
        self.enable_error_diagnostics: Any = enable_error_diagnostics
        self.partial_ingestion_percent: Any = partial_ingestion_percent
        self.fail_on_rejected: Any = fail_on_rejected
        self.external_id: Any = external_id
        if validate not in (None, "schema"):
            raise ValueError(f"validate: got {validate!r}, expected None or 'schema'")
        if on_invalid not in INVALID:
            raise ValueError(f"on_invalid: got {on_invalid!r}, expected one of {', '.join(INVALID)}")
        if validate is None:
            _refuse_without_validation(on_invalid, invalid_records_path, validate_share)
        self.validate = validate
        self.on_invalid = on_invalid
        self.invalid_records_path: Any = as_text(invalid_records_path)
        self.validate_share = validate_share
        self.coalesce = coalesce
        self.max_parallel_uploads = max_parallel_uploads
        if on_rerun not in RERUNS:
            raise ValueError(f"on_rerun: got {on_rerun!r}, expected one of {', '.join(RERUNS)}")
        self.on_rerun = on_rerun
        self.abort_on_kill = abort_on_kill
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.stalled_grace = seconds("stalled_grace", stalled_grace)
        self.max_unreachable = seconds("max_unreachable", max_unreachable)
        self.deferrable = deferrable
        if self.poll_interval == 0:
            raise ValueError("poll_interval: got 0, expected more than 0 seconds")
        self._open_batch_id: str | None = None

    def work(self, context: Context) -> dict[str, Any]:
        """Bring the files in, and wait; or defer the wait."""
        from airflow_provider_catalog.api.statuses import Phase
        from airflow_provider_catalog.ingest.ingestion import bring_in
        from airflow_provider_catalog.ingest.waiting import wait_for

        limit = self._limit
        client = self.hook.client
        with self._noting_failure():
            batch = bring_in(
                client,
                self._ingestion(context),
                on_batch=lambda batch: self._announce(context, batch),
                check_in=self._stop_if_killed,
                before_completion=self._hand_over,
            )
            if batch.phase is not Phase.SUCCEEDED:
                if self.deferrable:
                    self._defer(context, batch.id)
                with leaving_summary(context):
                    batch = wait_for(client, batch.id, self._patience)
        return self._report(context, batch, limit)

    def execute_complete(
        self,
        context: Context,
        event: Mapping[str, Any],
        try_number: int | None = None,
        lineage: Mapping[str, Any] | None = None,
    ) -> Any:
        """Turn the trigger's event into the task's end.

        :param context: Airflow's context of the task.
        :param event: the trigger's.
        :param try_number: the try that has deferred; ``airflow dags test`` and ``DAG.test`` do not hand it on.
        :param lineage: what the process that has deferred has handed on for OpenLineage.
        """
        from airflow_provider_catalog.api.errors import LostSightError
        from airflow_provider_catalog.api.models import Batch
        from airflow_provider_catalog.triggers.batch import Outcome

        if try_number not in (None, context["ti"].try_number):
            # Airflow 3.0 takes a retry back to where the try before it has failed, with that one's event.
            return self.execute(context)
        outcome, message, summary = Outcome(event["outcome"]), event["message"], event["summary"]
        self._notes.go_on(lineage, event)
        if outcome is Outcome.PROMOTED:
            self.log.info(message)
            with failing_fast():
                return self._report(context, Batch.from_summary(summary, event.get("origin")), self._limit)
        if summary is not None:
            push_summary(context, summary)
        failures: dict[Outcome, type[BaseException]] = {
            Outcome.FAILED: AirflowFailException,
            Outcome.LOST_SIGHT: LostSightError,
            Outcome.TIMED_OUT: LostSightError,
            Outcome.STOPPED: AirflowTaskTimeout,
        }
        raise failures[outcome](message)

    def _new_notes(self) -> Notes:
        from airflow_provider_catalog.lineage.notes import Notes

        return Notes(dataset_id=self.dataset_id, patterns=self.files)

    def on_kill(self) -> None:
        """Abort the batch, unless the platform has it already, or it was only the task's own time that ran out."""
        self._is_killed = True
        # Airflow calls this for an execution_timeout as well, and the next try shall go on with the batch.
        is_timeout = isinstance(sys.exception(), AirflowTaskTimeout)
        if self._open_batch_id is not None and self.abort_on_kill and not is_timeout:
            self._abort_in_time(self._open_batch_id)

    def _ingestion(self, context: Context) -> Ingestion:
        """Check all arguments, before anything is sent."""
        from airflow_provider_catalog.api.payloads import create_batch_payload
        from airflow_provider_catalog.api.validation import check_request
        from airflow_provider_catalog.ingest.identity import LogicalAttempt
        from airflow_provider_catalog.ingest.ingestion import Ingestion
        from airflow_provider_catalog.ingest.reruns import OnRerun
        from airflow_provider_catalog.ingest.upload import checked_parallel

        if self.external_id is not None:
            check_request(self.external_id, "externalId")
        payload = create_batch_payload(
            dataset_id=self.dataset_id,
            input_format=self.input_format,
            tags=self.tags,
            enable_error_diagnostics=self.enable_error_diagnostics,
            partial_ingestion_percent=self.partial_ingestion_percent,
        )
        return Ingestion(
            attempt=LogicalAttempt.of(context, self.hook.client.settings, self.dataset_id, self.external_id),
            payload=payload,
            plan=self._planned(context, payload["inputFormat"]),
            on_rerun=OnRerun(self.on_rerun),
            patience=self._patience,
            parallel=checked_parallel(self.max_parallel_uploads),
        )

    def _planned(self, context: Context, input_format: Mapping[str, Any]) -> Callable[[], UploadPlan]:
        plan = cache(lambda: self._plan(input_format))
        if context["ti"].try_number == 1:
            plan()
        # At a retry the platform may have all of them, and then it does not matter whether they are still here.
        return plan

    def _plan(self, input_format: Mapping[str, Any]) -> UploadPlan:
        """Look at all files, and at what is in them if that is wanted, and decide how they are uploaded."""
        from airflow_provider_catalog.hooks.preflight import Preflight
        from airflow_provider_catalog.hooks.stores import connect
        from airflow_provider_catalog.ingest.files import find_files
        from airflow_provider_catalog.ingest.plan import NOTHING, check_size, plan_upload

        files: Sequence[SourceFile] = find_files(self.files, connect)
        check_size(files, coalesce=self.coalesce)
        self._notes.found(files)
        left_out = NOTHING
        if self.validate:
            preflight = Preflight(self.on_invalid, self.validate_share, self.invalid_records_path)
            files, left_out = preflight.look(
                self.hook.client,
                self.dataset_id,
                files,
                input_format,
                stop=self._stop_if_killed,
                on_schema=self._notes.read,
            )
        plan = plan_upload(files, input_format, coalesce=self.coalesce, left_out=left_out)
        self._notes.planned(plan)
        return plan

    @property
    def _patience(self) -> Patience:
        from airflow_provider_catalog.ingest.waiting import Patience

        return Patience(self.poll_interval, self.timeout, self.stalled_grace, self.max_unreachable)

    def _announce(self, context: Context, batch: Batch) -> None:
        from airflow_provider_catalog.api.statuses import Phase

        self._notes.saw(batch)
        self._open_batch_id = batch.id if batch.phase is Phase.WAITING_ON_CLIENT else None
        ti: Any = context["ti"]
        ti.xcom_push(key=BATCH_ID_KEY, value=batch.id)
        DatasetLink.push(context, self.hook.client.settings, self.dataset_id)
        if self._is_killed and self._open_batch_id is not None:
            # The signal has come while the batch was being opened.
            self.on_kill()
        self._stop_if_killed()

    def _hand_over(self) -> None:
        """From here on the batch is the platform's: Adobe's status table knows no abort after this."""
        self._stop_if_killed()
        self._open_batch_id = None

    def _abort_in_time(self, batch_id: str) -> None:
        """Abort a batch before Airflow loses its patience with a task that is to end, which takes five seconds."""
        from airflow_provider_catalog.ingest.ending import abort_once

        # A thread, since the signal may have come while this one was holding a lock that the abort needs.
        settings = self.hook.client.settings
        abort = Thread(target=abort_once, args=(settings, batch_id, ABORT_SECONDS), daemon=True)
        abort.start()
        abort.join(ABORT_SECONDS)

    def _defer(self, context: Context, batch_id: str) -> NoReturn:
        from airflow_provider_catalog.triggers.batch import BatchTrigger

        now = time.time()
        limit = self.execution_timeout
        self.defer(
            trigger=BatchTrigger(
                batch_id=batch_id,
                catalog_conn_id=self.catalog_conn_id,
                sandbox_name=self.sandbox_name,
                poll_interval=self.poll_interval,
                stalled_grace=self.stalled_grace,
                max_unreachable=self.max_unreachable,
                deadline=now + self.timeout,
                hard_deadline=now + limit.total_seconds() if limit is not None else None,
                # What a cleared task finds again, as it is to count, must not be aborted under it.
                abort_on_kill=self.abort_on_kill and self.on_rerun != "skip",
            ),
            method_name="execute_complete",
            kwargs={"try_number": context["ti"].try_number, **self._lineage_arguments},
            timeout=timedelta(seconds=self.timeout) + BACKSTOP,
        )

    @property
    def _limit(self) -> RejectedLimit | None:
        from airflow_provider_catalog.ingest.rejected import RejectedLimit

        return None if self.fail_on_rejected is None else RejectedLimit.parse(self.fail_on_rejected)

    def _report(self, context: Context, batch: Batch, limit: RejectedLimit | None) -> dict[str, Any]:
        """Give the summary of a promoted batch, unless too many of its rows were rejected."""
        from airflow_provider_catalog.assets.events import tell_outlets
        from airflow_provider_catalog.ingest.rejected import accepted

        self._notes.saw(batch)
        push_summary(context, batch.summary)
        accepted(batch, limit)
        tell_outlets(self, context, self.hook, batch, [self.dataset_id])
        return batch.summary


def _refuse_without_validation(on_invalid: str, invalid_records_path: object, validate_share: float) -> None:
    """Leave nobody in the belief that records are looked at."""
    given = {
        "on_invalid": on_invalid if on_invalid != INVALID[0] else None,
        "invalid_records_path": invalid_records_path,
        "validate_share": validate_share if validate_share != 1.0 else None,
    }
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name}: got {value!r}, expected validate='schema' beside it")
