"""Waiting until the platform has promoted a batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_catalog.hooks.catalog import DEFAULT_CONN_ID, CatalogHook
from airflow_provider_catalog.hooks.durations import seconds
from airflow_provider_catalog.hooks.failures import failing_fast
from airflow_provider_catalog.hooks.summaries import leaving_summary, push_summary

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_catalog.ingest.rejected import RejectedLimit
    from airflow_provider_catalog.ingest.watch import BatchWatch

STALLED_GRACE = timedelta(hours=1)
MAX_UNREACHABLE = timedelta(minutes=30)

# The trigger keeps the deadline itself, with a last look; Airflow's own is for a triggerer that is gone.
BACKSTOP_SECONDS = 300.0
CONFIRMATION_PAUSE = 5.0


class BatchSensor(BaseSensorOperator):
    """Wait until a batch is promoted.

    Succeeds when the batch is ``success`` or ``active``, also if it was replaced since then. Fails at once, without retries, when
    the platform gave the batch up, with the platform's errors in the text. Goes on waiting through outages, expired tokens
    and statuses that it does not know. When the batch is what makes it fail, what would be the return value is left as the XCom
    ``batch_summary``.

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
    ui_color = "#f5e1df"

    def __init__(
        self,
        *,
        batch_id: str | XComArg,
        catalog_conn_id: str = DEFAULT_CONN_ID,
        sandbox_name: str | None = None,
        fail_on_rejected: float | str | XComArg | None = None,
        stalled_grace: float | timedelta = STALLED_GRACE,
        max_unreachable: float | timedelta = MAX_UNREACHABLE,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch_id: Any = batch_id  # a text when the templates have been rendered
        self.catalog_conn_id = catalog_conn_id
        self.sandbox_name = sandbox_name
        self.fail_on_rejected: Any = fail_on_rejected
        self.stalled_grace = seconds("stalled_grace", stalled_grace)
        self.max_unreachable = seconds("max_unreachable", max_unreachable)
        self.deferrable = deferrable
        if deferrable and self.poke_interval == 0:
            raise ValueError("poke_interval: got 0, expected more than 0 seconds in the deferrable mode")

    @cached_property
    def hook(self) -> CatalogHook:
        """The hook of the task's connection and sandbox. The sensor looks again by itself, so it repeats no call."""
        return CatalogHook(self.catalog_conn_id, self.sandbox_name, attempts=1)

    @cached_property
    def _watch(self) -> BatchWatch:
        from airflow_provider_catalog.ingest.watch import BatchWatch

        return BatchWatch(self.batch_id, self.stalled_grace, self._patience)

    @cached_property
    def _limit(self) -> RejectedLimit | None:
        from airflow_provider_catalog.ingest.rejected import RejectedLimit

        return None if self.fail_on_rejected is None else RejectedLimit.parse(self.fail_on_rejected)

    @property
    def _patience(self) -> float:
        """For how many seconds no useful answer is tolerated; with Airflow's ``silent_fail`` only the time-out ends a wait."""
        return self.timeout + BACKSTOP_SECONDS if self.silent_fail else self.max_unreachable

    def execute(self, context: Context) -> Any:
        """Look at the batch, and wait in the chosen mode.

        :raises AirflowFailException: the batch won't be promoted.
        :raises AirflowSensorTimeout: it was not promoted in time.
        """
        if not self.deferrable:
            return super().execute(context)
        with self._softly():
            first_look = self.poke(context)
        if not first_look:
            self._defer()
        return first_look.xcom_value

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the batch once; in the mode reschedule, until a refusal has passed or lasts."""
        with failing_fast(), leaving_summary(context):
            look = self._look()
            while self.reschedule and self._watch.is_refused:
                time.sleep(CONFIRMATION_PAUSE)
                look = self._look()
            return look

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Turn the trigger's event into the task's end."""
        from airflow_provider_catalog.api.errors import LostSightError
        from airflow_provider_catalog.api.models import Batch
        from airflow_provider_catalog.ingest.rejected import accepted
        from airflow_provider_catalog.triggers.batch import Outcome

        outcome, message, summary = Outcome(event["outcome"]), event["message"], event["summary"]
        if outcome is Outcome.PROMOTED:
            self.log.info(message)
            with self._softly(), failing_fast(), leaving_summary(context):
                return accepted(Batch.from_summary(summary), self._limit).summary
        if summary is not None:
            push_summary(context, summary)
        failures: dict[Outcome, type[BaseException]] = {
            Outcome.FAILED: AirflowFailException,
            Outcome.LOST_SIGHT: LostSightError,
            Outcome.TIMED_OUT: AirflowSensorTimeout,
            Outcome.STOPPED: AirflowTaskTimeout,
        }
        with self._softly():
            raise failures[outcome](message)

    @contextmanager
    def _softly(self) -> Iterator[None]:
        """Skip instead of failing where the user asks for it, on the same errors as Airflow does in the other modes."""
        try:
            yield
        except (AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    def _look(self) -> PokeReturnValue:
        from airflow_provider_catalog.api.errors import CatalogError, InvalidInputError
        from airflow_provider_catalog.ingest.rejected import accepted

        _ = self._limit  # refused, if it is, before anything is sent
        if time.time() < self._watch.not_before:
            return PokeReturnValue(is_done=False)
        try:
            batch = self.hook.client.get_batch(self.batch_id)
        except InvalidInputError:
            raise
        except CatalogError as error:
            self._watch.missed(error, time.time())
            return PokeReturnValue(is_done=False)
        promoted = self._watch.saw(batch, time.time())
        return PokeReturnValue(
            is_done=promoted, xcom_value=accepted(batch, self._limit).summary if promoted else None
        )

    def _defer(self) -> NoReturn:
        from airflow_provider_catalog.triggers.batch import BatchTrigger

        now = time.time()
        limit = self.execution_timeout
        self.defer(
            trigger=BatchTrigger(
                batch_id=self.batch_id,
                catalog_conn_id=self.catalog_conn_id,
                sandbox_name=self.sandbox_name,
                poll_interval=self.poke_interval,
                stalled_grace=self.stalled_grace,
                max_unreachable=self._patience,
                deadline=now + self.timeout,
                hard_deadline=now + limit.total_seconds() if limit is not None else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + BACKSTOP_SECONDS),
        )
