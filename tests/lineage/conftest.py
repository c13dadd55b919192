"""What these tests share: the stage of Airflow's side, and OpenLineage as far as it is installed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow_stage import *  # noqa: F403
from tasks import Visit

NOT_INSTALLED = "needs apache-airflow-providers-openlineage: airflow-provider-catalog[openlineage]"


@pytest.fixture
def openlineage() -> None:
    """OpenLineage is installed."""
    pytest.importorskip("airflow.providers.openlineage", reason=NOT_INSTALLED)


@pytest.fixture
def told(openlineage: None) -> Callable[..., Any]:
    """`told(visit)` asks a task for its lineage as OpenLineage's listener does after success, and gives it as it is sent.

    `told(visit, "start")` and `told(visit, "failure")` are for the other moments.
    """
    return _told


def _told(visit: Visit, moment: str = "complete") -> Any:
    from openlineage.client.serde import Serde

    ask = getattr(visit.worker_task, f"get_openlineage_facets_on_{moment}")
    lineage = ask() if moment == "start" else ask(visit)
    return json.loads(Serde.to_json(lineage))


@pytest.fixture
def listening(openlineage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenLineage's listener is loaded, as it is in a worker where it is not switched off."""
    import airflow.providers.openlineage.plugins.listener  # noqa: F401
