"""Waiting until the platform has promoted a batch: a certain one, or any on a dataset."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_catalog.hooks.durations import seconds
from airflow_provider_catalog.hooks.moments import epoch_seconds
from airflow_provider_catalog.sensors.waiting import WaitingSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_catalog.api.models import Batch
    from airflow_provider_catalog.ingest.arrivals import DatasetWatch
    from airflow_provider_catalog.ingest.rejected import RejectedLimit
    from airflow_provider_catalog.ingest.watch import BatchWatch
    from airflow_provider_catalog.lineage.notes import Notes
    from airflow_provider_catalog.triggers.batch import BatchTrigger
    from airflow_provider_catalog.triggers.dataset import DatasetBatchTrigger

STALLED_GRACE = timedelta(hours=1)


class BatchSensor(WaitingSensor):
    """Wait until a batch is promoted.

    Succeeds when the batch is ``success`` or ``active``, also if it was replaced since then. Fails at once, without retries, when
    the platform gave the batch up, with the platform's errors in the text. Goes on waiting through outages, expired tokens
    and statuses that it does not know. When the batch is what makes it fail, what would be the return value is left as the XCom
    ``batch_summary``.

    If the asset of the batch's dataset is among the task's ``outlets``, its event tells the batch and the counts: see
    :mod:`airflow_provider_catalog.assets.events`.

    :param batch_id: the batch (templated).
    :param catalog_conn_id: the connection (templated).
    :param sandbox_name: another sandbox than the connection's (templated).
    :param fail_on_rejected: from how many rejected rows on a promoted batch counts as a failure (templated): a number from 1, a
        share such as ``0.01``, or a percentage such as ``"1%"``. A batch whose rows the platform does not count (CSV) fails then
        as well. None, the default, leaves it at a warning.
    :param stalled_grace: how long the batch may be ``stalled``; seconds or a timedelta, one hour unless given.
    :param max_unreachable: how long the platform may give no useful answer; seconds or a timedelta, half an hour unless given.
        In the mode reschedule nothing is remembered between two looks, so there only ``timeout`` ends such a wait.
    :param deferrable: wait in the triggerer, after one look in the worker; Airflow's ``default_deferrable`` unless given.
    :param poke_interval: seconds between two looks.
    :param timeout: seconds until the wait fails with ``AirflowSensorTimeout``, or is skipped with ``soft_fail``.
    :return: ``id``, ``status``, ``records_read``, ``records_written``, ``records_failed``, and ``errors``, up to ten, each with
        ``code``, ``description`` and ``records``; a count that the platform does not give is None.
    """

    template_fields: Sequence[str] = ("catalog_conn_id", "sandbox_name", "batch_id", "fail_on_rejected")

    def __init__(
        self,
        *,
        batch_id: str | XComArg,
        fail_on_rejected: float | str | XComArg | None = None,
        stalled_grace: float | timedelta = STALLED_GRACE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch_id: Any = batch_id  # a text when the templates have been rendered
        self.fail_on_rejected: Any = fail_on_rejected
        self.stalled_grace = seconds("stalled_grace", stalled_grace)

    @cached_property
    def _batch_watch(self) -> BatchWatch:
        from airflow_provider_catalog.ingest.watch import BatchWatch

        return BatchWatch(self.batch_id, self.stalled_grace, self._patience)

    def _watch(self, context: Context) -> BatchWatch:
        return self._batch_watch

    @cached_property
    def _limit(self) -> RejectedLimit | None:
        from airflow_provider_catalog.ingest.rejected import RejectedLimit

        return None if self.fail_on_rejected is None else RejectedLimit.parse(self.fail_on_rejected)

    def _read(self, context: Context) -> PokeReturnValue:
        limit = self._limit  # refused, if it is, before anything is sent
        batch = self.hook.client.get_batch(self.batch_id)
        self._notes.saw(batch)
        promoted = self._batch_watch.saw(batch, time.time())
        return PokeReturnValue(
            is_done=promoted, xcom_value=self._report(context, batch, limit) if promoted else None
        )

    def _accept(self, context: Context, event: Mapping[str, Any]) -> Any:
        from airflow_provider_catalog.api.models import Batch

        batch = Batch.from_summary(event["summary"], event.get("origin"))
        return self._report(context, batch, self._limit)

    def _report(self, context: Context, batch: Batch, limit: RejectedLimit | None) -> dict[str, Any]:
        """Give the summary of a promoted batch, unless too many of its rows were rejected."""
        from airflow_provider_catalog.assets.events import tell_outlets
        from airflow_provider_catalog.ingest.rejected import accepted

        accepted(batch, limit)
        tell_outlets(self, context, self.hook, batch, batch.dataset_ids)
        return batch.summary

    def _trigger(self, context: Context, deadline: float, hard_deadline: float | None) -> BatchTrigger:
        from airflow_provider_catalog.triggers.batch import BatchTrigger

        return BatchTrigger(
            batch_id=self.batch_id,
            catalog_conn_id=self.catalog_conn_id,
            sandbox_name=self.sandbox_name,
            poll_interval=self.poke_interval,
            stalled_grace=self.stalled_grace,
            max_unreachable=self._patience,
            deadline=deadline,
            hard_deadline=hard_deadline,
        )

    def _new_notes(self) -> Notes:
        from airflow_provider_catalog.lineage.notes import Notes

        return Notes(batch_id=self.batch_id)


class DatasetBatchSensor(WaitingSensor):
    """Wait until batches on a dataset are promoted, whoever has loaded them.

    Counted are the batches that were promoted at ``since`` or later and that are still there: not those that were reverted or
    replaced, nor those into which the platform has merged older ones. Goes on waiting through outages and expired tokens. A look
    takes one request for each 100 batches that have arrived.

    :param dataset_id: the dataset (templated).
    :param since: the moment (templated): a datetime, or ISO text such as ``"{{ ts }}"``; UTC where it names no time zone. Unless
        given, the start of the run's data interval, or of the run itself where it has none.
    :param min_batches: wait for so many batches (templated); one unless given.
    :param min_records: wait instead for so many records written by them all (templated). Batches whose records the platform does
        not count (CSV) add none.
    :param catalog_conn_id: the connection (templated).
    :param sandbox_name: another sandbox than the connection's (templated).
    :param max_unreachable: how long the platform may give no useful answer; seconds or a timedelta, half an hour unless given.
        In the mode reschedule nothing is remembered between two looks, so there only ``timeout`` ends such a wait.
    :param deferrable: wait in the triggerer, after one look in the worker; Airflow's ``default_deferrable`` unless given.
    :param poke_interval: seconds between two looks.
    :param timeout: seconds until the wait fails with ``AirflowSensorTimeout``, or is skipped with ``soft_fail``.
    :return: ``dataset_id``, ``batches`` and ``records`` as far as was counted, which is until there were enough, and
        ``batch_ids``, the first hundred.
    """

    template_fields: Sequence[str] = (
        "catalog_conn_id",
        "sandbox_name",
        "dataset_id",
        "since",
        "min_batches",
        "min_records",
    )

    def __init__(
        self,
        *,
        dataset_id: str | XComArg,
        since: datetime | str | XComArg | None = None,
        min_batches: int | str | XComArg | None = None,
        min_records: int | str | XComArg | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min_batches is not None and min_records is not None:
            raise ValueError("min_batches: got both this and min_records, expected one of them")
        self.dataset_id: Any = dataset_id
        self.since: Any = since
        self.min_batches: Any = min_batches
        self.min_records: Any = min_records
        self._dataset_watch: DatasetWatch | None = None

    def _watch(self, context: Context) -> DatasetWatch:
        self._dataset_watch = self._dataset_watch or self._new_watch(context)
        return self._dataset_watch

    def _new_watch(self, context: Context) -> DatasetWatch:
        from airflow_provider_catalog.ingest.arrivals import DatasetWatch, Goal

        goal = Goal.parse(self.min_batches, self.min_records)
        since = self.since if self.since is not None else _start_of(context)
        return DatasetWatch(self.dataset_id, epoch_seconds("since", since), goal, self._patience)

    def _read(self, context: Context) -> PokeReturnValue:
        watch = self._watch(context)
        arrivals = watch.look(self.hook.client)
        enough = arrivals.reach(watch.goal)
        self.log.info("Dataset %s since %s: %s.", self.dataset_id, watch.moment, arrivals)
        return PokeReturnValue(
            is_done=enough,
            xcom_value={"dataset_id": self.dataset_id, **arrivals.summary} if enough else None,
        )

    def _accept(self, context: Context, event: Mapping[str, Any]) -> Any:
        return event["summary"]

    def _trigger(self, context: Context, deadline: float, hard_deadline: float | None) -> DatasetBatchTrigger:
        from airflow_provider_catalog.triggers.dataset import DatasetBatchTrigger

        watch = self._watch(context)
        return DatasetBatchTrigger(
            dataset_id=self.dataset_id,
            catalog_conn_id=self.catalog_conn_id,
            sandbox_name=self.sandbox_name,
            since=watch.since,
            min_batches=watch.goal.batches,
            min_records=watch.goal.records,
            poll_interval=self.poke_interval,
            max_unreachable=self._patience,
            deadline=deadline,
            hard_deadline=hard_deadline,
        )

    def _new_notes(self) -> Notes:
        from airflow_provider_catalog.lineage.notes import Notes, Use

        return Notes(Use.READS, self.dataset_id)


def _start_of(context: Context) -> Any:
    """Give the moment from which a run is about data: that of its interval, or else its own."""
    interval: Any = context.get("data_interval_start")
    return interval if interval is not None else context["dag_run"].start_date
