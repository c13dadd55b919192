"""What `make demo` tells of the platform's request log, and that it leaves nothing running."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import demo
import psutil
import pytest

BATCHES = "/data/foundation/import/batches"


def request(n: int, method: str, path: str, status: int | None = 200, size: int = 0) -> dict[str, Any]:
    return {"n": n, "method": method, "path": path, "status": status, "request_size": size}


FILE = f"{BATCHES}/B1/datasets/D1/files/part=1/rows.json"
CREATED = request(1, "POST", BATCHES, 201)
UPLOADED = request(2, "PUT", FILE, size=1234)
COMPLETED = request(3, "POST", f"{BATCHES}/B1")


def test_each_step_of_the_chain_is_told() -> None:
    assert list(demo.steps([CREATED, UPLOADED, COMPLETED], iter(["B1"]))) == [
        (1, "open_batch  batch B1 is open"),
        (2, "upload      part=1/rows.json, 1,234 bytes"),
        (3, "complete    all files are there, the platform may go on"),
    ]


def test_a_large_file_is_told_chunk_by_chunk() -> None:
    begun, ended = request(2, "POST", FILE, 201), request(4, "POST", FILE, 201)
    chunk = request(3, "PATCH", FILE, size=64_000_000)
    assert list(demo.steps([CREATED, begun, chunk, ended], iter(["B1"]))) == [
        (1, "open_batch  batch B1 is open"),
        (3, "upload      a chunk of part=1/rows.json, 64,000,000 bytes"),
    ]


def test_what_is_under_way_is_told_when_it_is_done_whatever_was_done_before() -> None:
    under_way = request(2, "PUT", FILE, None)
    later = request(3, "PUT", FILE, size=99)
    assert [number for number, _ in demo.steps([CREATED, under_way, later], iter(["B1"]))] == [1, 3]


def test_nothing_is_told_before_the_catalog_shows_the_batch() -> None:
    assert list(demo.steps([CREATED, UPLOADED], iter([]))) == []


def test_looks_and_refused_requests_are_no_steps() -> None:
    look = request(1, "GET", "/data/foundation/catalog/batches/B1")
    refused = request(2, "PUT", f"{BATCHES}/B1/datasets/D1/files/rows.json", 503)
    assert list(demo.steps([look, refused], iter(["B1"]))) == []


def test_a_relative_file_starts_where_make_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEMO_FOLDER", str(tmp_path))
    monkeypatch.setenv("DEMO_FILE", "my rows.json")
    assert demo.chosen_file() == tmp_path / "my rows.json"


def test_without_a_name_the_examples_file_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_FILE", "")
    assert demo.chosen_file() == demo.DEFAULT_FILE


def test_counts_are_told_only_where_the_platform_gives_them() -> None:
    counts = {"records_read": 3, "records_written": 2, "records_failed": 1}
    assert demo.in_words(counts) == "3 read, 2 written, 1 failed"
    assert demo.in_words(dict.fromkeys(counts)) == "not counted by the platform for this format"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-C", "kill"])
@pytest.mark.parametrize("programs", [1, 2], ids=["emulator", "airflow"])
def test_an_interrupted_demo_leaves_nothing_running(programs: int, number: int, tmp_path: Path) -> None:
    environ = os.environ | {"DEMO_FILE": "", "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, demo.__file__], env=environ, stdout=subprocess.DEVNULL) as running:
        wait_for_programs(programs, tmp_path, besides=running.pid)
        running.send_signal(number)
        assert running.wait(30) == 130
    assert not programs_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


def wait_for_programs(number: int, folder: Path, besides: int) -> None:
    """Wait until the demo has started so many programs: the emulator, then Airflow."""
    deadline = time.monotonic() + 30
    while len([program for program in programs_in(folder) if program.pid != besides]) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def programs_in(folder: Path) -> list[psutil.Process]:
    """Return the running programs whose temporary files lie in the folder."""
    found = []
    for program in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if program.environ().get("TMPDIR") == str(folder):
                found.append(program)
    return found
