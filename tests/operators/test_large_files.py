"""Large files that come to harm on their way: a clear error, nothing promoted, and the next try loads all of it, once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import CRM_PROFILES, Desk
from stores import BUCKET, S3
from tasks import Run, Visit, dag, run_try

from airflow_provider_catalog.api.errors import FileChangedError, FileSpoiledError, UploadUnknownError
from airflow_provider_catalog.api.large_files import ByteRange
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.ingest import chunks, pace, plan
from airflow_provider_catalog.operators.ingest import IngestFilesOperator

CONTENT = b"".join(b'{"person": {"name": {"firstName": "%05d"}}}\n' % number for number in range(6))
OTHER_CONTENT = CONTENT.replace(b"0000", b"1111")
PIECE = 100
"""Bytes of one upload, at most: two lines and a bit."""

LINES, MULTI_LINE = "json", "multiline-json"
CHUNKS = [
    f"bytes {first}-{min(first + PIECE, len(CONTENT)) - 1}/{len(CONTENT)}"
    for first in range(0, len(CONTENT), PIECE)
]
LOST: dict[str, Any] = {"drop": "before"}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of more than 100 bytes are large."""
    monkeypatch.setattr(plan, "SMALL_FILE_LIMIT", PIECE)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", PIECE)


@pytest.fixture
def file(tmp_path: Path, desk: Desk) -> Path:
    """A file that is older than any batch; and the platform promotes at once."""
    desk.set(promotion_seconds=0)
    path = tmp_path / "rows.json"
    path.write_bytes(CONTENT)
    os.utime(path, (0, 0))
    return path


def load(files: Path | str, number: int, input_format: str = MULTI_LINE) -> dict[str, Any]:
    """Make one try of the task, and give its result."""
    task = IngestFilesOperator(
        task_id="load",
        dataset_id=CRM_PROFILES,
        files=files,
        input_format=input_format,
        max_parallel_uploads=1,
        deferrable=False,
        retries=9,
        dag=dag(),
    )
    visit = Visit(task, Run(), try_number=number)
    result: dict[str, Any] = run_try(visit).xcoms["return_value"]
    return result


def assert_only_promoted(desk: Desk, result: dict[str, Any], content: bytes = CONTENT) -> None:
    """One batch is promoted, with the file's rows; all others are aborted."""
    rows = content.decode().splitlines()
    assert (result["status"], result["records_written"]) == ("success", len(rows))
    *others, promoted = desk.batches()
    assert (promoted.id, promoted.status) == (result["id"], "success")
    assert sorted(promoted.rows) == sorted(rows)
    assert {other.status for other in others} <= {"aborted"}


def statuses(desk: Desk) -> list[str]:
    return [batch.status for batch in desk.batches()]


def ranges(desk: Desk) -> list[str]:
    """The chunks that were sent, in order."""
    return [sent.headers["Content-Range"] for sent in desk.sent("PATCH")]


class TestWhatThePlatformGetsWrong:
    def test_a_chunk_is_lost_again_and_again(self, desk: Desk, file: Path) -> None:
        desk.break_next({"lose": True}, method="PATCH", skip=1, times=chunks.ATTEMPTS + len(CHUNKS) - 2)
        with pytest.raises(FileSpoiledError, match=r"the platform has lost bytes .*, more than once"):
            load(file, 1)
        assert statuses(desk) == ["aborted"]
        assert_only_promoted(desk, load(file, 2))

    def test_a_chunk_is_lost_and_nobody_tells(self, desk: Desk, file: Path) -> None:
        desk.set(received_ranges="none")
        desk.break_next({"lose": True}, method="PATCH", skip=1)
        with pytest.raises(FileSpoiledError, match="does not accept it as a whole"):
            load(file, 1)
        assert statuses(desk) == ["aborted"]
        assert_only_promoted(desk, load(file, 2))

    def test_a_chunk_overlaps_with_another_one(
        self, desk: Desk, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.break_next({"drop": "after"}, method="PATCH", skip=2)
        monkeypatch.setattr(pace, "wait", lambda *_: send_overlapping_chunk(desk, file))
        with pytest.raises(FileSpoiledError, match=r"does not accept it as a whole.*answered with 400"):
            load(file, 1)
        assert statuses(desk) == ["aborted"]
        assert_only_promoted(desk, load(file, 2))


def send_overlapping_chunk(desk: Desk, file: Path) -> None:
    """Do what another process might that has the same batch."""
    client = CatalogHook().client
    url = client.file_url(desk.batches()[0].id, CRM_PROFILES, file.name)
    part = file.with_name("part")
    part.write_bytes(CONTENT[50:150])
    client.large_files.send(url, ByteRange(50, 150), len(CONTENT), lambda: part.open("rb"))


CHANGES: dict[str, tuple[bytes, str]] = {
    "grows": (CONTENT + CONTENT, "grew while it was being uploaded"),
    "shrinks": (CONTENT[: len(CONTENT) // 2], "shrank while it was being uploaded"),
    "is written anew": (OTHER_CONTENT, "was written to while it was being uploaded"),
}


class TestASourceThatChangesWhileItIsRead:
    @pytest.fixture
    def meanwhile(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
        """``meanwhile(do)``: something happens when a part of the file has arrived, and the client waits to send the next one."""

        def prepare(do: Callable[[], Any]) -> None:
            desk.break_next(LOST, "*/files/*", method="P[AU]T*", skip=1)
            monkeypatch.setattr(pace, "wait", lambda *_: do())

        return prepare

    @pytest.mark.parametrize(("content", "complaint"), CHANGES.values(), ids=list(CHANGES))
    def test_is_not_promoted_in_parts(
        self, desk: Desk, file: Path, meanwhile: Callable[..., None], content: bytes, complaint: str
    ) -> None:
        meanwhile(lambda: file.write_bytes(content))
        with pytest.raises(FileChangedError, match=complaint):
            load(file, 1, LINES)
        assert statuses(desk) == ["loading"]
        assert_only_promoted(desk, load(file, 2, LINES), content)

    @pytest.mark.parametrize(("content", "complaint"), CHANGES.values(), ids=list(CHANGES))
    def test_is_not_promoted_in_chunks(
        self, desk: Desk, file: Path, meanwhile: Callable[..., None], content: bytes, complaint: str
    ) -> None:
        meanwhile(lambda: file.write_bytes(content))
        with pytest.raises(FileSpoiledError, match=complaint):
            load(file, 1)
        assert statuses(desk) == ["aborted"]
        assert_only_promoted(desk, load(file, 2), content)

    def test_is_not_promoted_from_a_store(self, desk: Desk, s3: S3, meanwhile: Callable[..., None]) -> None:
        desk.set(promotion_seconds=0)
        s3.put("rows.json", CONTENT)
        meanwhile(lambda: s3.put("rows.json", OTHER_CONTENT))
        with pytest.raises(FileSpoiledError, match=r"rows.json was written to while it was being uploaded"):
            load(f"s3://landing_zone@{BUCKET}/rows.json", 1)
        assert statuses(desk) == ["aborted"]
        assert_only_promoted(desk, load(f"s3://landing_zone@{BUCKET}/rows.json", 2), OTHER_CONTENT)


def test_a_later_try_sends_only_the_chunks_of_a_stores_file_that_are_missing(desk: Desk, s3: S3) -> None:
    desk.set(promotion_seconds=0)
    s3.put("rows.json", CONTENT)
    desk.advance(2)  # the store tells whole seconds, and the file must be older than the batch
    address = f"s3://landing_zone@{BUCKET}/rows.json"
    desk.break_next(LOST, method="PATCH", skip=1, times=None)
    with pytest.raises(UploadUnknownError):
        load(address, 1)
    desk.mend()
    desk.forget()
    assert_only_promoted(desk, load(address, 2))
    assert ranges(desk) == CHUNKS[1:]


def test_a_try_that_finds_its_spoiled_batch_open_still_is_followed_by_one_that_loads_all(
    desk: Desk, file: Path
) -> None:
    desk.freeze()
    desk.set(catalog_lag=4.5, received_ranges="none")
    # The client waits until the Catalog shows the batch, and sends the chunk once more: then they overlap.
    desk.break_next({"drop": "after"}, method="PATCH")
    for number in (1, 2):
        with pytest.raises(FileSpoiledError):
            load(file, number)
    assert statuses(desk) == ["aborted"]
    assert_only_promoted(desk, load(file, 3))
