"""What it means that Airflow calls the ``on_kill`` of a trigger."""

from __future__ import annotations

from typing import Any

GOING_ON = frozenset({"success", "deferred"})


async def is_killed(task_instance: Any) -> bool:
    """Whether the task was cleared, marked failed, or ended in another way that makes its work useless.

    Airflow 3.3 calls ``on_kill`` of each running trigger that its triggerer is no longer responsible for. So it does when
    somebody marks the task as a success, and also when another triggerer has taken the trigger over because this one was
    silent for longer than ``[triggerer] triggerer_health_check_threshold`` (https://github.com/apache/airflow/pull/73454).
    Only the task's state tells.

    :param task_instance: the one that Airflow has given to the trigger.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from asgiref.sync import sync_to_async

    states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
        dag_id=task_instance.dag_id,
        run_ids=[task_instance.run_id],
        task_ids=[task_instance.task_id],
        map_index=task_instance.map_index,
    )
    # The whole run may have been deleted.
    return all(state not in GOING_ON for state in states.get(task_instance.run_id, {}).values())
