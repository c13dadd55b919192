"""Files that can't be cut, on their way in chunks: begun, gone on with after trouble, never spoiled unnoticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from client_stage import Pauses
from desk import CRM_PROFILES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    FileSpoiledError,
    SourceError,
    UnreachableError,
)
from airflow_provider_catalog.api.large_files import ByteRange, gaps, merged
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS
from airflow_provider_catalog.ingest import chunks, pace, plan
from airflow_provider_catalog.ingest.files import find_files
from airflow_provider_catalog.ingest.plan import plan_upload
from airflow_provider_catalog.ingest.upload import Upload

Stored = Callable[[], dict[str, bytes]]

PARQUET = {"format": "parquet"}
CONTENT = bytes(range(250))
CHUNKS = ["bytes 0-99/250", "bytes 100-199/250", "bytes 200-249/250"]
LOST_ANSWERS: list[dict[str, Any]] = [{"drop": "after"}, {"status": 503, "after": True}]
LOST_REQUESTS: list[dict[str, Any]] = [{"drop": "before"}, {"status": 503}]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of more than 100 bytes are large, and go in chunks of 100."""
    monkeypatch.setattr(plan, "SMALL_FILE_LIMIT", 100)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 100)


@pytest.fixture
def file(folder: Path) -> Path:
    """A file that is older than any batch."""
    (folder / "a.parquet").write_bytes(CONTENT)
    age("a.parquet")
    return folder / "a.parquet"


def age(name: str | Path) -> None:
    os.utime(name, (1_000_000_000, 1_000_000_000))


def upload(client: CatalogClient, batch: Batch | str, **options: Any) -> None:
    into = Batch(batch, "loading") if isinstance(batch, str) else batch
    what = plan_upload(find_files("*.parquet"), PARQUET)
    Upload(client, into, CRM_PROFILES, what, **{"parallel": 1, **options}).run()


def wire(desk: Desk) -> list[str]:
    """What was sent, in short."""
    return [
        sent.headers.get("Content-Range") or sent.query.get("action") or sent.method
        for sent in desk.sent(path="*/files/*")
    ]


def patch(desk: Desk, effect: dict[str, Any], **match: Any) -> None:
    desk.break_next(effect, "*/files/*", method="PATCH", **match)


class TestAFile:
    def test_is_begun_sent_in_chunks_looked_at_and_ended(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str, stored: Stored
    ) -> None:
        upload(client, batch_id)
        assert wire(desk) == ["HEAD", "INITIALIZE", *CHUNKS, "HEAD", "COMPLETE"]
        assert stored() == {"a.parquet": CONTENT}

    @pytest.mark.parametrize("form", ["bytes=", "bytes", "bare"])
    @pytest.mark.parametrize("bodies", ["empty", "json"])
    def test_arrives_however_the_platform_words_its_answers(
        self,
        client: CatalogClient,
        desk: Desk,
        file: Path,
        batch_id: str,
        stored: Stored,
        form: str,
        bodies: str,
    ) -> None:
        desk.set(received_ranges=form, bodies=bodies, file_action_status=200, chunk_total="required")
        patch(desk, {"drop": "after"}, skip=1)
        upload(client, batch_id)
        assert stored() == {"a.parquet": CONTENT}

    def test_sends_chunks_at_the_same_time(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str, stored: Stored
    ) -> None:
        desk.hold_requests("before", "*/files/*", times=3, method="PATCH")
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(upload, client, batch_id, parallel=3)
            assert len(desk.held(count=3)) == 3
            desk.release_all()
            done.result()
        assert stored() == {"a.parquet": CONTENT}

    def test_is_ended_only_when_all_others_have_arrived(
        self, client: CatalogClient, desk: Desk, file: Path, folder: Path, batch_id: str
    ) -> None:
        (folder / "b.parquet").write_bytes(CONTENT)
        (folder / "c.parquet").write_bytes(b"small")
        upload(client, batch_id)
        sent = wire(desk)
        assert sent.index("COMPLETE") > max(sent.index("PUT"), len(sent) - 5)
        assert sent.count("COMPLETE") == 2


class TestTrouble:
    @pytest.mark.parametrize("effect", LOST_ANSWERS, ids=str)
    def test_an_answer_to_a_chunk_that_is_lost_sends_nothing_twice(
        self,
        client: CatalogClient,
        desk: Desk,
        file: Path,
        batch_id: str,
        stored: Stored,
        effect: dict[str, Any],
    ) -> None:
        patch(desk, effect, skip=1)
        upload(client, batch_id)
        assert wire(desk) == ["HEAD", "INITIALIZE", *CHUNKS[:2], "HEAD", CHUNKS[2], "HEAD", "COMPLETE"]
        assert stored() == {"a.parquet": CONTENT}

    @pytest.mark.parametrize("effect", LOST_REQUESTS, ids=str)
    def test_a_chunk_that_is_lost_on_its_way_is_sent_again(
        self,
        client: CatalogClient,
        desk: Desk,
        file: Path,
        batch_id: str,
        stored: Stored,
        effect: dict[str, Any],
    ) -> None:
        patch(desk, effect, skip=1)
        upload(client, batch_id)
        assert wire(desk)[2:6] == [*CHUNKS[:2], "HEAD", CHUNKS[1]]
        assert stored() == {"a.parquet": CONTENT}

    def test_a_platform_that_is_busy_is_given_time_before_it_is_asked_what_has_arrived(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str, pauses: Pauses
    ) -> None:
        patch(desk, {"drop": "after"})
        upload(client, batch_id)
        assert list(pauses) == [5.0]

    @pytest.mark.parametrize("effect", [{"status": 429}, {"expire_token": True}], ids=str)
    def test_a_chunk_that_was_certainly_not_taken_is_sent_again_at_once(
        self,
        client: CatalogClient,
        desk: Desk,
        file: Path,
        batch_id: str,
        stored: Stored,
        effect: dict[str, Any],
    ) -> None:
        patch(desk, effect, skip=1)
        upload(client, batch_id)
        assert wire(desk) == ["HEAD", "INITIALIZE", *CHUNKS[:2], *CHUNKS[1:], "HEAD", "COMPLETE"]
        assert stored() == {"a.parquet": CONTENT}

    @pytest.mark.parametrize("effect", LOST_ANSWERS + LOST_REQUESTS, ids=str)
    def test_an_answer_to_the_beginning_that_is_lost_begins_nothing_twice(
        self,
        client: CatalogClient,
        desk: Desk,
        file: Path,
        batch_id: str,
        stored: Stored,
        effect: dict[str, Any],
    ) -> None:
        desk.break_next(effect, "*/files/*", method="POST")
        upload(client, batch_id)
        assert stored() == {"a.parquet": CONTENT}

    @pytest.mark.parametrize("effect", LOST_REQUESTS, ids=str)
    def test_an_end_that_is_lost_on_its_way_is_sent_again(
        self,
        client: CatalogClient,
        desk: Desk,
        file: Path,
        batch_id: str,
        stored: Stored,
        effect: dict[str, Any],
    ) -> None:
        desk.break_next(effect, "*/files/*", method="POST", skip=1)
        upload(client, batch_id)
        assert stored() == {"a.parquet": CONTENT}

    def test_an_end_whose_answer_is_lost_may_have_been_refused(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str
    ) -> None:
        desk.break_next({"drop": "after"}, "*/files/*", method="POST", skip=1)
        with pytest.raises(FileSpoiledError, match=r"a.parquet can't be completed in this batch"):
            upload(client, batch_id)

    def test_an_end_whose_answer_is_lost_is_well_where_a_second_one_is_accepted(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str, stored: Stored
    ) -> None:
        desk.set(second_completion="accepted")
        desk.break_next({"drop": "after"}, "*/files/*", method="POST", skip=1)
        upload(client, batch_id)
        assert stored() == {"a.parquet": CONTENT}

    def test_that_lasts_is_given_up_for_now(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str
    ) -> None:
        patch(desk, {"drop": "before"}, times=None)
        with pytest.raises(Exception, match=r"PATCH .* got no usable answer") as caught:
            upload(client, batch_id)
        assert not caught.value.permanent  # type: ignore[attr-defined]
        assert len(desk.sent("PATCH")) == chunks.ATTEMPTS

    def test_that_is_meant_for_the_client_ends_the_upload(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str
    ) -> None:
        patch(desk, {"status": 403})
        with pytest.raises(ApiError, match="403"):
            upload(client, batch_id)
        assert "COMPLETE" not in wire(desk)


class TestALaterTry:
    @pytest.fixture
    def batch(self, client: CatalogClient, desk: Desk, file: Path, batch_id: str) -> Batch:
        """A batch into which a try has brought the first and the last chunk of the file."""
        patch(desk, {"status": 403}, skip=1)
        with pytest.raises(ApiError):
            upload(client, batch_id)
        patch(desk, {"status": 403}, skip=2, times=1)
        url = client.file_url(batch_id, CRM_PROFILES, "a.parquet")
        (source,) = find_files("a.parquet")
        client.large_files.send(url, ByteRange(200, 250), 250, lambda: cast(BinaryIO, source.open(200)))
        desk.mend()
        desk.forget()
        return client.get_batch(batch_id)

    def test_sends_only_what_is_missing(
        self, client: CatalogClient, desk: Desk, batch: Batch, stored: Stored
    ) -> None:
        desk.forget()
        upload(client, batch)
        assert wire(desk) == ["HEAD", CHUNKS[1], "HEAD", "COMPLETE"]
        assert stored() == {"a.parquet": CONTENT}

    def test_does_not_mix_two_versions_of_a_file(
        self, client: CatalogClient, desk: Desk, batch: Batch, file: Path
    ) -> None:
        file.write_bytes(CONTENT[::-1])
        with pytest.raises(
            FileSpoiledError, match="it has changed since a part of it was uploaded"
        ) as caught:
            upload(client, batch)
        assert not caught.value.permanent
        assert desk.sent("PATCH") == []

    def test_does_not_go_on_in_a_batch_of_unknown_age(self, client: CatalogClient, batch: Batch) -> None:
        with pytest.raises(FileSpoiledError, match="it has changed"):
            upload(client, batch.id)

    def test_needs_another_batch_where_the_platform_does_not_tell_what_it_has(
        self, client: CatalogClient, desk: Desk, batch: Batch
    ) -> None:
        desk.break_next({"status": 404}, "*/files/*", method="HEAD", times=None)
        with pytest.raises(FileSpoiledError, match="the platform does not let it begin"):
            upload(client, batch)

    def test_begins_anew_where_the_platform_lets_it(
        self, client: CatalogClient, desk: Desk, batch: Batch, stored: Stored
    ) -> None:
        desk.set(path_in_use="replaced")
        desk.break_next({"status": 404}, "*/files/*", method="HEAD")
        upload(client, batch)
        assert stored() == {"a.parquet": CONTENT}


class TestWhatThePlatformDoes:
    def test_a_chunk_that_it_loses_is_sent_again(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str, stored: Stored, caplog: Any
    ) -> None:
        patch(desk, {"lose": True}, skip=1)
        upload(client, batch_id)
        assert "The platform has lost bytes 100 to 199 of a.parquet" in caplog.text
        assert stored() == {"a.parquet": CONTENT}

    def test_a_chunk_that_it_loses_again_and_again_is_a_failure(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str
    ) -> None:
        patch(desk, {"lose": True}, skip=2, times=None)
        with pytest.raises(FileSpoiledError, match="the platform has lost bytes 200 to 249, more than once"):
            upload(client, batch_id)
        assert "COMPLETE" not in wire(desk)

    def test_a_loss_of_which_it_does_not_tell_shows_at_the_end(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str
    ) -> None:
        desk.set(received_ranges="none")
        patch(desk, {"lose": True}, skip=1)
        with pytest.raises(FileSpoiledError, match="the platform does not accept it as a whole"):
            upload(client, batch_id)

    def test_a_chunk_that_overlaps_shows_at_the_end(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = client.file_url(batch_id, CRM_PROFILES, "a.parquet")
        (source,) = find_files("a.parquet")

        def send_another(*_: Any) -> None:
            client.large_files.send(
                url, ByteRange(50, 150), 250, lambda: cast(BinaryIO, source.open(50, 150))
            )

        patch(desk, {"drop": "after"}, skip=2)
        monkeypatch.setattr(pace, "wait", send_another)

        with pytest.raises(
            FileSpoiledError, match=r"does not accept it as a whole. POST .* was answered with 400"
        ):
            upload(client, batch_id)


class TestAFileThatChanges:
    @pytest.fixture
    def meanwhile(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
        """``meanwhile(do)``: after the first chunk something happens while the client waits."""

        def prepare(do: Callable[[], Any]) -> None:
            patch(desk, {"drop": "before"}, skip=1)
            monkeypatch.setattr(pace, "wait", lambda event, seconds: do())

        return prepare

    @pytest.mark.parametrize(
        ("new", "verb"),
        [(CONTENT * 2, "grew"), (CONTENT[:-1], "shrank"), (CONTENT[::-1], "was written to")],
        ids=["grows", "shrinks", "is written anew"],
    )
    def test_while_it_is_sent_is_not_ended(
        self,
        client: CatalogClient,
        desk: Desk,
        file: Path,
        batch_id: str,
        meanwhile: Callable[..., None],
        new: bytes,
        verb: str,
    ) -> None:
        meanwhile(lambda: file.write_bytes(new))
        with pytest.raises(FileSpoiledError, match=f"a.parquet {verb} while it was being uploaded"):
            upload(client, batch_id)
        assert "COMPLETE" not in wire(desk)

    def test_and_vanishes_is_not_ended(
        self, client: CatalogClient, desk: Desk, file: Path, batch_id: str, meanwhile: Callable[..., None]
    ) -> None:
        meanwhile(file.unlink)
        with pytest.raises(FileSpoiledError, match="is not there any more"):
            upload(client, batch_id)
        assert "COMPLETE" not in wire(desk)


def ranges(*pairs: tuple[int, int]) -> list[ByteRange]:
    return [ByteRange(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("received", "missing"),
    [
        ([], [(0, 10)]),
        ([(0, 10)], []),
        ([(0, 20)], []),
        ([(3, 5)], [(0, 3), (5, 10)]),
        ([(5, 7), (0, 2)], [(2, 5), (7, 10)]),
        ([(0, 4), (4, 8)], [(8, 10)]),
        ([(0, 6), (2, 8)], [(8, 10)]),
        ([(12, 20)], [(0, 10)]),
    ],
)
def test_gaps(received: list[tuple[int, int]], missing: list[tuple[int, int]]) -> None:
    assert list(gaps(ranges(*received), ByteRange(0, 10))) == ranges(*missing)


def test_ranges_that_touch_are_one() -> None:
    assert merged(ranges((5, 6), (0, 2), (2, 4))) == tuple(ranges((0, 4), (5, 6)))


def test_a_source_that_cannot_be_read_is_trouble_that_passes(
    client: CatalogClient, desk: Desk, file: Path, batch_id: str
) -> None:
    opened: list[Any] = []

    class Flaky:
        def __init__(self) -> None:
            opened.append(self)

        def __len__(self) -> int:
            return 100

        def read(self, size: int) -> bytes:
            raise SourceError("It can't be read.")

        def close(self) -> None:
            pass

    with pytest.raises(UnreachableError, match="what it sends could not be read; It can't be read"):
        client.put_file(batch_id, CRM_PROFILES, "b", Flaky)  # type: ignore[arg-type]
    assert len(opened) == DEFAULT_ATTEMPTS
