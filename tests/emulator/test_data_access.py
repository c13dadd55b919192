"""What a promoted batch consists of."""

from __future__ import annotations

import pytest

from .client import Client


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


def test_a_range_of_a_part_can_be_read(api: Client, batch_id: str) -> None:
    path = f"export/files/{batch_id}-1?path=day=1/part.json"
    answer = api.get(path, headers={"Range": "bytes=1-5"})
    assert (answer.status_code, answer.content) == (206, b'"_id"')
    assert answer.headers["Content-Range"] == "bytes 1-5/13"
    head = api.call("HEAD", path)
    assert (head.headers["Content-Length"], head.headers["Accept-Ranges"]) == ("13", "bytes")


@pytest.mark.parametrize("path", ["batches/none/files", "files/none-1", "files/{}-2", "files/{}-1?path=none"])
def test_what_is_not_there_is_not_found(api: Client, batch_id: str, path: str) -> None:
    assert api.get(f"export/{path.format(batch_id)}").status_code == 404
