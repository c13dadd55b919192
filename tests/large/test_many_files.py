"""As many files as a batch may have are planned, uploaded and promoted with few threads and connections, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Cost, Platform, emulator, ingest

MOST_FILES = 25_000
PARALLEL = 4
MOST_PEAK = 350_000_000
MOST_THREADS = PARALLEL + 16

# Besides uploads: looks at the batch, its opening, its completion.
OTHER_REQUESTS = 60


@pytest.fixture
def platform(folder: Path) -> Iterator[Platform]:
    with emulator(folder / "platform", promotion_seconds=0) as running:
        yield running


def write_files(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        row = f'{{"person": {{"name": {{"firstName": "{number:05}"}}}}}}\n'
        (folder / f"{number:05}.json").write_text(row)
    return folder


@pytest.mark.parametrize("count", [1500, MOST_FILES])
@pytest.mark.parametrize("coalesce", [False, True], ids=["as they are", "joined"])
def test_a_folder_is_promoted(
    count: int, coalesce: bool, folder: Path, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_files(folder / "files", count)
    cost = ingest(platform, files, parallel=PARALLEL, coalesce=coalesce)
    assert (cost.result["status"], cost.result["records_written"]) == ("success", count)
    sent = platform.sent()
    methods = Counter(each["method"] for each in sent)
    connections = {each["connection"] for each in sent}
    with capsys.disabled():
        figures = f"{cost.peak / 1e6:.0f} MB, {cost.threads} threads, {len(connections)} connections"
        print(f"\n{count} files: {figures}, {dict(methods)}", end=" ")
    assert methods["PUT"] == (1 if coalesce else count)
    assert len(sent) - methods["PUT"] <= OTHER_REQUESTS
    assert len(connections) <= PARALLEL + 1
    check_bounds(cost)


def test_one_file_too_many_is_refused_before_anything_is_sent(folder: Path, platform: Platform) -> None:
    files = write_files(folder / "files", MOST_FILES + 1)
    cost = ingest(platform, files)
    assert "at most 25,000 files in a batch" in cost.result["failure"]
    assert platform.sent() == []
    check_bounds(cost)


def check_bounds(cost: Cost) -> None:
    assert cost.peak < MOST_PEAK
    assert cost.threads <= MOST_THREADS
