"""Two processes that run the same logical attempt at the same time end well, with one promoted batch between them.

That happens when the process that supervises the first try has died: the second one starts while the first is still at work.
Every request, and every pause, is held back and let go in an order that a seed decides.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from desk import Desk
from outcomes import assert_one_batch
from tries import StartTry, Walk

ORDERS = 10
OPENING = "POST /data/foundation/import/batches"
LOST_ANSWER = {"drop": "after"}


@pytest.mark.parametrize("lag", [0.0, 0.3, 2.0, 4.9])
def test_two_processes_agree_on_one_batch(
    lag: float, desk: Desk, files: Path, start_try: StartTry, subtests: pytest.Subtests
) -> None:
    orders: set[tuple[tuple[int, str], ...]] = set()
    for seed in range(2 * ORDERS):
        if len(orders) == ORDERS:
            break
        with subtests.test(f"seed {seed}"):
            walk = walk_together(random.Random(seed), lag, desk, files, start_try)
            orders.add(tuple(walk.taken))
            assert len(walk.reports) == 2
            assert_one_batch(desk, walk.reports)
            assert max(Counter(walk.taken)[number, OPENING] for number in (1, 2)) == 1, "one has opened two"
    openings = [sum(step == OPENING for _, step in order) for order in orders]
    assert len(orders) == ORDERS, "the seeds lead to too few different orders"
    assert sum(number >= 2 for number in openings) >= ORDERS / 3, "too few open two batches"


def set_up(desk: Desk, lag: float) -> None:
    """Start anew, with a promotion that takes a while."""
    desk.reset()
    desk.freeze()
    desk.set(catalog_lag=lag, promotion_seconds=10)


def walk_together(chance: random.Random, lag: float, desk: Desk, files: Path, start_try: StartTry) -> Walk:
    """Let two tries run, in turns of any length; in half of all cases both have looked before either opens a batch."""
    set_up(desk, lag)
    walk = Walk(desk)
    for number in (1, 2):
        walk.enter(number, start_try(files, number))
    if chance.random() < 0.5:
        for number in (1, 2):
            while walk.standing[number] != OPENING:
                walk.go_on(number)
    restlessness = chance.choice([0.1, 0.3, 0.6])
    answers_to_lose = chance.choice([0, 0, 1, 2])
    while walk.standing:
        if number not in walk.standing or chance.random() < restlessness:
            number = chance.choice(sorted(walk.standing))
        is_lost = walk.standing[number] == OPENING and answers_to_lose > 0
        answers_to_lose -= is_lost
        desk.advance(chance.uniform(0, 0.3))
        walk.go_on(number, LOST_ANSWER if is_lost else None)
    return walk


def test_one_that_was_held_up_before_its_opening_finds_the_batch_that_came_after_a_failed_one(
    desk: Desk, files: Path, start_try: StartTry
) -> None:
    """By then the batch of the second try was aborted by hand, and the third one has another external id."""
    set_up(desk, lag=0.3)
    walk = Walk(desk)
    walk.enter(1, start_try(files, 1))
    while walk.standing[1] != OPENING:
        walk.go_on(1)
    walk.enter(2, start_try(files, 2))
    while "PUT" not in walk.standing[2]:
        walk.go_on(2)
    desk.hold(desk.batches()[0].id, "aborted")
    while 2 in walk.standing:
        walk.go_on(2)
    assert "BatchLostError" in str(walk.reports.pop().failure)
    desk.advance(60)
    walk.enter(3, start_try(files, 3))
    while 3 in walk.standing:
        walk.go_on(3)
    while walk.standing:
        walk.go_on(1)
    assert_one_batch(desk, walk.reports)
