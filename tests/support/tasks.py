"""Runs a task in this process, step by step the way Airflow's workers and triggerers do, without their database.

Each visit to a worker has an operator of its own, whatever a trigger and its event hold goes through JSON, and
what would be a retry is left to the test.
"""

import asyncio
import importlib.util
import json
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator, TaskDeferred

IS_AIRFLOW_2 = importlib.util.find_spec("airflow.sdk") is None

if IS_AIRFLOW_2:
    from airflow.exceptions import AirflowRescheduleException
else:
    from airflow.sdk.exceptions import AirflowRescheduleException


class Visit:
    """The task instance of one try: remembers what is pushed to XCom, and how often the task came back."""

    dag_id = "dag"
    task_id = "task"
    run_id = "run"
    map_index = -1
    try_number = 1

    def __init__(self, task: BaseOperator) -> None:
        self.task = task
        self.max_tries = task.retries
        self.xcoms: dict[str, Any] = {}
        self.deferrals: list[TaskDeferred] = []
        self.reschedules: list[datetime] = []

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
    visit = Visit(task)
    context: Any = {"ti": visit, "task_instance": visit, "params": params, "run_id": "run"}
    step, event = "execute", None
    while True:
        try:
            result = _work(task, context, step, event)
        except TaskDeferred as deferral:
            visit.deferrals.append(deferral)
            step, event = deferral.method_name, fire(deferral.trigger)
        except AirflowRescheduleException:
            visit.reschedules.append(datetime.now(UTC))
        else:
            visit.xcom_push("return_value", result)
            return visit


def _work(task: BaseOperator, context: Any, step: str, event: Any) -> Any:
    worker_task = task.prepare_for_execution()
    worker_task.render_template_fields(context)
    if step == "execute":
        return worker_task.execute(context)
    return worker_task.resume_execution(step, {"event": event}, context)


def restored(trigger: Any) -> Any:
    """Give the trigger as another triggerer would have it: from its class path and its stored arguments."""
    path, arguments = trigger.serialize()
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))


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
