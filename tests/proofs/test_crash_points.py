"""Whenever the process of a try is killed, the next try finishes what it has begun: one promoted batch, each row once.

The points at which it is killed are those of an undisturbed try: each of its requests, its pauses, and its end.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from desk import Desk
from outcomes import FILES, assert_one_batch
from tries import PAUSES, PAUSING, StartTry, Walk, without_ids

LAGS = (0.3, 4.9)
RETRY_DELAY = 1.0
NO_ARRIVAL = {"drop": "before"}

MOST_STEPS = 20
CHAINS = 12
LONGEST_CHAIN = 4


@dataclass(frozen=True)
class Point:
    """One request of an undisturbed try: the first, second, … of its kind."""

    method: str
    path: str
    earlier: int

    def __str__(self) -> str:
        return f"{self.method} {self.path}, no. {self.earlier + 1}"


@pytest.fixture
def points(desk: Desk, files: Path, start_try: StartTry) -> list[Point]:
    """All requests of an undisturbed try, in order."""
    set_up(desk, LAGS[0])
    assert_one_batch(desk, [start_try(files, 1).report()])
    kinds = [(sent.method, without_ids(sent.path)) for sent in desk.sent()]
    found = [Point(*kind, earlier=kinds[:number].count(kind)) for number, kind in enumerate(kinds)]
    assert len([point for point in found if point.method == "PUT"]) == len(FILES)
    return found


def set_up(desk: Desk, lag: float) -> None:
    """Start anew, with a promotion that is waited for in several looks."""
    desk.reset()
    desk.freeze()
    desk.set(catalog_lag=lag, promotion_seconds=30)


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("stage", ["before", "after"])
def test_the_next_try_finishes_what_a_killed_one_has_begun(
    stage: str,
    lag: float,
    desk: Desk,
    files: Path,
    start_try: StartTry,
    points: list[Point],
    subtests: pytest.Subtests,
) -> None:
    """The request that the process dies with is lost (``before``), or it is worked on and nobody hears of it (``after``)."""
    for point in points:
        if stage == "after" and point.path in PAUSES:
            continue
        with subtests.test(f"killed {stage} {point}"):
            set_up(desk, lag)
            desk.hold_requests(stage, point.path, method=point.method, skip=point.earlier)
            killed = start_try(files, 1)
            [held] = desk.held()
            killed.kill()
            desk.work_off(held, NO_ARRIVAL if stage == "before" else None)
            desk.advance(RETRY_DELAY)
            batch = assert_one_batch(desk, [start_try(files, 2).report()])
            lost = {held["path"]} if stage == "before" else set()
            assert_uploaded_once(desk, batch.id, lost)
            if lag < RETRY_DELAY:
                assert len(desk.batches()) == 1, "what the Catalog shows is not found"


def assert_uploaded_once(desk: Desk, batch_id: str, lost: set[str]) -> None:
    """No file was sent again into a batch that it had arrived in; those of the promoted one are all there."""
    uploads = Counter(sent.path for sent in desk.sent("PUT"))
    uploads.subtract(lost & set(uploads))
    assert max(uploads.values()) == 1, uploads
    assert len([path for path in uploads if batch_id in path]) == len(FILES)


@pytest.mark.parametrize("seed", range(CHAINS))
def test_several_tries_may_be_killed_one_after_the_other(
    seed: int, desk: Desk, files: Path, start_try: StartTry
) -> None:
    chance = random.Random(seed)
    set_up(desk, chance.choice(LAGS))
    walk = Walk(desk)
    for number in range(1, chance.randint(3, LONGEST_CHAIN)):
        walk.enter(number, start_try(files, number))
        for _ in range(chance.randrange(MOST_STEPS)):
            if walk.standing:
                walk.go_on(number)
        if walk.standing:
            walk.kill(number)
            walk.let_arrive(number, chance.choice([NO_ARRIVAL, None]))
        desk.advance(RETRY_DELAY)
    walk.enter(LONGEST_CHAIN, start_try(files, LONGEST_CHAIN))
    while walk.standing:
        walk.go_on(LONGEST_CHAIN)
    assert_one_batch(desk, walk.reports)


@pytest.mark.parametrize(
    ("step", "stride"),
    [("POST */import/batches", 1), ("PUT */b.json", 3), ("POST */import/batches/* COMPLETE", 1)],
    ids=["opening", "upload", "completion"],
)
def test_what_a_killed_try_has_sent_may_arrive_at_any_time(
    step: str, stride: int, desk: Desk, files: Path, start_try: StartTry, subtests: pytest.Subtests
) -> None:
    """It arrives before the first step of the next try, the second, and so on, and after the last one."""
    for steps in range(0, MOST_STEPS, stride):
        with subtests.test(f"after {steps} steps"):
            set_up(desk, LAGS[0])
            walk = Walk(desk)
            walk.enter(1, start_try(files, 1))
            while not fnmatchcase(walk.standing[1], step):
                walk.go_on(1)
            walk.kill(1)
            walk.taken.clear()
            desk.advance(RETRY_DELAY)
            walk.enter(2, start_try(files, 2))
            while walk.standing and len(walk.taken) < steps:
                walk.go_on(2)
            known = {batch.id for batch in desk.batches()}
            walk.let_arrive(1)
            # When the pause before the last look has begun, whatever opens a batch comes too late to be noticed.
            is_too_late = (2, PAUSING) in walk.taken
            may_be_open = {batch.id for batch in desk.batches()} - known if is_too_late else set()
            while walk.standing:
                walk.go_on(2)
            assert_one_batch(desk, walk.reports, may_be_open=may_be_open)
        if len(walk.taken) < steps:
            break
