"""Whenever the process of a try is killed, the next try finishes what it has begun: one promoted batch, each row once.

The points at which it is killed are those of an undisturbed try: each of its requests, its pauses, and its end. One of its files
is cut into parts; in a proof of its own it goes in chunks, and of those the next try sends only the ones that are missing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from outcomes import assert_one_batch
from tries import PAUSES, PAUSING, StartTry, Walk, Way, without_ids

LAGS = (0.3, 4.9)
RETRY_DELAY = 1.0
NO_ARRIVAL = {"drop": "before"}

# The last file, of 129 bytes, is large.
IN_PARTS = Way("json", small_file_limit=100)
PARTS = ("a.json", "b.json", "c.part-00001-of-00002.json", "c.part-00002-of-00002.json")
IN_CHUNKS = Way("multiline-json", small_file_limit=100, chunk_bytes=50)
CALLS_OF_CHUNKS = ["HEAD", "POST", "PATCH", "PATCH", "PATCH", "HEAD", "POST"]
CHUNKS = ("bytes 0-49/129", "bytes 50-99/129", "bytes 100-128/129")

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


FindPoints = Callable[[Way], list[Point]]


@pytest.fixture
def find_points(desk: Desk, files: Path, start_try: StartTry) -> FindPoints:
    """``find_points(way)`` gives all requests of an undisturbed try, in order."""

    def find(way: Way) -> list[Point]:
        set_up(desk, LAGS[0])
        assert_one_batch(desk, [start_try(files, 1, way).report()])
        kinds = [(sent.method, without_ids(sent.path)) for sent in desk.sent()]
        return [Point(*kind, earlier=count_like(kind, kinds[:number])) for number, kind in enumerate(kinds)]

    return find


def count_like(kind: tuple[str, str], kinds: list[tuple[str, str]]) -> int:
    """Count those that a rule for requests of a kind would strike as well."""
    return sum(method == kind[0] and fnmatchcase(path, kind[1]) for method, path in kinds)


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
    find_points: FindPoints,
    subtests: pytest.Subtests,
) -> None:
    """The request that the process dies with is lost (``before``), or it is worked on and nobody hears of it (``after``)."""
    points = find_points(IN_PARTS)
    assert len([point for point in points if point.method == "PUT"]) == len(PARTS)
    for point in points:
        if stage == "after" and point.path in PAUSES:
            continue
        with subtests.test(f"killed {stage} {point}"):
            set_up(desk, lag)
            held = kill_at(desk, files, start_try, IN_PARTS, stage, point)
            batch = assert_one_batch(desk, [start_try(files, 2, IN_PARTS).report()])
            lost = {held["path"]} if stage == "before" else set()
            assert_uploaded_once(desk, batch.id, lost)
            if lag < RETRY_DELAY:
                assert len(desk.batches()) == 1, "what the Catalog shows is not found"


def kill_at(
    desk: Desk, files: Path, start_try: StartTry, way: Way, stage: str, point: Point
) -> dict[str, Any]:
    """Kill the first try at a point, and let time pass; give the request that it died with."""
    desk.hold_requests(stage, point.path, method=point.method, skip=point.earlier)
    killed = start_try(files, 1, way)
    [held] = desk.held()
    killed.kill()
    desk.work_off(held, NO_ARRIVAL if stage == "before" else None)
    desk.advance(RETRY_DELAY)
    return held


@pytest.mark.parametrize("stage", ["before", "after"])
def test_the_next_try_sends_only_the_chunks_that_are_missing(
    stage: str,
    desk: Desk,
    files: Path,
    start_try: StartTry,
    find_points: FindPoints,
    subtests: pytest.Subtests,
) -> None:
    """Once the platform was told that a file is whole, it can't be asked, and a new batch is needed: that costs a try."""
    points = [
        point for point in find_points(IN_CHUNKS) if point.path.endswith(("/c.json", "/import/batches/*"))
    ]
    assert [point.method for point in points if point.path.endswith("/c.json")] == CALLS_OF_CHUNKS
    end_of_file, end_of_batch = ends = [point for point in points if point.method == "POST"][-2:]
    for point in points:
        with subtests.test(f"killed {stage} {point}"):
            set_up(desk, LAGS[0])
            kill_at(desk, files, start_try, IN_CHUNKS, stage, point)
            report = start_try(files, 2, IN_CHUNKS).report()
            if (stage, point) in (("after", end_of_file), ("before", end_of_batch)):
                assert "FileSpoiledError: c.json can't be completed in this batch" in str(report.failure)
                desk.advance(RETRY_DELAY)
                report = start_try(files, 3, IN_CHUNKS).report()
            batch = assert_one_batch(desk, [report])
            is_lost = (stage, point.method) == ("before", "PATCH")
            assert_chunks_sent_once(desk, batch.id, CHUNKS[point.earlier] if is_lost else None)
    assert point in ends, "the last one was not among them"


def assert_uploaded_once(desk: Desk, batch_id: str, lost: set[str]) -> None:
    """No file was sent again into a batch that it had arrived in; those of the promoted one are all there."""
    uploads = Counter(sent.path for sent in desk.sent("PUT"))
    uploads.subtract(lost & set(uploads))
    assert max(uploads.values()) == 1, uploads
    arrived = [path.partition("/files/")[2] for path in uploads if batch_id in path]
    assert sorted(arrived) == sorted(PARTS)


def assert_chunks_sent_once(desk: Desk, batch_id: str, lost: str | None) -> None:
    """Each chunk of the file was sent once into the promoted batch, but for one that was lost."""
    sent = [each.headers["Content-Range"] for each in desk.sent("PATCH", f"*{batch_id}*")]
    if lost is not None:
        sent.remove(lost)
    assert sent == list(CHUNKS)


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
