"""What the sensors of this package have in common: three ways of waiting, with the same conduct in trouble."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
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
from airflow_provider_catalog.lineage.reporting import ReportsLineage

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_catalog.ingest.watch import TroubleWatch

MAX_UNREACHABLE = timedelta(minutes=30)

# The trigger keeps the deadline itself, with a last look; Airflow's own is for a triggerer that is gone.
BACKSTOP_SECONDS = 300.0
CONFIRMATION_PAUSE = 5.0


class WaitingSensor(ReportsLineage, BaseSensorOperator):
    """Wait for something that the Catalog shows, through outages and expired tokens.

    :param catalog_conn_id: the connection (templated).
    :param sandbox_name: another sandbox than the connection's (templated).
    :param max_unreachable: how long the platform may give no useful answer; seconds or a timedelta, half an hour unless given.
        In the mode reschedule nothing is remembered between two looks, so there only ``timeout`` ends such a wait.
    :param deferrable: wait in the triggerer, after one look in the worker; Airflow's ``default_deferrable`` unless given.
    """

    ui_color = "#f5e1df"

    def __init__(
        self,
        *,
        catalog_conn_id: str = DEFAULT_CONN_ID,
        sandbox_name: str | None = None,
        max_unreachable: float | timedelta = MAX_UNREACHABLE,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.catalog_conn_id = catalog_conn_id
        self.sandbox_name = sandbox_name
        self.max_unreachable = seconds("max_unreachable", max_unreachable)
        self.deferrable = deferrable
        if deferrable and self.poke_interval == 0:
            raise ValueError("poke_interval: got 0, expected more than 0 seconds in the deferrable mode")

    @cached_property
    def hook(self) -> CatalogHook:
        """The hook of the task's connection and sandbox. The sensor looks again by itself, so it repeats no call."""
        return CatalogHook(self.catalog_conn_id, self.sandbox_name, attempts=1)

    @property
    def _patience(self) -> float:
        """For how many seconds no useful answer is tolerated; with Airflow's ``silent_fail`` only the time-out ends a wait."""
        return self.timeout + BACKSTOP_SECONDS if self.silent_fail else self.max_unreachable

    @abstractmethod
    def _watch(self, context: Context) -> TroubleWatch:
        """Give the memory of the wait, the same one at each call."""

    @abstractmethod
    def _read(self, context: Context) -> PokeReturnValue:
        """Look once, and take note of an answer.

        :raises CatalogError: it did not work.
        """

    @abstractmethod
    def _trigger(self, context: Context, deadline: float, hard_deadline: float | None) -> BaseTrigger:
        """Make the trigger that goes on waiting."""

    @abstractmethod
    def _accept(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Give the return value for what the trigger has waited for, as its event tells."""

    def execute(self, context: Context) -> Any:
        """Look, and wait in the chosen mode.

        :raises AirflowFailException: what is waited for won't come.
        :raises AirflowSensorTimeout: it did not come in time.
        """
        if not self.deferrable:
            return super().execute(context)
        with self._softly():
            first_look = self.poke(context)
        if not first_look:
            self._defer(context)
        return first_look.xcom_value

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; in the mode reschedule, until a refusal has passed or lasts."""
        with failing_fast(), leaving_summary(context), self._noting_failure():
            look = self._look(context)
            while self.reschedule and self._watch(context).is_refused:
                time.sleep(CONFIRMATION_PAUSE)
                look = self._look(context)
            return look

    def execute_complete(
        self,
        context: Context,
        event: Mapping[str, Any],
        lineage: Mapping[str, Any] | None = None,
        try_number: int | None = None,
    ) -> Any:
        """Turn the trigger's event into the task's end.

        :param context: Airflow's context of the task.
        :param event: the trigger's.
        :param lineage: what the process that has deferred has handed on for OpenLineage.
        :param try_number: the try that has deferred; ``airflow dags test`` and ``DAG.test`` do not hand it on.
        """
        from airflow_provider_catalog.api.errors import LostSightError
        from airflow_provider_catalog.triggers.batch import Outcome

        if try_number not in (None, context["ti"].try_number):
            # Airflow 3.0 takes a retry back to where the try before it has failed, with that one's event.
            return self.execute(context)
        outcome, message, summary = Outcome(event["outcome"]), event["message"], event["summary"]
        self._notes.go_on(lineage, event)
        if outcome is Outcome.PROMOTED:
            self.log.info(message)
            with self._softly(), failing_fast(), leaving_summary(context):
                return self._accept(context, event)
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

    def _look(self, context: Context) -> PokeReturnValue:
        from airflow_provider_catalog.api.errors import BatchError, CatalogError, InvalidInputError

        watch = self._watch(context)
        if watch.quiet_seconds > 0:
            return PokeReturnValue(is_done=False)
        try:
            return self._read(context)
        except (InvalidInputError, BatchError):
            raise
        except CatalogError as error:
            watch.missed(error, time.time())
            return PokeReturnValue(is_done=False)

    def _defer(self, context: Context) -> NoReturn:
        now = time.time()
        limit = self.execution_timeout
        self.defer(
            trigger=self._trigger(
                context,
                deadline=now + self.timeout,
                hard_deadline=now + limit.total_seconds() if limit is not None else None,
            ),
            method_name="execute_complete",
            kwargs={"try_number": context["ti"].try_number, **self._lineage_arguments},
            timeout=timedelta(seconds=self.timeout + BACKSTOP_SECONDS),
        )
