"""The emulator's time."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_catalog.emulator.clock import Clock

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


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_does_not_go_back_or_out_of_bounds(clock: Clock, seconds: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        clock.advance(seconds)
    with pytest.raises(ValueError, match="forward"):
        clock.set_rate(seconds)


def test_the_clock_is_steered_over_http(api: Client) -> None:
    before = api.steer("clock", method="GET")
    assert before["frozen"] is True
    after = api.steer("clock", {"advance": 12.5})
    assert after["now"] - before["now"] == pytest.approx(12.5)
    assert api.steer("clock", {"freeze": False, "set_rate": 100})["speed"] == 100


@pytest.mark.parametrize("body", [{}, {"advance": -1}, {"advance": "1"}, {"back": 1}, {"freeze": 1}, []])
def test_a_senseless_request_to_the_clock_is_refused(api: Client, body: object) -> None:
    assert requests.post(f"{api.url}/__emulator__/clock", json=body, timeout=10).status_code == 400
