"""The stage on which these tests play, and the three ways of waiting."""

from collections.abc import Callable
from typing import Any

import pytest
from airflow_stage import *  # noqa: F403
from modes import MODES
from tasks import Visit, run_task

from airflow_provider_catalog.sensors import batch as sensors
from airflow_provider_catalog.sensors import waiting

Wait = Callable[..., Visit]


def waiting_in(mode: str) -> Wait:
    """Give a function that runs a sensor in a mode, looking often."""

    def wait(batch_id: str, **arguments: Any) -> Visit:
        settings = {"poke_interval": 0.02, "timeout": 20, **MODES[mode], **arguments}
        return run_task(sensors.BatchSensor(task_id="wait", batch_id=batch_id, **settings))

    return wait


@pytest.fixture(params=MODES)
def wait(request: pytest.FixtureRequest) -> Wait:
    """Runs the sensor to its end, in each mode."""
    if request.param == "reschedule":
        request.getfixturevalue("airflow_db")  # where Airflow 2 looks for the first reschedule
    return waiting_in(request.param)


@pytest.fixture(params=["poke", "deferrable"])
def wait_on(request: pytest.FixtureRequest) -> Wait:
    """Runs the sensor to its end, in the modes that remember from look to look what they have seen."""
    return waiting_in(request.param)


@pytest.fixture
def wait_deferred() -> Wait:
    """Runs the sensor to its end, in the triggerer."""
    return waiting_in("deferrable")


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a refusal lasts is looked at soon."""
    monkeypatch.setattr(waiting, "CONFIRMATION_PAUSE", 0.02)
