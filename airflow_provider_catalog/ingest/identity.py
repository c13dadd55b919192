"""Who a batch belongs to: the logical attempt of a task, and the external id and tags that follow from it.

A *logical attempt* is all that Airflow does for one task instance between two clears, however many tries, workers and restarts
that takes. All of its tries must come to the same id, and nobody else may. What the id is made of:

=====================  ===============================  =============================================================
part                   from the task's context          what it tells apart
=====================  ===============================  =============================================================
dag, run, task         ``ti.dag_id, run_id, task_id``   tasks
map index              ``ti.map_index``                 the instances of a mapped task
dataset, sandbox       the arguments, the connection    loads into several places by one task
credential             ``x-api-key``                    deployments of Airflow that have their own
start of the run       ``dag_run.start_date``           deployments that run the same DAG and run id; clears of
                                                        a finished run, which Airflow starts anew
clears                 ``ti.max_tries - task.retries``  clears of a task while its run goes on
=====================  ===============================  =============================================================

At a clear Airflow sets ``max_tries`` to the tries made so far plus ``retries``, so the difference stays the same over all
retries and grows with each clear. ``dag_run.start_date`` is set when a run begins, and again only when a finished run is
cleared. Neither the try's number nor ``ti.id`` is a part, since each try has its own. Nothing is random, and nothing is stored.

The *owner* is the task instance without the last two parts: what it loaded before a clear can be found by it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.settings import PlatformSettings

OWNER_TAG = "airflow_owner"
ATTEMPT_TAG = "airflow_attempt"
DIGEST_LENGTH = 32

PROCESS_STARTED = datetime.now(UTC)


@dataclass(frozen=True)
class LogicalAttempt:
    """One logical attempt of one task instance to load one dataset.

    :param dag_id: the DAG.
    :param run_id: its run.
    :param task_id: the task.
    :param map_index: which instance of a mapped task, -1 if it is not mapped.
    :param dataset_id: the dataset that is loaded.
    :param sandbox_name: the sandbox that the dataset lies in.
    :param client_id: the credential.
    :param run_started: when Airflow started the run.
    :param clears: Airflow's count that grows with each clear of the task; 0 before the first one.
    :param chosen_id: the user's own external id, used in place of a derived one.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    dataset_id: str
    sandbox_name: str
    client_id: str
    run_started: datetime | None
    clears: int
    chosen_id: str | None = None

    @classmethod
    def of(
        cls,
        context: Mapping[str, Any],
        settings: PlatformSettings,
        dataset_id: str,
        chosen_id: str | None = None,
    ) -> LogicalAttempt:
        """Read it off the context of a running task.

        :param context: Airflow's context of the task.
        :param settings: where the batch will lie, and whose credential opens it.
        :param dataset_id: the dataset.
        :param chosen_id: the user's own external id, if there is one.
        """
        ti, dag_run = context["ti"], context["dag_run"]
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=ti.map_index,
            dataset_id=dataset_id,
            sandbox_name=settings.sandbox_name,
            client_id=settings.client_id,
            run_started=_start_of(dag_run),
            clears=ti.max_tries - ti.task.retries,
            chosen_id=chosen_id,
        )

    @property
    def owner(self) -> str:
        """A digest of the task instance, the same before and after a clear."""
        return digest(*self._owner)

    @property
    def attempt(self) -> str:
        """A digest of the logical attempt."""
        started = self.run_started.astimezone(UTC).isoformat() if self.run_started else None
        return digest(*self._owner, started, self.clears)

    def external_id(self, number: int) -> str:
        """Give the external id of the attempt's first, second, … batch. There is a second one if the first one failed."""
        if self.chosen_id is None:
            return f"airflow-{self.attempt}-{number}"
        return self.chosen_id if number == 1 else f"{self.chosen_id}-{number}"

    @property
    def tags(self) -> dict[str, list[str]]:
        """The tags by which a batch's owner is found: for people in plain words, for look-ups as digests."""
        values = {
            "airflow_dag_id": self.dag_id,
            "airflow_run_id": self.run_id,
            "airflow_task_id": self.task_id,
            "airflow_map_index": str(self.map_index),
            OWNER_TAG: self.owner,
            ATTEMPT_TAG: self.attempt,
        }
        return {name: [value] for name, value in values.items()}

    @property
    def _owner(self) -> tuple[str | int, ...]:
        place = (self.client_id, self.sandbox_name, self.dataset_id)
        return (self.dag_id, self.run_id, self.task_id, self.map_index, *place)


def _start_of(dag_run: Any) -> datetime | None:
    """Give when a run has started.

    ``airflow dags test`` takes the logical date for that. On Airflow 2.11 all tests of a date have the same run id as well, and
    would go on with the first one's batch; all tries of one of them are made by one process, whose own start tells them apart.
    """
    started: datetime | None = dag_run.start_date
    is_test = started is not None and started == getattr(dag_run, "logical_date", None)
    return PROCESS_STARTED if is_test else started


def digest(*parts: Any) -> str:
    """Give a short text that stands for some JSON values, and for no others."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def with_own_tags(payload: Mapping[str, Any], own: Mapping[str, list[str]]) -> dict[str, Any]:
    """Add tags of this package to the body of ``POST /batches``.

    :raises InvalidInputError: the user has set one of them.
    """
    tags = payload.get("tags", {})
    taken = sorted(set(tags) & set(own))
    if taken:
        raise InvalidInputError("tags", taken, "other names: these are set to tell whose batch it is")
    return {**payload, "tags": {**tags, **own}}
