"""Files on their way from the disk into a batch."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from client_stage import MakeClient, Pauses
from desk import CRM_PROFILES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    FileChangedError,
    InvalidInputError,
    NotFoundError,
    UnreachableError,
)
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.files import find_files
from airflow_provider_catalog.ingest.plan import LINES, plan_upload
from airflow_provider_catalog.ingest.sources import LOCAL, LocalStore, Look, SourceFile, SourceReader
from airflow_provider_catalog.ingest.upload import Upload, checked_parallel

Stored = Callable[[], dict[str, bytes]]

MEGABYTE = 1_000_000
FILES = "/data/foundation/import/batches/{batch}/datasets/" + CRM_PROFILES + "/files/"


def source(path: Path, size: int | None = None, remote_name: str = "rows.json") -> SourceFile:
    """A file; with another size, as if that had been its size when it was looked at."""
    look = LOCAL.look(str(path))
    if size is not None:
        look = Look(size, look.written, version="another")
    return SourceFile(LOCAL, str(path), str(path), remote_name, look)


def upload(client: CatalogClient, batch_id: str, *files: SourceFile, **options: Any) -> None:
    """Upload files into a batch of which the Catalog has told nothing yet, one after the other."""
    upload_into(client, Batch(batch_id, "loading"), *files, **options)


def upload_into(client: CatalogClient, batch: Batch, *files: SourceFile, **options: Any) -> None:
    plan = plan_upload(files, LINES)
    Upload(client, batch, CRM_PROFILES, plan, **{"parallel": 1, **options}).run()


class TestUploads:
    def test_bytes_arrive_as_they_are(
        self, client: CatalogClient, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        contents = {
            "rows.json": b'{"a": 1}\n',
            "bytes.parquet": bytes(range(256)) * 1000,
            "crlf.csv": b"a,b\r\n1,2\r\n\x00\xff",
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        upload(client, batch_id, *find_files("*"), parallel=2)
        assert stored() == contents

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("rows.json", "rows.json"),
            ("day=2024-03-01/hour=7/rows.json", "day=2024-03-01/hour=7/rows.json"),
            ("a b.json", "a%20b.json"),
            ("ü中.json", "%C3%BC%E4%B8%AD.json"),
            ("100%.json", "100%25.json"),
            ("%41.json", "%2541.json"),
            ("%2e%2e/x", "%252e%252e/x"),
            ("a?b#c&d.json", "a%3Fb%23c%26d.json"),
            ("a+b;c,d:e@f!.json", "a%2Bb%3Bc%2Cd%3Ae%40f%21.json"),
            ("[x]~'*.json", "%5Bx%5D~%27%2A.json"),
        ],
    )
    def test_names_arrive_as_they_are(
        self, client: CatalogClient, folder: Path, batch_id: str, stored: Stored, name: str, path: str
    ) -> None:
        (folder / "a").write_text("{}\n")
        upload(client, batch_id, source(folder / "a", remote_name=name))
        prefix = client.settings.host + FILES.format(batch=batch_id)
        assert client.file_url(batch_id, CRM_PROFILES, name) == prefix + path
        assert list(stored()) == [name]

    def test_the_request_is_one_put_with_the_length_of_the_file(
        self, client: CatalogClient, desk: Desk, folder: Path, batch_id: str
    ) -> None:
        (folder / "a").write_bytes(b"x" * 300_000)
        upload(client, batch_id, source(folder / "a"))
        (sent,) = desk.sent()
        assert (sent.method, sent.path) == ("PUT", FILES.format(batch=batch_id) + "rows.json")
        assert sent.headers["Content-Type"] == "application/octet-stream"
        assert sent.headers["Content-Length"] == "300000"
        assert "Transfer-Encoding" not in sent.headers

    def test_a_second_upload_replaces_the_first(
        self, client: CatalogClient, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        for content in (b"old and long\n", b"new\n"):
            (folder / "a").write_bytes(content)
            upload(client, batch_id, source(folder / "a"))
        assert stored() == {"rows.json": b"new\n"}

    def test_a_large_file_needs_little_memory(
        self, client: CatalogClient, folder: Path, batch_id: str
    ) -> None:
        (folder / "a").touch()
        os.truncate("a", 64 * MEGABYTE)
        client.auth.token()
        tracemalloc.start()
        try:
            upload(client, batch_id, source(folder / "a"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 * MEGABYTE

    def test_the_plan_and_the_sum_are_logged(
        self, client: CatalogClient, folder: Path, batch_id: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "airflow_provider_catalog")
        (folder / "a").write_text("{}\n")
        upload(client, batch_id, *(source(folder / "a", remote_name=name) for name in ("one", "two")))
        assert (
            f"Uploading into batch {batch_id}, 1 at a time: 2 file(s) for the batch, 6 bytes" in caplog.text
        )
        assert re.search("3  one\n +3  two\n", caplog.text)
        assert "Uploaded 2 file(s), 6 bytes in" in caplog.text
        assert "0 file(s) were there already." in caplog.text


class TestTrouble:
    EFFECTS: tuple[dict[str, Any], ...] = (
        {"status": 503},
        {"status": 429},
        {"drop": "before"},
        {"drop": "after"},
        {"expire_token": True},
    )

    @pytest.mark.parametrize("effect", EFFECTS, ids=str)
    def test_a_file_is_sent_again_from_its_first_byte(
        self,
        client: CatalogClient,
        desk: Desk,
        folder: Path,
        batch_id: str,
        stored: Stored,
        effect: dict[str, Any],
    ) -> None:
        content = os.urandom(500_000)
        (folder / "a").write_bytes(content)
        desk.break_next(effect, path="*/files/*")
        upload(client, batch_id, source(folder / "a"))
        assert len(desk.sent("PUT")) == 2
        assert stored() == {"rows.json": content}

    def test_no_file_stays_open(self, client: CatalogClient, desk: Desk, folder: Path, batch_id: str) -> None:
        (folder / "a").write_text("{}\n")
        opened: list[SourceReader] = []

        def open_body() -> Any:
            opened.append(source(folder / "a").open())
            return opened[-1]

        desk.break_next({"status": 503}, path="*/files/*", times=2)
        client.put_file(batch_id, CRM_PROFILES, "rows.json", open_body)
        desk.break_next({"status": 413}, path="*/files/*")
        with pytest.raises(ApiError, match="smaller files"):
            client.put_file(batch_id, CRM_PROFILES, "rows.json", open_body)
        assert len(opened) == 4
        assert all(body._file.closed for body in opened)

    def test_a_file_that_the_platform_finds_too_large_is_not_sent_again(
        self, client: CatalogClient, desk: Desk, folder: Path, batch_id: str
    ) -> None:
        desk.set(small_file_limit=MEGABYTE)
        (folder / "a").touch()
        os.truncate("a", 32 * MEGABYTE)
        with pytest.raises(ApiError, match="413") as caught:
            upload(client, batch_id, source(folder / "a"))
        assert caught.value.permanent
        assert len(desk.sent("PUT")) == 1

    def test_a_platform_that_stops_reading_is_given_up_for_now(
        self, make_client: MakeClient, pauses: Pauses, folder: Path
    ) -> None:
        (folder / "a").touch()
        os.truncate("a", 32 * MEGABYTE)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            client = make_client(url, access_token="ready", timeout=0.05, attempts=2)
            with pytest.raises(UnreachableError, match="did not answer in time"):
                upload(client, "B1", source(folder / "a"))
        assert len(pauses) == 1

    def test_the_first_failure_ends_the_upload(
        self, client: CatalogClient, desk: Desk, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        (folder / "a").write_text("{}\n")
        desk.break_next({"status": 403}, path="*/files/two")
        files = [source(folder / "a", remote_name=name) for name in ("one", "two", "three")]
        with pytest.raises(ApiError, match="files/two was answered with 403"):
            upload(client, batch_id, *files)
        assert list(stored()) == ["one"]

    @pytest.mark.parametrize(
        ("batch", "dataset"),
        [("UNKNOWN", CRM_PROFILES), (None, "5e8f1d2b9a4c7018ad64e210")],
        ids=["unknown batch", "another dataset"],
    )
    def test_what_the_platform_does_not_know_is_not_found(
        self, client: CatalogClient, folder: Path, batch_id: str, batch: str | None, dataset: str
    ) -> None:
        (folder / "a").write_text("{}\n")
        plan = plan_upload([source(folder / "a")], LINES)
        upload = Upload(client, Batch(batch or batch_id, "loading"), dataset, plan)
        with pytest.raises(NotFoundError):
            upload.run()

    def test_a_batch_that_takes_no_more_files_says_so(
        self, client: CatalogClient, folder: Path, batch_id: str
    ) -> None:
        (folder / "a").write_text("{}\n")
        upload(client, batch_id, source(folder / "a"))
        client.complete_batch(batch_id)
        with pytest.raises(ApiError, match="loading batch only") as caught:
            upload(client, batch_id, source(folder / "a"))
        assert caught.value.permanent


class TestBadArguments:
    @pytest.mark.parametrize(
        ("change", "argument"),
        [
            ({"batch_id": "a/b"}, "batch_id"),
            ({"dataset_id": ""}, "dataset_id"),
            ({"remote_name": "x" * 2000}, "remote_name"),
            ({"remote_name": "a/../b"}, "remote_name"),
            ({"remote_name": "/a"}, "remote_name"),
        ],
        ids=["batch", "dataset", "long name", "step up", "absolute"],
    )
    def test_nothing_is_sent_if_anything_is_wrong(
        self,
        client: CatalogClient,
        desk: Desk,
        folder: Path,
        batch_id: str,
        change: dict[str, str],
        argument: str,
    ) -> None:
        (folder / "a").write_text("{}\n")
        given = {"batch_id": batch_id, "dataset_id": CRM_PROFILES, "remote_name": "b", **change}
        files = [source(folder / "a"), source(folder / "a", remote_name=given["remote_name"])]
        with pytest.raises(InvalidInputError) as caught:
            Upload(
                client, Batch(given["batch_id"], "loading"), given["dataset_id"], plan_upload(files, LINES)
            )
        assert caught.value.argument == argument
        assert desk.sent() == []

    def test_an_address_may_have_two_thousand_characters(
        self, client: CatalogClient, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        (folder / "a").write_text("{}\n")
        room = 2000 - len(client.file_url(batch_id, CRM_PROFILES, "x")) + 1
        longest = "/".join(["x" * 200] * 20)[:room].rstrip("/")
        longest = longest + "x" * (room - len(longest))
        upload(client, batch_id, source(folder / "a", remote_name=longest))
        assert list(stored()) == [longest]
        with pytest.raises(InvalidInputError, match="stays within 2000 characters \\(it has 2001\\)"):
            client.file_url(batch_id, CRM_PROFILES, f"{longest}x")


class TestFilesThatChange:
    def test_one_that_grew_is_noticed_before_the_platform_has_it(
        self, client: CatalogClient, desk: Desk, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        (folder / "a").write_bytes(b"x" * 500_000)
        with pytest.raises(FileChangedError, match="a grew while it was being uploaded") as caught:
            upload(client, batch_id, source(folder / "a", size=499_999))
        assert not caught.value.permanent
        assert stored() == {}
        assert len(desk.sent("PUT")) <= 1

    def test_one_that_shrank_is_noticed_before_the_platform_has_it(
        self, client: CatalogClient, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        (folder / "a").write_bytes(b"x" * 500_000)
        with pytest.raises(FileChangedError, match="a shrank while it was being uploaded"):
            upload(client, batch_id, source(folder / "a", size=500_001))
        assert stored() == {}

    def test_one_that_vanished_is_noticed(
        self, client: CatalogClient, desk: Desk, folder: Path, batch_id: str
    ) -> None:
        (folder / "a").write_text("{}\n")
        vanished = source(folder / "a")
        (folder / "a").unlink()
        with pytest.raises(FileChangedError, match=r"a is not there any more"):
            upload(client, batch_id, vanished)
        assert desk.sent("PUT") == []

    def test_what_was_uploaded_before_stays(
        self, client: CatalogClient, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        (folder / "a").write_bytes(b"{}\n")
        upload(client, batch_id, source(folder / "a"))
        with pytest.raises(FileChangedError):
            upload(client, batch_id, source(folder / "a", size=2))
        assert stored() == {"rows.json": b"{}\n"}

    def test_the_connection_is_good_for_what_comes_next(
        self, client: CatalogClient, folder: Path, batch_id: str, stored: Stored
    ) -> None:
        (folder / "a").write_bytes(b"x" * 500_000)
        with pytest.raises(FileChangedError):
            upload(client, batch_id, source(folder / "a", size=400_000))
        upload(client, batch_id, source(folder / "a"))
        assert stored() == {"rows.json": b"x" * 500_000}


class TestSourceReader:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "a"
        path.write_bytes(b"0123456789")
        return path

    @pytest.fixture
    def reader(self, path: Path) -> Iterator[SourceReader]:
        with contextlib.closing(source(path).open()) as reader:
            yield reader

    def test_it_reads_what_was_announced_and_then_nothing(self, reader: SourceReader) -> None:
        assert len(reader) == 10
        assert [reader.read(4), reader.read(4), reader.read(4), reader.read(4), reader.read()] == [
            b"0123",
            b"4567",
            b"89",
            b"",
            b"",
        ]

    def test_it_reads_a_range(self, path: Path) -> None:
        with contextlib.closing(source(path).open(3, 7)) as reader:
            assert (len(reader), reader.read(3), reader.read(3), reader.read(3)) == (4, b"345", b"6", b"")

    def test_it_reads_all_at_once(self, reader: SourceReader) -> None:
        assert reader.read() == b"0123456789"

    def test_it_holds_the_last_block_back_if_there_is_more(self, path: Path, reader: SourceReader) -> None:
        assert reader.read(8) == b"01234567"
        with path.open("ab") as file:
            file.write(b"!")
        with pytest.raises(FileChangedError, match="grew"):
            reader.read(8)

    def test_it_notices_that_a_part_was_written_anew(self, path: Path, reader: SourceReader) -> None:
        assert reader.read(8) == b"01234567"
        path.write_bytes(b"abcdefghij")
        os.utime(path, (1, 1))
        with pytest.raises(FileChangedError, match="was written to"):
            reader.read(8)

    def test_it_notices_that_there_is_less(self, path: Path, reader: SourceReader) -> None:
        assert reader.read(8) == b"01234567"
        os.truncate(path, 8)
        with pytest.raises(FileChangedError, match="shrank"):
            reader.read(8)


class TestFilesThatAreThere:
    """What a later try has to upload still."""

    @pytest.fixture
    def batch(self, client: CatalogClient, desk: Desk, batch_id: str, folder: Path) -> Batch:
        """A batch that has the files ``a`` and ``b``, which are older than the batch."""
        for name in ("a", "b"):
            (folder / name).write_text(f"{name}\n")
            os.utime(name, (1_000_000_000, 1_000_000_000))
        upload(client, batch_id, *find_files(["a", "b"]))
        batch = client.get_batch(batch_id)
        desk.forget()
        return batch

    def sent(self, client: CatalogClient, desk: Desk, batch: Batch) -> list[str]:
        upload_into(client, batch, *find_files("*"))
        return [sent.path.rpartition("/")[2] for sent in desk.sent("PUT")]

    def test_are_not_sent_again(self, client: CatalogClient, desk: Desk, batch: Batch) -> None:
        assert self.sent(client, desk, batch) == []

    def test_are_told_from_those_that_have_not_arrived(
        self, client: CatalogClient, desk: Desk, batch: Batch, folder: Path
    ) -> None:
        (folder / "c").write_text("c\n")
        os.utime("c", (1_000_000_000, 1_000_000_000))
        assert self.sent(client, desk, batch) == ["c"]

    @pytest.mark.parametrize("content", ["", "aa\n"], ids=["shorter", "longer"])
    def test_are_sent_again_if_the_platform_has_another_size(
        self, client: CatalogClient, desk: Desk, batch: Batch, batch_id: str, content: str
    ) -> None:
        client.put_file(batch_id, CRM_PROFILES, "a", lambda: BytesIO(content.encode()))
        desk.forget()
        assert self.sent(client, desk, batch) == ["a"]

    @pytest.mark.parametrize("after", [0, 1, 3600])
    def test_are_sent_again_if_they_were_written_to_since_the_batch_was_opened(
        self, client: CatalogClient, desk: Desk, batch: Batch, after: float
    ) -> None:
        assert batch.created is not None
        os.utime("b", (batch.created + after, batch.created + after))
        assert self.sent(client, desk, batch) == ["b"]
        assert [sent.path.rpartition("/")[2] for sent in desk.sent("HEAD")] == ["a"]

    def test_are_sent_again_where_the_store_does_not_tell_when_they_were_written(
        self, client: CatalogClient, desk: Desk, batch: Batch, folder: Path
    ) -> None:
        of_unknown_age = replace(source(folder / "a", remote_name="a"), store=Ageless())
        look = Ageless().look(str(folder / "a"))
        upload_into(client, batch, replace(of_unknown_age, look=look))
        assert [sent.method for sent in desk.sent()] == ["PUT"]

    def test_are_all_sent_again_where_the_platform_does_not_tell_of_small_ones(
        self, client: CatalogClient, desk: Desk, batch: Batch
    ) -> None:
        desk.set(head_of_small_files=False)
        assert self.sent(client, desk, batch) == ["a", "b"]

    def test_are_not_looked_for_in_a_batch_that_was_opened_just_now(
        self, client: CatalogClient, desk: Desk, batch: Batch
    ) -> None:
        assert self.sent(client, desk, Batch(batch.id, "loading")) == ["a", "b"]
        assert desk.sent("HEAD") == []

    def test_are_counted_in_the_log(
        self, client: CatalogClient, batch: Batch, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "airflow_provider_catalog")
        (folder / "c").write_text("cc\n")
        upload_into(client, batch, *find_files("*"))
        assert "Uploaded 1 file(s), 3 bytes in" in caplog.text
        assert "2 file(s) were there already." in caplog.text


class Ageless(LocalStore):
    """A store that does not tell when a file was written."""

    def look(self, path: str) -> Look:
        return replace(super().look(path), written=None)


class TestSeveralAtOnce:
    @pytest.fixture
    def files(self, folder: Path) -> list[SourceFile]:
        """Twenty small files."""
        for number in range(20):
            (folder / f"{number:02}").write_text(f"{number}\n")
        return list(find_files("*"))

    def test_share_a_few_connections(
        self, client: CatalogClient, desk: Desk, batch_id: str, files: list[SourceFile], stored: Stored
    ) -> None:
        upload(client, batch_id, *files, parallel=4)
        assert 1 <= len({sent.connection for sent in desk.sent("PUT")}) <= 4
        assert stored() == {f"{number:02}": f"{number}\n".encode() for number in range(20)}

    def test_are_under_way_at_the_same_time(
        self, client: CatalogClient, desk: Desk, batch_id: str, files: list[SourceFile]
    ) -> None:
        desk.hold_requests("before", "*/files/*", times=3)
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(upload, client, batch_id, *files, parallel=3)
            assert len(desk.held(count=3)) == 3
            desk.release_all()
            done.result()
        assert len(desk.sent("PUT")) == 20

    def test_each_repeats_its_own_trouble(
        self, client: CatalogClient, desk: Desk, batch_id: str, files: list[SourceFile], stored: Stored
    ) -> None:
        desk.break_next({"status": 503}, "*/files/*7", times=3)
        upload(client, batch_id, *files, parallel=4)
        assert len(desk.sent("PUT")) == 23
        assert len(stored()) == 20

    def test_are_all_stopped_by_a_lasting_failure_of_one(
        self,
        client: CatalogClient,
        desk: Desk,
        batch_id: str,
        files: list[SourceFile],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # Those that wait before they try again would wait for ever.
        monkeypatch.setattr(pace, "wait", lambda event, _: event.wait())
        desk.hold_requests("before", "*/files/*", times=4)
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(upload, client, batch_id, *files, parallel=4)
            for held in desk.held(count=4):
                desk.release(held["id"], {"status": 403 if held["path"].endswith("03") else 503})
            with pytest.raises(ApiError, match="files/03 was answered with 403"):
                done.result()
        assert len(desk.sent("PUT")) == 4

    def test_are_all_stopped_by_whoever_checks_in(
        self, client: CatalogClient, desk: Desk, batch_id: str, files: list[SourceFile]
    ) -> None:
        class Killed(Exception):
            pass

        def check_in() -> None:
            if desk.sent("PUT"):
                raise Killed

        with pytest.raises(Killed):
            upload(client, batch_id, *files, parallel=2, check_in=check_in)
        assert len(desk.sent("PUT")) < 20

    @pytest.mark.parametrize("given", [0, -1, 33, 2.0, "4", True, None])
    def test_are_from_one_to_thirty_two(self, given: Any) -> None:
        with pytest.raises(
            InvalidInputError, match=r"max_parallel_uploads: got .*a whole number from 1 to 32"
        ):
            checked_parallel(given)

    def test_leave_no_thread_behind(
        self, client: CatalogClient, desk: Desk, batch_id: str, files: list[SourceFile]
    ) -> None:
        before = set(threading.enumerate())
        desk.break_next({"status": 403}, "*/files/10")
        with pytest.raises(ApiError):
            upload(client, batch_id, *files, parallel=4)
        assert not [each for each in set(threading.enumerate()) - before if each.name.startswith("adobe")]
