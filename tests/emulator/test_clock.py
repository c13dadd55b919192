"""The emulator's time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import requests

from airflow_provider_catalog.emulator.clock import FASTEST, Clock
from airflow_provider_catalog.emulator.server import Emulator

from .client import Client


class RealTime:
    """Stands in for the computer's clock."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def real() -> RealTime:
    return RealTime()


@pytest.fixture
def clock(real: RealTime) -> Clock:
    return Clock(real=real)


def test_time_is_real_time_plus_what_was_added(clock: Clock, real: RealTime) -> None:
    clock.advance(50)
    real.now += 5
    assert (clock.now(), clock.offset) == (1_055, 50)


def test_frozen_time_still_advances_by_hand(clock: Clock, real: RealTime) -> None:
    clock.freeze(True)
    real.now += 5
    clock.advance(1)
    assert clock.now() == 1_001
    clock.freeze(False)
    real.now += 5
    assert clock.now() == 1_006


def test_time_can_run_faster_without_a_jump(clock: Clock, real: RealTime) -> None:
    clock.set_rate(60)
    assert clock.now() == 1_000
    real.now += 1
    assert clock.now() == 1_060
    clock.set_rate(1)
    real.now += 1
    assert clock.now() == 1_061


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e15])
def test_time_does_not_go_back_or_out_of_bounds(clock: Clock, seconds: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        clock.advance(seconds)
    with pytest.raises(ValueError, match="forward"):
        clock.set_rate(seconds)


def test_time_stands_still_at_the_end_of_the_year_9999(clock: Clock, real: RealTime) -> None:
    clock.set_rate(FASTEST)
    real.now += 1_000
    assert datetime.fromtimestamp(clock.now(), UTC).year == 9999
    clock.advance(0)
    with pytest.raises(ValueError, match="9999"):
        clock.advance(1)


def test_the_clock_is_steered_over_http(api: Client) -> None:
    before = api.steer("clock", method="GET")
    assert before["frozen"] is True
    after = api.steer("clock", {"advance": 12.5})
    assert after["now"] - before["now"] == pytest.approx(12.5)
    assert api.steer("clock", {"freeze": False, "set_rate": 100})["speed"] == 100


@pytest.mark.parametrize("body", [{}, {"advance": -1}, {"advance": "1"}, {"back": 1}, {"freeze": 1}, []])
def test_a_senseless_request_to_the_clock_is_refused(api: Client, body: object) -> None:
    assert requests.post(f"{api.url}/__emulator__/clock", json=body, timeout=10).status_code == 400


@pytest.mark.parametrize(
    "change",
    [{"advance": 1e12}, {"advance": 1e308}, {"advance": 10**400}, {"set_rate": 1e10}, {"set_rate": 10**400}],
    ids=["year 33000", "large", "larger than a float", "fast", "faster than a float"],
)
def test_a_clock_that_would_leave_all_calendars_is_left_alone(api: Client, change: dict[str, float]) -> None:
    before = api.steer("clock", method="GET")
    answer = requests.post(f"{api.url}/__emulator__/clock", json={"freeze": False, **change}, timeout=10)
    assert answer.status_code == 400
    after = api.steer("clock", method="GET")
    assert [after[name] for name in ("now", "frozen")] == [before["now"], True]
    assert requests.get(api.url, timeout=10).status_code == 200


def test_pages_can_be_read_at_the_end_of_all_calendars(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    emulator.platform.clock = Clock(offset=1e15)
    for path in ("/", f"/ui/dev/batches/{batch_id}"):
        answer = requests.get(f"{api.url}{path}", timeout=10)
        assert (answer.status_code, "9999-12-31" in answer.text) == (200, True)
