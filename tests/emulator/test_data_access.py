"""What a promoted batch consists of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_catalog.emulator.seeds import LOYALTY_MEMBERS
from airflow_provider_catalog.emulator.server import Emulator, running

from .client import JSON_LINES, MULTI_LINE, Client


@pytest.fixture
def batch_id(api: Client) -> str:
    batch_id = api.open()
    for number in range(3):
        api.put(batch_id, f'{{"_id": "{number}"}}\n'.encode(), f"day={number}/part.json")
    api.signal(batch_id)
    api.advance(10)
    return batch_id


def test_a_promoted_batch_is_one_dataset_file(api: Client, batch_id: str) -> None:
    listing = api.get(f"export/batches/{batch_id}/files").json()
    [file] = listing["data"]
    assert file["dataSetFileId"] == f"{batch_id}-1"
    assert (file["records"], file["size"]) == ("3", "39")  # texts, as documented
    assert file["_links"]["self"]["href"] == f"{api.url}/data/foundation/export/files/{batch_id}-1"
    assert listing["_page"] == {"limit": 100, "count": 1}


def test_before_it_is_promoted_a_batch_has_no_files(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}")
    assert api.get(f"export/batches/{batch_id}/files").json()["data"] == []
    assert api.get(f"export/files/{batch_id}-1").status_code == 404


def test_pages_are_linked(api: Client, batch_id: str) -> None:
    names, href = [], f"{api.url}/data/foundation/export/files/{batch_id}-1?limit=2"
    for _ in range(2):
        page = api.session.get(href, timeout=10).json()
        names += [each["name"] for each in page["data"]]
        assert page["_page"]["count"] == 3
        href = page["_links"].get("next", {}).get("href")
    assert href is None
    whole = api.get(f"export/files/{batch_id}-1?limit=3").json()
    assert "next" not in whole["_links"]
    assert names == ["day=0/part.json", "day=1/part.json", "day=2/part.json"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "start=-1"])
def test_bad_paging_is_refused(api: Client, batch_id: str, query: str) -> None:
    assert api.get(f"export/batches/{batch_id}/files?{query}").status_code == 400


def test_a_part_is_read_as_it_was_uploaded(api: Client, batch_id: str) -> None:
    [_, part, _] = api.get(f"export/files/{batch_id}-1").json()["data"]
    assert part["length"] == "13"
    answer = api.session.get(part["_links"]["self"]["href"], timeout=10)
    assert answer.content == b'{"_id": "1"}\n'


GOOD = [b'{"_id": "1", "person": {"name": {"firstName": "Zo\xc3\xab"}}}', b'{"_id": "2"}', b'{"_id": "3"}']
BAD = [b"{broken", b'{"_id": []}', b'{"unknown": 1}']


def promoted(api: Client, batch_id: str) -> dict[str, bytes]:
    parts = api.get(f"export/files/{batch_id}-1").json()["data"]
    contents = {part["name"]: api.session.get(part["_links"]["self"]["href"], timeout=10) for part in parts}
    assert [part["length"] for part in parts] == [str(len(each.content)) for each in contents.values()]
    return {name: answer.content for name, answer in contents.items()}


def rows(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize(
    ("input_format", "content"),
    [
        (JSON_LINES, b"\n".join([BAD[0], GOOD[0], BAD[1], b"", GOOD[1], GOOD[2], BAD[2]])),
        (MULTI_LINE, b"[" + b",\n".join([BAD[1], GOOD[0], BAD[2], GOOD[1], GOOD[2], BAD[0]])),
    ],
    ids=["lines", "array"],
)
def test_rows_that_were_rejected_are_not_in_the_parts(
    api: Client, input_format: dict[str, Any], content: bytes
) -> None:
    whole = b'{"_id":  "4"}' if input_format == JSON_LINES else b'[{"_id":  "4"}]'
    batch = api.ingest(content, whole, inputFormat=input_format, partialIngestionPercent=50)
    batch_id = batch["externalId"]
    parts = promoted(api, batch_id)
    assert list(parts) == ["part-0", "part-1"]
    assert rows(parts["part-0"]) == rows(b"\n".join(GOOD))
    assert parts["part-1"] == whole
    [file] = api.get(f"export/batches/{batch_id}/files").json()["data"]
    size = sum(map(len, parts.values()))
    assert (file["records"], file["size"]) == ("4", str(size))
    assert (batch["metrics"]["outputRecordCount"], batch["metrics"]["outputByteSize"]) == (4, size)


def test_a_part_whose_rows_were_all_rejected_is_empty(api: Client) -> None:
    batch = api.ingest(b"{broken\n", GOOD[1], partialIngestionPercent=50)
    assert promoted(api, batch["externalId"]) == {"part-0": b"", "part-1": GOOD[1]}


def test_rows_that_the_platform_cannot_read_stay_in_csv(api: Client) -> None:
    content = b"member_id\nA\n" + b"x" * 200_000 + b"\n"
    batch = api.ingest(
        content, dataset_id=LOYALTY_MEMBERS, inputFormat={"format": "csv"}, partialIngestionPercent=90
    )
    assert batch["status"] == "success"
    assert promoted(api, batch["externalId"]) == {"part-0": content}
    [file] = api.get(f"export/batches/{batch['externalId']}/files").json()["data"]
    assert file["size"] == str(len(content))


def test_good_rows_survive_a_restart(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        batch_id = Client(emulator).ingest(b"\n".join(BAD + GOOD), partialIngestionPercent=50)["externalId"]
    with running(data_dir=tmp_path) as emulator:
        assert rows(promoted(Client(emulator), batch_id)["part-0"]) == rows(b"\n".join(GOOD))


def test_good_rows_are_written_down_only_where_some_are_missing(api: Client, emulator: Emulator) -> None:
    def files(**fields: Any) -> int:
        before = len(emulator.platform.batches.stored_names())
        api.ingest(b"\n".join(fields.pop("rows")), **fields)
        return len(emulator.platform.batches.stored_names()) - before

    assert files(rows=GOOD, partialIngestionPercent=50) == 1
    assert files(rows=GOOD + BAD, partialIngestionPercent=50) == 2
    assert files(rows=GOOD + BAD, partialIngestionPercent=40) == len(["upload", "failed rows", "_SUCCESS"])


def test_a_range_of_a_part_can_be_read(api: Client, batch_id: str) -> None:
    path = f"export/files/{batch_id}-1?path=day=1/part.json"
    answer = api.get(path, headers={"Range": "bytes=1-5"})
    assert (answer.status_code, answer.content) == (206, b'"_id"')
    assert answer.headers["Content-Range"] == "bytes 1-5/13"
    head = api.call("HEAD", path)
    assert (head.headers["Content-Length"], head.headers["Accept-Ranges"]) == ("13", "bytes")


@pytest.mark.parametrize("wanted", ["{}-", "0-{}", "{}-{}"])
def test_a_range_that_no_file_has_is_refused(api: Client, batch_id: str, wanted: str) -> None:
    header = {"Range": f"bytes={wanted.format('9' * 5000, '9' * 5000)}"}
    answer = api.get(f"export/files/{batch_id}-1?path=day=1/part.json", headers=header)
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["batches/none/files", "files/none-1", "files/{}-2", "files/{}-1?path=none"])
def test_what_is_not_there_is_not_found(api: Client, batch_id: str, path: str) -> None:
    assert api.get(f"export/{path.format(batch_id)}").status_code == 404
