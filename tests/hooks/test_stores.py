"""Source files in object stores and on the web: which are found, by which connection, and how their bytes are read."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from peers import closed_port, peer, reset
from s3fs import S3File
from stores import BUCKET, S3, Gate, Web, gate, web_server

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


def whole(file: SourceFile, start: int) -> bytes:
    with contextlib.closing(file.open(start)) as reader:
        return b"".join(iter(lambda: reader.read(10_000), b""))


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


class TestAFolderThatCantBeListed:
    """A batch with a part of the files would look like a whole one."""

    @pytest.fixture
    def through(self, filled: S3) -> Iterator[Gate]:
        """A way to the files on which nobody may list the folder ``t/day=1``."""
        with gate(filled, "t/day=1") as proxy:
            yield proxy

    @pytest.mark.parametrize("pattern", ["t/*/a.json", "t/day=[12]/*", "*/*/a.json"])
    def test_is_not_passed_over_by_a_glob(self, through: Gate, pattern: str) -> None:
        with pytest.raises(InvalidInputError, match="a file that the store's credentials may read"):
            find(f"s3://{through.conn_id}@{BUCKET}/{pattern}")

    def test_for_now_only_is_trouble_that_passes(self, filled: S3) -> None:
        with gate(filled, "t/day=1", 500, "InternalError") as proxy:
            with pytest.raises(SourceError, match=r"t/\*/a.json can't be looked at") as caught:
                find(f"s3://{proxy.conn_id}@{BUCKET}/t/*/a.json")
            assert not caught.value.permanent

    def test_does_no_harm_where_a_glob_does_not_go_through_it(self, through: Gate) -> None:
        assert names(f"s3://{through.conn_id}@{BUCKET}/t/*2/a.json") == ["day=2/a.json"]
        assert "t/day=1/" not in through.listed

    @pytest.mark.parametrize("address", ["t", "t/**", "t/**/a.json"])
    def test_does_no_harm_where_the_store_lists_all_at_once(self, through: Gate, address: str) -> None:
        assert names(f"s3://{through.conn_id}@{BUCKET}/{address}") == ["day=1/a.json", "day=2/a.json"]
        assert "t/day=2/" not in through.listed


GLOBS = (
    *("*", "d/*", "d/*.json", "d/?.json", "d/[ab].json", "d/[!a]*", "*/x/*", "d/.*", "d/.x/*"),
    *(
        "[d]/**",
        "**",
        "**/*",
        "**/a.json",
        "d/**/*.json",
        "**/x/**",
        "**/x/**/*.json",
        "**/**/e.json",
        "*/**/e.json",
    ),
    *("d/a(1).json*", "d/x[", "d/x*/e+.json"),
)


@pytest.mark.parametrize("pattern", GLOBS)
def test_a_glob_finds_what_a_file_systems_own_glob_finds(pattern: str, tmp_path: Path) -> None:
    for name in (
        "a.json",
        "d/a.json",
        "d/b.json",
        "d/c.csv",
        "d/a(1).json",
        "d/.a",
        "d/.x/a.json",
        "d/x/e.json",
    ):
        make_local(tmp_path / name)
    for name in ("d/x/e+.json", "d/x/x/e.json", "e/x/y/e.json", "E/a.json"):
        make_local(tmp_path / name)
    fs = LocalFileSystem()
    own = fs.glob(f"{tmp_path}/{pattern}", detail=True)
    files = [each for each, info in own.items() if info["type"] == "file" and "/." not in each[-3:]]
    assert sorted(stored_below(tmp_path, pattern)) == files


def make_local(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ROWS)


def stored_below(folder: Path, pattern: str) -> list[str]:
    """Give the paths that a glob finds in a store whose file system has nothing but fsspec's general ways."""
    try:
        found = find_files(
            f"store://{folder}/{pattern}", lambda _: (LocalFileSystem(), f"{folder}/{pattern}")
        )
    except InvalidInputError as error:
        return [] if error.allowed == "a glob that matches at least one file" else [str(error)]
    return [file.path for file in found]


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


# As the processes of tasks end.
READ_AND_END = """
import os, sys
from airflow_provider_catalog.ingest.files import find_files

(file,) = find_files(sys.argv[1])
os.write(1, file.open(9).read())
os._exit(0)
"""


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

    def test_is_copied_once_and_the_copy_read_by_several_at_once(self) -> None:
        rows = bytes(range(256)) * 4000
        with web_server({"/a.bin": rows}, ranges=False) as web:
            (file,) = find(f"{web.url}/a.bin")
            starts = range(1, 900_001, 100_000)
            with ThreadPoolExecutor(len(starts)) as pool:
                parts = list(pool.map(lambda start: whole(file, start), starts))
            assert parts == [rows[start:] for start in starts]
            # One that tells whether the server gives parts now is broken off.
            assert [method for method, wanted in web.requests if not wanted].count("GET") == 1

    def test_gives_a_copy_that_can_be_read_from_anywhere(self) -> None:
        with web_server({"/a.json": ROWS}, ranges=False) as web:
            (file,) = find(f"{web.url}/a.json")
            with file.store.open(file.path, 3) as copy:
                assert (copy.tell(), copy.read(2), copy.tell()) == (3, ROWS[3:5], 5)
                assert (copy.seek(-2, os.SEEK_END), copy.read(9), copy.read(9)) == (16, ROWS[-2:], b"")
                assert (copy.seek(1), copy.seek(3, os.SEEK_CUR), copy.read()) == (1, 4, ROWS[4:])

    @pytest.mark.parametrize("tells_size", [True, False])
    def test_leaves_nothing_behind_however_a_process_ends(self, tells_size: bool, tmp_path: Path) -> None:
        with web_server({"/a.json": ROWS}, ranges=False, tells_size=tells_size) as web:
            command = [sys.executable, "-c", READ_AND_END, f"{web.url}/a.json"]
            ended = subprocess.run(
                command, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, check=True
            )
        assert ended.stdout == ROWS[9:]
        assert list(tmp_path.rglob("*")) == []

    def test_may_take_its_time_as_long_as_it_does_not_fall_silent(self, web: Web) -> None:
        fs, _ = connect(f"{web.url}/d/a%20b.json")
        assert fs.client_kwargs["timeout"].total is None
        assert fs.client_kwargs["timeout"].sock_read == 60


class TestAWebServerInTrouble:
    """Only a server that says so has no such file; another one may have it a minute later."""

    @pytest.fixture
    def web(self) -> Iterator[Web]:
        with web_server({"/a.json": ROWS}) as web:
            yield web

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_at_the_first_look_is_trouble_that_passes(self, web: Web, status: int) -> None:
        web.refusal = status
        with pytest.raises(SourceError, match=rf"/none can't be looked at \(status {status}\)") as caught:
            find(f"{web.url}/none?sig={SIGNATURE}")
        assert not caught.value.permanent
        assert SIGNATURE not in all_that_is_logged(caught.value)

    def test_that_is_out_of_reach_is_trouble_that_passes(self) -> None:
        with pytest.raises(SourceError, match="can't be looked at") as caught:
            find(f"{closed_port()}/a.json?sig={SIGNATURE}")
        assert SIGNATURE not in all_that_is_logged(caught.value)

    def test_that_hangs_up_is_trouble_that_passes(self) -> None:
        with peer(reset()) as server, pytest.raises(SourceError, match="can't be looked at"):
            find(f"{server.url}/a.json")

    @pytest.mark.parametrize(
        ("status", "allowed"),
        [
            (404, "a file that exists"),
            (410, "a file that exists"),
            (401, "a file that the store's credentials may read"),
            (403, "a file that the store's credentials may read"),
        ],
    )
    def test_is_none_that_has_no_such_file_or_lets_nobody_read_it(
        self, web: Web, status: int, allowed: str
    ) -> None:
        web.refusal = status
        with pytest.raises(InvalidInputError, match=allowed) as caught:
            find(f"{web.url}/none?sig={SIGNATURE}")
        assert SIGNATURE not in all_that_is_logged(caught.value)

    @pytest.mark.parametrize(
        ("status", "kind", "complaint"),
        [
            (503, SourceError, r"can't be read \(status 503\)"),
            (404, FileChangedError, "is not there any more"),
            (410, FileChangedError, "is not there any more"),
        ],
    )
    def test_is_told_from_a_file_that_vanishes_before_its_last_bytes_go_out(
        self, web: Web, status: int, kind: type[CatalogError], complaint: str
    ) -> None:
        (file,) = find(f"{web.url}/a.json?sig={SIGNATURE}")
        with contextlib.closing(file.open()) as reader:
            assert reader.read(5) == ROWS[:5]
            web.files.clear()
            web.refusal = status
            with pytest.raises(kind, match=complaint) as caught:
                reader.read()
        assert type(caught.value) is kind
        assert SIGNATURE not in all_that_is_logged(caught.value)


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
