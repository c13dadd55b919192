"""Large files arrive as they were sent: digests of each part and of the whole, against what the platform serves."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Cost, Platform, emulator, ingest

EXPORT = "/data/foundation/export"
BLOCK = 1 << 20
JSON_BYTES, PARQUET_BYTES = 5_000_000_000, 3_000_000_000
CHUNK_BYTES = 64_000_000
SMALL_FILE_LIMIT = 256_000_000
MOST_PEAK = 350_000_000
VALUE_BYTES = 40_000


@pytest.fixture
def platform(folder: Path) -> Iterator[Platform]:
    with emulator(folder / "platform", promotion_seconds=0) as running:
        yield running


def test_json_lines(folder: Path, platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_json_lines(folder / "rows.json")
    rows = count_lines(source)
    cost = ingest(platform, source)
    assert (cost.result["status"], cost.result["records_written"]) == ("success", rows)
    parts = served(platform, cost.result["id"])
    assert len(parts) == -(-source.stat().st_size // SMALL_FILE_LIMIT)
    assert all(size <= SMALL_FILE_LIMIT for size in parts.values())
    compare(source, platform, cost, parts, capsys)


def test_parquet(folder: Path, platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_parquet(folder / "rows.parquet")
    cost = ingest(platform, source, input_format="parquet")
    assert cost.result["status"] == "success"
    size = source.stat().st_size
    chunks = [
        dict(each["headers"]).get("Content-Range") for each in platform.sent() if each["method"] == "PATCH"
    ]
    starts = range(0, size, CHUNK_BYTES)
    expected = [f"bytes {start}-{min(start + CHUNK_BYTES, size) - 1}/{size}" for start in starts]
    assert sorted(chunks) == sorted(expected)
    parts = served(platform, cost.result["id"])
    assert parts == {"rows.parquet": size}
    compare(source, platform, cost, parts, capsys)


def compare(
    source: Path, platform: Platform, cost: Cost, parts: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The bytes of all parts are those of the source: in pieces of at most a chunk's size, part by part, and as a whole."""
    sizes = [min(CHUNK_BYTES, size - at) for size in parts.values() for at in range(0, size, CHUNK_BYTES)]
    batch_id = cost.result["id"]
    arrived = digests(itertools.chain.from_iterable(read(platform, batch_id, name) for name in parts), sizes)
    sent = digests(blocks(source), sizes)
    assert arrived == sent
    kept = sorted(file.stat().st_size for file in (platform.data_dir / "files").iterdir())
    assert kept[-len(parts) :] == sorted(parts.values()), (
        "the platform holds something else beside small diagnostics"
    )
    assert cost.peak < MOST_PEAK
    with capsys.disabled():
        total = sum(parts.values())
        print(
            f"\n{source.name}: {total:,} bytes in {len(parts)} part(s), {len(sizes)} digests equal, "
            f"sha256 of the whole {sent[-1]}, {cost.peak / 1e6:.0f} MB, {cost.threads} threads",
            end=" ",
        )


def served(platform: Platform, batch_id: str) -> dict[str, int]:
    """Give the sizes of a batch's files as Data Access lists them, by name and in order."""
    return {name: int(part["length"]) for name, (_, part) in sorted(listed(platform, batch_id).items())}


def listed(platform: Platform, batch_id: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Give what Data Access tells of each file, and under which address, by its name."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for file in platform.read(f"{EXPORT}/batches/{batch_id}/files", limit=100).json()["data"]:
        path = f"{EXPORT}/files/{file['dataSetFileId']}"
        for part in platform.read(path, limit=100).json()["data"]:
            found[part["name"]] = (path, part)
    return found


def read(platform: Platform, batch_id: str, name: str) -> Iterator[bytes]:
    path, part = listed(platform, batch_id)[name]
    with platform.read(path, path=part["name"]) as answer:
        yield from answer.iter_content(BLOCK)


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.read(BLOCK), b"")


def digests(content: Iterable[bytes], sizes: list[int]) -> list[str]:
    """Give the digests of the pieces of some bytes, by their sizes, and at the end that of all of them."""
    whole, found = hashlib.sha256(), []
    block, rest = memoryview(b""), iter(content)
    for size in sizes:
        piece, left = hashlib.sha256(), size
        while left:
            block = block or memoryview(next(rest))
            taken, block = block[:left], block[left:]
            piece.update(taken)
            whole.update(taken)
            left -= len(taken)
        found.append(piece.hexdigest())
    assert not block
    assert next(rest, None) is None, "there is more"
    return [*found, whole.hexdigest()]


def write_json_lines(path: Path) -> Path:
    """Write rows that are all different, of about 40 kB: small ones would take the emulator an hour to validate."""
    text = random.Random(1).randbytes(VALUE_BYTES).hex()
    with path.open("w") as file:
        for number in itertools.count():
            at = number * 7919 % VALUE_BYTES
            name = {"firstName": f"{number:08}", "lastName": text[at : at + VALUE_BYTES]}
            file.write(json.dumps({"person": {"name": name}}) + "\n")
            if file.tell() >= JSON_BYTES:
                return path
    raise AssertionError


def write_parquet(path: Path) -> Path:
    """Write row groups of about 64 MB, one after the other."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("_id", pa.string()), ("picture", pa.binary())])
    chance = random.Random(2)
    with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        while path.stat().st_size < PARQUET_BYTES:
            pictures = [chance.randbytes(64_000) for _ in range(1000)]
            ids = [f"picture-{number}" for number in range(1000)]
            file.write_table(pa.table([ids, pictures], schema=schema))
    return path


def count_lines(path: Path) -> int:
    return sum(block.count(b"\n") for block in blocks(path))
