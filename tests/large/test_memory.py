"""How much memory an upload takes does not depend on how much is uploaded, wherever it comes from and however it goes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from processes import JSON_LINES, Cost, discard_server, stream_server, upload
from streams import BLOCK, LINE

SMALL, LARGE = 100_000_000, 5_000_000_000
MOST_GROWTH = 64_000_000
SMALL_FILE = 1_000_000
CSV = {"format": "csv"}
PARQUET = {"format": "parquet"}


class Case(NamedTuple):
    """A way in which files are uploaded.

    :param source: where they lie.
    :param input_format: of what they are; it decides how large ones go.
    :param options: how they are uploaded.
    """

    source: str
    input_format: dict[str, Any]
    options: dict[str, Any]

    def __str__(self) -> str:
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.source} {self.input_format['format']} {options}"


CASES = [
    Case("one file", JSON_LINES, {"parallel": 1, "in_one_request": True}),
    *(Case("one file", JSON_LINES, {"parallel": parallel}) for parallel in (1, 4, 16)),
    *(Case("one file", PARQUET, {"parallel": parallel}) for parallel in (1, 4, 16)),
    Case("small files", JSON_LINES, {"parallel": 4}),
    *(Case("small files", JSON_LINES, {"parallel": parallel, "coalesce": True}) for parallel in (1, 4, 16)),
    *(Case("CSV file", CSV, {"parallel": parallel}) for parallel in (1, 4, 16)),
    *(Case("S3", JSON_LINES, {"parallel": parallel}) for parallel in (1, 4, 16)),
    *(Case("S3", PARQUET, {"parallel": parallel}) for parallel in (1, 4, 16)),
    *(Case("web", JSON_LINES, {"parallel": parallel}) for parallel in (1, 4, 16)),
    *(Case("web", PARQUET, {"parallel": parallel}) for parallel in (1, 4, 16)),
    *(Case("web without ranges", JSON_LINES, {"parallel": parallel}) for parallel in (1, 4)),
    Case("web without ranges", PARQUET, {"parallel": 4}),
]


@pytest.fixture(scope="module")
def platform() -> Iterator[str]:
    with discard_server() as url:
        yield url


@pytest.fixture(scope="module")
def streams() -> Iterator[str]:
    with stream_server() as url:
        yield url


class Sources:
    """Where the files lie, by their size. Those of this machine are written when they are wanted, one at a time.

    :param folder: for them.
    :param streams: a server of files of any size.
    """

    def __init__(self, folder: Path, streams: str) -> None:
        self._folder = folder
        self._streams = streams

    def find(self, name: str, size: int) -> str:
        remote = {
            "S3": f"s3://streams@landing/{size}/rows.json",
            "web": f"{self._streams}/landing/{size}/rows.json",
            "web without ranges": f"{self._streams}/whole/{size}/rows.json",
        }
        return remote.get(name) or str(getattr(self, f"_{name.replace(' ', '_').lower()}")(size))

    def _one_file(self, size: int) -> Path:
        return self._written("json", size, b"", BLOCK)

    def _csv_file(self, size: int) -> Path:
        row = b'%s,"quoted, with a line break\n and ""quotes""",%s\n' % (b"a" * 80, b"b" * 80)
        return self._written("csv", size, b"first,second,third\n", memoryview(row * 5000))

    def _written(self, suffix: str, size: int, head: bytes, block: memoryview) -> Path:
        path = self._folder / f"{size}.{suffix}"
        if not path.exists():
            for other in self._folder.glob("*.*"):
                other.unlink()
            with path.open("wb") as file:
                file.write(head)
                while file.tell() < size:
                    file.write(block)
        return path

    def _small_files(self, size: int) -> Path:
        """Many names of one file."""
        folder = self._folder / f"files-{size}"
        if not folder.exists():
            folder.mkdir()
            first = folder / "00000.json"
            first.write_bytes(LINE * (SMALL_FILE // len(LINE)))
            for number in range(1, size // SMALL_FILE):
                os.link(first, folder / f"{number:05}.json")
        return folder


@pytest.fixture(scope="module")
def sources(lasting_folder: Path, streams: str) -> Sources:
    extra = {"endpoint_url": streams, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
    os.environ["AIRFLOW_CONN_STREAMS"] = json.dumps(connection)
    return Sources(lasting_folder, streams)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_memory_grows_by_less_than_64_mb_from_100_mb_to_5_gb(
    case: Case, platform: str, sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(size: int) -> Cost:
        files = sources.find(case.source, size)
        cost = upload(platform, files, input_format=case.input_format, **case.options)
        assert cost.result["bytes"] == pytest.approx(size, rel=0.01)
        return cost

    small, large = measure(SMALL), measure(LARGE)
    growth = large.peak - small.peak
    with capsys.disabled():
        print(
            f"\n{case}: {small.peak / 1e6:.0f} MB, {large.peak / 1e6:.0f} MB, {growth / 1e6:+.0f} MB", end=" "
        )
    assert growth < MOST_GROWTH
    assert large.threads < case.options["parallel"] + 16
