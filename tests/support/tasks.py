"""Runs a task in this process, step by step the way Airflow's workers and triggerers do, without their database.

Each visit to a worker has an operator of its own, whatever a trigger and its event hold goes through JSON, and
what would be a retry is left to the test.
"""

import asyncio
import importlib.util
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator, TaskDeferred

IS_AIRFLOW_2 = importlib.util.find_spec("airflow.sdk") is None

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # before 3.2
    from airflow.exceptions import AirflowRescheduleException


@dataclass(frozen=True)
class Run:
    """A run of the DAG, as a task finds it in its context.

    :param run_id: its name.
    :param start_date: when Airflow has started it, or started it anew after a clear.
    """

    run_id: str = "run"
    start_date: datetime = datetime(2026, 1, 1, 4, 30, tzinfo=UTC)


class Visit:
    """The task instance of one try: remembers what is pushed to XCom, what its outlets tell, how often it came back, and what the
    operator of its last visit to a worker knows.

    :param task: its task.
    :param try_number: which try it is, counted over all clears.
    :param clears: how many tries were made before the last clear; 0 if there was none.
    :param map_index: which instance of a mapped task.
    """

    dag_id = "dag"

    def __init__(
        self,
        task: BaseOperator,
        run: Run,
        *,
        try_number: int = 1,
        clears: int = 0,
        map_index: int = -1,
    ) -> None:
        self.task = task
        self.task_id = task.task_id
        self.run_id = run.run_id
        self.dag_run = run
        self.try_number = try_number
        self.map_index = map_index
        self.max_tries = clears + task.retries
        self.xcoms: dict[str, Any] = {}
        self.outlet_events = _new_outlet_events()
        self.deferrals: list[TaskDeferred] = []
        self.reschedules: list[datetime] = []
        self.worker_task: Any = None

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.reschedules[0] if self.reschedules else None


def dag(dag_id: str = "dag", **arguments: Any) -> DAG:
    """A DAG for tasks that run here."""
    return DAG(dag_id=dag_id, schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC), **arguments)


def run_task(task: BaseOperator, **params: Any) -> Visit:
    """Run one try of a task to its end; its return value is the XCom ``return_value``.

    :param task: the operator or sensor.
    :param params: what its templates find in ``params``.
    """
    return run_try(Visit(task, Run()), **params)


def run_try(visit: Visit, *, data_interval_start: datetime | None = None, **params: Any) -> Visit:
    """Run the try of a task instance to its end; what it has handed on is in the visit also if it fails.

    :param data_interval_start: where the run's data interval begins, if it has one.
    """
    task = visit.task
    context: Any = {
        "ti": visit,
        "task_instance": visit,
        "dag_run": visit.dag_run,
        "params": params,
        "run_id": visit.run_id,
        "outlet_events": visit.outlet_events,
    }
    if data_interval_start is not None:
        context["data_interval_start"] = data_interval_start
    step, arguments = "execute", {}
    while True:
        try:
            result = _work(task, context, step, arguments)
        except TaskDeferred as deferral:
            visit.deferrals.append(deferral)
            step = deferral.method_name
            arguments = {**json.loads(json.dumps(deferral.kwargs or {})), "event": fire(deferral.trigger)}
        except AirflowRescheduleException:
            visit.reschedules.append(datetime.now(UTC))
        else:
            visit.xcom_push("return_value", result)
            return visit


def _work(task: BaseOperator, context: Any, step: str, arguments: dict[str, Any]) -> Any:
    worker_task = context["ti"].worker_task = task.prepare_for_execution()
    worker_task.render_template_fields(context)
    if step == "execute":
        return worker_task.execute(context)
    return worker_task.resume_execution(step, arguments, context)


def restored(trigger: Any) -> Any:
    """Give the trigger as another triggerer would have it: from its class path and its stored arguments."""
    return restored_from(*json.loads(json.dumps(trigger.serialize())))


def restored_from(path: str, arguments: dict[str, Any]) -> Any:
    """Make a trigger from its class path and its arguments."""
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(**arguments)


def fire(trigger: Any) -> Any:
    """Run a trigger in an event loop of its own until its event, and give the payload."""
    return asyncio.run(first_event(restored(trigger)))


async def first_event(trigger: Any) -> Any:
    """Give the payload of a trigger's first event, through JSON."""
    events = trigger.run()
    try:
        event = await anext(events)
    finally:
        await events.aclose()
    return json.loads(json.dumps(event.payload))


def _new_outlet_events() -> Any:
    """Give what a task finds in its context to tell something in the events of its outlets."""
    module = "airflow.utils.context" if IS_AIRFLOW_2 else "airflow.sdk.execution_time.context"
    return importlib.import_module(module).OutletEventAccessors()
