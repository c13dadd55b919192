"""Source files in object stores and on the web: which are found, by which connection, and how their bytes are read."""

from __future__ import annotations

import contextlib
import json
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from peers import closed_port
from s3fs import S3File
from stores import BUCKET, S3, Web, web_server

from airflow_provider_catalog.api.errors import CatalogError, FileChangedError, InvalidInputError, SourceError
from airflow_provider_catalog.hooks.stores import connect
from airflow_provider_catalog.ingest import object_stores
from airflow_provider_catalog.ingest.files import find_files
from airflow_provider_catalog.ingest.sources import SourceFile

SIGNATURE = "hidden"
STORE = f"s3://landing_zone@{BUCKET}"
ROWS = b'{"n": 1}\n{"n": 2}\n'


def find(address: Any) -> tuple[SourceFile, ...]:
    return find_files(address, connect)


def names(address: Any) -> list[str]:
    return [file.remote_name for file in find(address)]


def content(file: SourceFile, start: int = 0, end: int | None = None) -> bytes:
    with contextlib.closing(file.open(start, end)) as reader:
        return b"".join(iter(lambda: reader.read(7), b""))


@pytest.fixture
def filled(s3: S3) -> S3:
    """A server with some files."""
    for key in ("d/a.json", "d/b.json", "d/c.csv", "d/x/e.json", "t/day=1/a.json", "t/day=2/a.json"):
        s3.put(key, ROWS + key.encode())
    s3.put("c/a::b.json", ROWS)
    for key in ("d/_SUCCESS", "d/.crc", "d/_tmp/f.json", "d/marker/", "h/_SUCCESS"):
        s3.put(key, b"")
    return s3


FOUND: dict[str, tuple[Any, list[str]]] = {
    "one file": ("d/a.json", ["a.json"]),
    "a file of a partition": ("t/day=1/a.json", ["day=1/a.json"]),
    "a folder": ("d", ["a.json", "b.json", "c.csv", "x/e.json"]),
    "a folder with a slash": ("d/", ["a.json", "b.json", "c.csv", "x/e.json"]),
    "a folder of partitions": ("t", ["day=1/a.json", "day=2/a.json"]),
    "a partition's folder": ("t/day=2", ["day=2/a.json"]),
    "a glob": ("d/*.json", ["a.json", "b.json"]),
    "a glob through folders": ("t/*/a.json", ["day=1/a.json", "day=2/a.json"]),
    "a glob through all folders": ("d/**/e.json", ["x/e.json"]),
    "colons, each as a question mark": ("c/a??b.json", ["a::b.json"]),
}


@pytest.mark.parametrize(("path", "expected"), FOUND.values(), ids=list(FOUND))
def test_files_of_a_store_are_found_and_named(filled: S3, path: str, expected: list[str]) -> None:
    assert names(f"{STORE}/{path}") == expected


def test_the_scheme_of_an_address_may_be_in_capitals(filled: S3) -> None:
    (file,) = find(f"S3://landing_zone@{BUCKET}/d/a.json")
    assert file.address == f"s3://{BUCKET}/d/a.json"


def test_files_of_stores_and_of_this_machine_can_be_mixed(filled: S3, tmp_path: Any) -> None:
    (tmp_path / "local.json").write_bytes(ROWS)
    assert names([f"{STORE}/d/*.json", tmp_path / "local.json"]) == ["a.json", "b.json", "local.json"]


def test_a_file_is_known_without_the_connection(filled: S3) -> None:
    (file,) = find(f"{STORE}/d/a.json")
    assert file.address == f"s3://{BUCKET}/d/a.json"
    assert file.look.written is not None
    assert "local-s3-secret" not in repr(file)


def test_a_file_is_never_taken_for_older_than_it_is(filled: S3) -> None:
    before = time.time()
    filled.put("new", ROWS)
    after = time.time()
    (file,) = find(f"{STORE}/new")
    assert file.look.written is not None
    assert before < file.look.written <= after + 1


def test_bytes_of_a_store_are_read_whole_and_in_ranges(filled: S3) -> None:
    (file,) = find(f"{STORE}/d/a.json")
    whole = ROWS + b"d/a.json"
    assert (file.size, content(file), content(file, 3, 12)) == (len(whole), whole, whole[3:12])


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("d/none.json", "a file that exists"),
        ("d/*.parquet", "a glob that matches at least one file"),
        ("h", "a folder with at least one file"),
        ("d/_SUCCESS", "a file that is not empty"),
        ("d/../a.json", "a path without .."),
    ],
)
def test_what_is_not_there_or_no_data_is_refused(filled: S3, path: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint) as caught:
        find(f"{STORE}/{path}")
    assert caught.value.argument == "files"


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("s3://user:secret@landing/d", "a connection's id at most"),
        ("nowhere://bucket/d", "a store whose Airflow provider is installed"),
        ("https://user@host/a.json", "an address that needs no credentials"),
        ("https://user:secret@host/a.json", "a connection's id at most"),
        ("nowhere://bucket/https://host/a.json?sig=secret", "a store whose Airflow provider is installed"),
    ],
)
def test_an_address_that_leads_nowhere_or_tells_too_much_is_refused(address: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint) as caught:
        find(address)
    assert "secret" not in str(caught.value)


def test_a_store_out_of_reach_is_trouble_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"endpoint_url": closed_port(), "config_kwargs": {"retries": {"max_attempts": 0}}}
    connection = {"conn_type": "aws", "login": "key", "password": "hidden", "extra": nowhere}
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", json.dumps(connection))
    with pytest.raises(SourceError, match="s3://nowhere@landing/a can't be looked at") as caught:
        find("s3://nowhere@landing/a")
    assert not caught.value.permanent
    assert "hidden" not in str(caught.value)


class TestFilesThatChange:
    @pytest.mark.parametrize(
        ("new", "verb"), [(ROWS + ROWS, "grew"), (ROWS[:9], "shrank"), (ROWS.swapcase(), "was written to")]
    )
    def test_in_the_store_are_noticed(self, s3: S3, new: bytes, verb: str) -> None:
        s3.put("a", ROWS)
        (file,) = find(f"{STORE}/a")
        s3.put("a", new)
        with pytest.raises(FileChangedError, match=f"a {verb} while it was being uploaded"):
            content(file)

    def test_and_vanish_are_noticed(self, s3: S3) -> None:
        s3.put("a", ROWS)
        (file,) = find(f"{STORE}/a")
        s3.delete("a")
        with pytest.raises(FileChangedError, match="is not there any more"):
            content(file)


class TestTheWeb:
    @pytest.fixture
    def web(self) -> Iterator[Web]:
        with web_server({"/d/a%20b.json": ROWS, "/empty": b""}) as web:
            yield web

    def test_gives_a_file_by_its_name(self, web: Web) -> None:
        (file,) = find(f"{web.url}/d/a%20b.json")
        assert (file.remote_name, file.size, content(file), content(file, 4, 9)) == (
            "a b.json",
            18,
            ROWS,
            ROWS[4:9],
        )

    @pytest.mark.parametrize("scheme", ["http", "HTTP"])
    def test_keeps_signatures_to_itself(self, scheme: str, web: Web) -> None:
        url = web.url.replace("http", scheme)
        (file,) = find(f"{url}/d/a%20b.json?sig=hidden")
        assert file.address == f"{web.url}/d/a%20b.json"
        with pytest.raises(InvalidInputError, match="a file that exists") as caught:
            find(f"{url}/none?sig=hidden")
        assert "hidden" not in str(caught.value)

    def test_without_ranges_is_read_from_the_beginning_or_from_a_copy(self, tmp_path: Any) -> None:
        with web_server({"/a.json": ROWS}, ranges=False) as web:
            (file,) = find(f"{web.url}/a.json")
            assert (content(file), content(file, 9), content(file, 4, 9)) == (ROWS, ROWS[9:], ROWS[4:9])
            gets = [method for method, _ in web.requests].count("GET")
            assert [content(file, start) for start in range(1, 18)] == [
                ROWS[start:] for start in range(1, 18)
            ]
            assert [method for method, _ in web.requests].count("GET") == gets

    def test_without_sizes_is_read_from_a_copy(self) -> None:
        with web_server({"/a.json": ROWS}, ranges=False, tells_size=False) as web:
            (file,) = find(f"{web.url}/a.json")
            assert (file.size, content(file), content(file, 9)) == (len(ROWS), ROWS, ROWS[9:])

    def test_without_ranges_is_not_read_into_memory(self) -> None:
        with web_server({"/a.json": bytes(50_000_000)}, ranges=False) as web:
            (file,) = find(f"{web.url}/a.json")
            tracemalloc.start()
            with contextlib.closing(file.open(1, 3)) as reader:
                assert reader.read(2) == bytes(2)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 20_000_000

    def test_may_take_its_time_as_long_as_it_does_not_fall_silent(self, web: Web) -> None:
        fs, _ = connect(f"{web.url}/d/a%20b.json")
        assert fs.client_kwargs["timeout"].total is None
        assert fs.client_kwargs["timeout"].sock_read == 60


def test_files_that_are_open_at_the_same_time_share_what_is_read_ahead(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_stores, "BLOCK_BYTES", 12)
    s3.put("a", ROWS)
    (file,) = find(f"{STORE}/a")
    asked: list[int] = []
    fetch = S3File._fetch_range

    def noting(self: S3File, start: int, end: int) -> bytes:
        asked.append(end - start)
        return bytes(fetch(self, start, end))

    monkeypatch.setattr(S3File, "_fetch_range", noting)
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            readers = [stack.enter_context(contextlib.closing(file.open())) for _ in range(3)]
            assert [reader.read(1) for reader in readers] == [ROWS[:1]] * 3
    assert asked == [12, 6, 4] * 2


class TestSignaturesInAddresses:
    """What follows the question mark of a web address may open the file to everybody who reads it."""

    @pytest.fixture(params=[403, 404, 500])
    def web(self, request: pytest.FixtureRequest) -> Iterator[Web]:
        """A server that refuses, in one way or another, what it does not have."""
        with web_server({"/a.json": ROWS}) as web:
            web.refusal = request.param
            yield web

    def test_stay_out_of_what_is_logged_when_a_file_is_looked_for(self, web: Web) -> None:
        with pytest.raises(CatalogError) as caught:
            find(f"{web.url}/none?sig={SIGNATURE}")
        assert SIGNATURE not in all_that_is_logged(caught.value)

    def test_stay_out_of_what_is_logged_when_a_file_is_read(self, web: Web) -> None:
        (file,) = find(f"{web.url}/a.json?sig={SIGNATURE}")
        web.files.clear()
        with pytest.raises(CatalogError) as caught:
            content(file)
        assert SIGNATURE not in all_that_is_logged(caught.value)
        assert SIGNATURE not in repr(file)

    @pytest.mark.parametrize("flaw", ["\x01", "/../a"])
    def test_stay_out_of_a_refusal(self, flaw: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            find(f"https://host/a{flaw}?sig={SIGNATURE}")
        assert SIGNATURE not in all_that_is_logged(caught.value)


def all_that_is_logged(error: BaseException) -> str:
    """Give an exception as a log shows it, with all that it was raised from."""
    return "".join(traceback.format_exception(error))
