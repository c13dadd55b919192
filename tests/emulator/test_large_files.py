"""Large files: INITIALIZE, chunks, HEAD, COMPLETE, and what becomes of what does not fit together."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, PAGE_VIEWS
from airflow_provider_catalog.emulator.server import Emulator, running

from .client import Client

ROWS = b"".join(b'{"_id": "%04d"}\n' % number for number in range(25))  # 400 bytes
QUARTERS = [(0, 99), (100, 199), (200, 299), (300, 399)]
OTHER = b"?" * 400


def begin(api: Client, **fields: Any) -> str:
    """Open a batch with a large file; return its id."""
    batch_id = api.open(**fields)
    assert api.file_action(batch_id, "INITIALIZE").status_code == 201
    return batch_id


def send(api: Client, batch_id: str, first: int, last: int, data: bytes = ROWS) -> requests.Response:
    return api.patch(batch_id, data[first : last + 1], f"bytes {first}-{last}/400")


def send_all(api: Client, batch_id: str, *ranges: tuple[int, int]) -> None:
    for first, last in ranges:
        assert send(api, batch_id, first, last).status_code == 200


def complete(api: Client, batch_id: str) -> requests.Response:
    return api.file_action(batch_id, "COMPLETE")


def promoted(api: Client, batch_id: str, name: str = "large.json") -> bytes:
    """Complete a batch that has to succeed; return a file of it."""
    api.signal(batch_id)
    api.advance(10)
    assert api.status(batch_id) == "success"
    return api.get(f"export/files/{batch_id}-1?path={name}").content


def files_of(emulator: Emulator, batch_id: str) -> dict[str, Any]:
    batch = emulator.platform.batches.find(batch_id)
    assert batch
    return dict(batch.files)


def stored(emulator: Emulator) -> list[Path]:
    return list(emulator.platform.store.new_file().parent.iterdir())


def test_chunks_in_any_order_become_a_file_like_others(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    api.put(batch_id, b'{"_id": "small"}', "small.json")
    for first, last in (QUARTERS[2], QUARTERS[0], QUARTERS[3], QUARTERS[1]):
        answer = send(api, batch_id, first, last)
        assert (answer.status_code, answer.content, answer.headers.get("Range")) == (200, b"", None)
    answer = complete(api, batch_id)
    assert (answer.status_code, answer.content) == (201, b"")
    assert promoted(api, batch_id) == ROWS
    assert (
        api.batch(batch_id)["metrics"] | {"inputRecordCount": 26, "inputFileCount": 2}
        == (api.batch(batch_id)["metrics"])
    )
    assert len(stored(emulator)) == 2


def test_chunks_arrive_side_by_side(api: Client, emulator: Emulator) -> None:
    size = 1_000_000
    data = b"".join(b'{"_id": "%01001d"}\n' % number for number in range(4 * size // 1013))
    chunks = [(first, min(first + size, len(data)) - 1) for first in range(0, len(data), size)]
    batch_id = begin(api)

    def upload(ends: tuple[int, int]) -> int:
        first, last = ends
        content_range = f"bytes {first}-{last}/{len(data)}"
        return Client(emulator).patch(batch_id, data[first : last + 1], content_range).status_code

    with ThreadPoolExecutor(4) as workers:
        assert set(workers.map(upload, chunks)) == {200}
    assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == data


def test_bodies_and_statuses_can_be_switched_to_those_of_the_specification(api: Client) -> None:
    api.set(bodies="json", file_action_status=200)
    batch_id = api.open()
    begun = api.file_action(batch_id, "INITIALIZE")
    assert (begun.status_code, begun.json()) == (200, {"name": "large.json", "sizeInBytes": 0})
    part = send(api, batch_id, 100, 199)
    assert part.json() == {"name": "large.json", "sizeInBytes": 100}
    assert part.headers["Range"] == "bytes=100-199"
    send_all(api, batch_id, (0, 99), (200, 399))
    done = complete(api, batch_id)
    assert (done.status_code, done.json()) == (200, {"name": "large.json", "sizeInBytes": 400})


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("bytes=", "bytes=0-199,300-399"),
        ("bytes", "bytes 0-199,300-399"),
        ("bare", "0-199,300-399"),
        ("none", None),
    ],
)
def test_head_tells_which_bytes_have_arrived(api: Client, form: str, expected: str | None) -> None:
    api.set(received_ranges=form)
    batch_id = begin(api)
    assert (api.head(batch_id).status_code, api.head(batch_id).headers.get("Range")) == (200, None)
    send_all(api, batch_id, (100, 199), (300, 399), (0, 149))
    assert api.head(batch_id).headers.get("Range") == expected


def test_head_finds_a_completed_large_file_even_where_it_finds_no_small_one(api: Client) -> None:
    api.set(head_of_small_files=False)
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS)
    complete(api, batch_id)
    api.put(batch_id, b"{}", "small.json")
    assert api.head(batch_id).headers["Range"] == "bytes=0-399"
    assert api.head(batch_id, "small.json").status_code == 404


@pytest.mark.parametrize(
    ("ranges", "why"),
    [
        ([], "No chunk has arrived"),
        ([(0, 99), (100, 199), (300, 399)], "bytes 200-299"),
        ([(100, 199), (200, 299), (300, 399)], "bytes 0-99"),
        ([(0, 99), (100, 199), (200, 299)], "bytes 300-399"),
        ([(0, 199), (100, 399)], "overlap at byte 100"),
        ([(0, 399), (100, 199)], "overlap at byte 100"),
        ([(0, 199), (0, 199), (200, 399)], "overlap at byte 0"),
    ],
    ids=str,
)
def test_chunks_that_are_missing_or_overlap_are_found_at_completion(
    api: Client, ranges: list[tuple[int, int]], why: str
) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, *ranges)
    answer = complete(api, batch_id)
    assert answer.status_code == 400
    assert why in answer.json()["detail"]


def test_a_missing_chunk_can_be_sent_after_completion_was_refused(api: Client) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, (0, 199))
    assert complete(api, batch_id).status_code == 400
    send_all(api, batch_id, (200, 399))
    assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == ROWS


def test_a_chunk_that_is_sent_again_can_be_ignored(api: Client) -> None:
    api.set(repeated_chunk="ignored")
    batch_id = begin(api)
    send_all(api, batch_id, (0, 199), (200, 399))
    assert send(api, batch_id, 0, 199, OTHER).status_code == 200
    assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == ROWS


def test_an_overlap_that_is_no_repetition_is_not_ignored(api: Client) -> None:
    api.set(repeated_chunk="ignored")
    batch_id = begin(api)
    send_all(api, batch_id, (0, 199), (0, 99), (200, 399))
    assert complete(api, batch_id).status_code == 400


@pytest.mark.parametrize(
    ("content_range", "accepted_with"),
    [
        ("bytes 0-99/400", {"optional", "required"}),
        ("bytes 0-99/*", {"optional"}),
        ("bytes 0-99", {"optional", "refused"}),
        ("bytes=0-99/400", set()),
        ("Bytes 0-99", set()),
        ("0-99", set()),
        ("bytes 0-99/", set()),
        ("bytes -0-99", set()),
        ("bytes 99-0", set()),
        ("bytes */400", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_how_a_content_range_is_written(
    api: Client, content_range: str | None, accepted_with: set[str]
) -> None:
    batch_id = begin(api)
    for total in ("optional", "required", "refused"):
        api.set(chunk_total=total)
        status = api.patch(batch_id, ROWS[:100], content_range).status_code
        assert status == (200 if total in accepted_with else 400), total


@pytest.mark.parametrize("size", [0, 99, 101, 100_000])
@pytest.mark.parametrize("announced", [True, False])
def test_a_chunk_is_as_long_as_its_range(api: Client, size: int, announced: bool) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, (0, 99), (200, 399))
    body = OTHER[:1] * size
    answer = api.patch(batch_id, body if announced else iter([body]), "bytes 100-199/400")
    assert answer.status_code == 400
    assert api.head(batch_id).headers["Range"] == "bytes=0-99,200-399"
    send_all(api, batch_id, (100, 199))
    complete(api, batch_id)
    assert promoted(api, batch_id) == ROWS


@pytest.mark.parametrize("content_range", ["bytes 100-199/500", "bytes 300-400", "bytes 400-499/400"])
def test_a_chunk_that_contradicts_the_size_of_the_file_is_refused(api: Client, content_range: str) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, (0, 99))
    first, last = map(int, content_range.removeprefix("bytes ").partition("/")[0].split("-"))
    assert api.patch(batch_id, b"x" * (last - first + 1), content_range).status_code == 400


def test_a_chunk_beyond_the_end_that_is_named_later_is_found_at_completion(api: Client) -> None:
    batch_id = begin(api)
    api.patch(batch_id, ROWS[200:400], "bytes 200-399")
    assert api.patch(batch_id, ROWS[:200], "bytes 0-199/300").status_code == 200
    assert complete(api, batch_id).status_code == 400


def test_a_chunk_has_at_most_512_million_bytes(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    answer = announced(emulator, api, batch_id, 512_000_001, "bytes 0-512000000")
    assert answer.startswith(b"HTTP/1.1 413")
    api.set(chunk_limit=100)
    assert send(api, batch_id, 0, 99).status_code == 200
    assert send(api, batch_id, 100, 200).status_code == 413
    assert api.patch(batch_id, iter([b"x" * 101]), "bytes 100-200").status_code == 413


def announced(
    emulator: Emulator,
    api: Client,
    batch_id: str,
    length: int,
    content_range: str | None,
    method: str = "PATCH",
) -> bytes:
    """Announce a body that is never sent; return the beginning of the answer."""
    where = urlsplit(emulator.url)
    path = f"/data/foundation/import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/large.json"
    headers = {
        **api.session.headers,
        "Host": where.netloc,
        "Content-Type": "application/octet-stream",
        "Content-Length": str(length),
        **({"Content-Range": content_range} if content_range else {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
        return connection.recv(4096)


def test_a_chunk_that_breaks_off_counts_for_nothing(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, (0, 99))
    broken_off(api, batch_id, 100, 399)
    assert api.head(batch_id).headers["Range"] == "bytes=0-99"
    send_all(api, batch_id, (100, 199), (200, 399))
    assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == ROWS
    assert len(stored(emulator)) == 1


def test_a_chunk_that_breaks_off_spoils_none_that_is_there(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    for first, last in ((0, 199), (200, 399)):
        api.patch(batch_id, ROWS[first : last + 1], f"bytes {first}-{last}")
    broken_off(api, batch_id, 100, 299)
    broken_off(api, batch_id, 400, 499)
    assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == ROWS
    assert len(stored(emulator)) == 1


def broken_off(api: Client, batch_id: str, first: int, last: int) -> None:
    """Send a chunk, but not all of it."""

    def body() -> Iterator[bytes]:
        yield b"?" * (last - first)
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        api.patch(batch_id, body(), f"bytes {first}-{last}")
    api.get("catalog/batches")  # on a connection of its own; by its answer the end of the other was seen


@pytest.mark.parametrize("first_ends", ["before the second", "after the second", "never"])
@pytest.mark.parametrize("second_ends", [True, False])
def test_of_two_chunks_at_once_one_is_whole(
    api: Client, emulator: Emulator, first_ends: str, second_ends: bool
) -> None:
    """As when a worker that is believed dead sends beside its own retry."""
    api.set(repeated_chunk="ignored")
    batch_id = begin(api)
    send_all(api, batch_id, (0, 99))
    first, second = Slow(emulator, batch_id, b"1"), Slow(emulator, batch_id, b"2")
    chunks = [(first, first_ends != "never"), (second, second_ends)]
    whole = [chunk for chunk, ends in chunks if ends]
    for chunk, ends in reversed(chunks) if first_ends == "after the second" else chunks:
        chunk.finish(ends)
    if not whole:
        send_all(api, batch_id, (100, 399))
    assert complete(api, batch_id).status_code == 201
    [size] = [path.stat().st_size for path in stored(emulator)]
    content = stored(emulator)[0].read_bytes()[100:]
    assert size == 400
    assert content in ([chunk.sign * 300 for chunk in whole] or [ROWS[100:]])


class Slow:
    """A chunk of the bytes 100-399 of which two thirds have been sent."""

    def __init__(self, emulator: Emulator, batch_id: str, sign: bytes) -> None:
        self.sign = sign
        self._arrivals = emulator.platform.batches.find(batch_id).uploads["large.json"].arriving  # type: ignore[union-attr]
        self._go_on = threading.Event()
        self._ends = True
        self._worker = threading.Thread(target=self._send, args=(Client(emulator), batch_id))
        before = len(self._arrivals)
        self._worker.start()
        self._until(lambda: len(self._arrivals) > before and self._arrivals[-1].size == 200)

    def finish(self, ends: bool) -> None:
        """Send the rest, or hang up."""
        before = len(self._arrivals)
        self._ends = ends
        self._go_on.set()
        self._worker.join()
        self._until(lambda: len(self._arrivals) < before)

    def _send(self, client: Client, batch_id: str) -> None:
        def body() -> Iterator[bytes]:
            yield self.sign * 200
            self._go_on.wait(10)
            if not self._ends:
                raise OSError
            yield self.sign * 100

        with contextlib.suppress(OSError), client.session:
            assert client.patch(batch_id, body(), "bytes 100-399/400").status_code == 200

    def _until(self, true: Any) -> None:
        for _ in itertools.takewhile(lambda _: not true(), range(1000)):
            threading.Event().wait(0.005)
        assert true()


def meanwhile(act: Callable[[], object], data: bytes) -> Iterator[bytes]:
    """A body during which something else happens."""
    yield data[:1]
    act()
    yield data[1:]


@pytest.mark.parametrize("first", [350, 400])
def test_a_chunk_that_ends_after_its_file_is_refused(api: Client, emulator: Emulator, first: int) -> None:
    batch_id = begin(api)
    other = Client(emulator)

    def finish() -> None:
        for quarter in QUARTERS:
            other.patch(batch_id, ROWS[quarter[0] : quarter[1] + 1], "bytes {}-{}".format(*quarter))
        assert complete(other, batch_id).status_code == 201

    late = api.patch(batch_id, meanwhile(finish, b"?" * 100), f"bytes {first}-{first + 99}")
    assert late.status_code == 400
    assert promoted(api, batch_id) == ROWS


def test_a_chunk_that_ends_after_its_batch_is_refused(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    abandon = partial(api.advance, 86_401)
    assert api.patch(batch_id, meanwhile(abandon, ROWS[:100]), "bytes 0-99").status_code == 400


def test_a_chunk_that_ends_after_a_reset_has_no_batch(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    reset = partial(api.steer, "reset")
    assert api.patch(batch_id, meanwhile(reset, ROWS[:100]), "bytes 0-99").status_code == 404
    assert not stored(emulator)
    assert not list(emulator.platform.store.load("chunk"))


@pytest.mark.parametrize(
    ("content_range", "status"),
    [
        ("bytes 990-999", 200),
        ("bytes 991-1000", 400),
        ("bytes 999999999999999990-999999999999999999", 400),
    ],
)
def test_a_chunk_lies_where_a_batch_can_have_bytes(api: Client, content_range: str, status: int) -> None:
    api.set(max_batch_bytes=1000)
    assert api.patch(begin(api), b"x" * 10, content_range).status_code == status


def test_a_chunk_is_held_to_the_size_that_was_said_while_it_arrived(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    other = partial(Client(emulator).patch, batch_id, ROWS[100:200], "bytes 100-199/500")
    assert api.patch(batch_id, meanwhile(other, ROWS[:100]), "bytes 0-99/400").status_code == 400
    assert api.head(batch_id).headers["Range"] == "bytes=100-199"


def test_what_cannot_be_taken_is_refused_before_its_body_has_arrived(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, (0, 99))
    for method, length, content_range in (
        ("PUT", 100, None),
        ("PATCH", 99, "bytes 100-199/400"),
        ("PATCH", 100, "bytes 100-199/500"),
        ("PATCH", 100, "bytes 100-199/150"),
    ):
        answer = announced(emulator, api, batch_id, length, content_range, method)
        assert answer.startswith(b"HTTP/1.1 400"), (method, length, content_range)


def test_a_lost_chunk_is_answered_as_if_it_had_arrived(api: Client) -> None:
    batch_id = begin(api)
    api.fault({"lose": True}, {"method": "PATCH", "skip": 1})
    send_all(api, batch_id, *QUARTERS)
    assert api.head(batch_id).headers["Range"] == "bytes=0-99,200-399"
    assert complete(api, batch_id).status_code == 400
    send_all(api, batch_id, QUARTERS[1])
    assert complete(api, batch_id).status_code == 201


def test_a_chunk_that_would_be_refused_is_not_lost_but_refused(api: Client) -> None:
    batch_id = begin(api)
    api.fault({"lose": True}, {"method": "PATCH"})
    assert api.patch(batch_id, b"x", "bytes 0-99").status_code == 400


def test_a_small_file_can_be_lost_too(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    api.fault({"lose": True}, {"method": "PUT"})
    assert api.put(batch_id, b"{}").status_code == 200
    assert api.head(batch_id, "part.json").status_code == 404
    assert not stored(emulator)


@pytest.mark.parametrize("effect", [{"drop": "after"}, {"status": 503, "after": True}], ids=str)
def test_the_answers_to_all_calls_can_be_lost_after_the_work_was_done(
    api: Client, effect: dict[str, Any]
) -> None:
    batch_id = api.open()
    api.fault(effect, {"path": "*/files/*"}, times=3)
    for call in (
        lambda: api.file_action(batch_id, "INITIALIZE"),
        lambda: send(api, batch_id, 0, 399),
        lambda: complete(api, batch_id),
    ):
        with contextlib.suppress(requests.ConnectionError):
            call()
    assert promoted(api, batch_id) == ROWS


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_chunk_can_be_held(api: Client, emulator: Emulator, stage: str) -> None:
    batch_id = begin(api)
    api.fault({"hold": stage}, {"method": "PATCH"})
    with ThreadPoolExecutor(1) as worker:
        chunk = worker.submit(send, Client(emulator), batch_id, 0, 399)
        api.held()
        assert api.head(batch_id).headers.get("Range") == (None if stage == "before" else "bytes=0-399")
        api.release()
        assert chunk.result().status_code == 200
    assert complete(api, batch_id).status_code == 201


def test_what_is_sent_is_logged_but_for_the_bytes(api: Client) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS[:2])
    noted = api.requests("?method=PATCH")
    assert [dict(entry["headers"])["Content-Range"] for entry in noted] == [
        "bytes 0-99/400",
        "bytes 100-199/400",
    ]
    assert [(entry["request_body"], entry["request_size"], entry["status"]) for entry in noted] == (
        [(None, 100, 200)] * 2
    )
    [begun] = [entry for entry in api.requests("?method=POST") if entry["path"].endswith("/large.json")]
    assert begun["query"] == [["action", "INITIALIZE"]]


@pytest.mark.parametrize("action", ["", "initialize", "ABORT"])
def test_an_unknown_file_action_is_refused(api: Client, action: str) -> None:
    assert api.file_action(api.open(), action).status_code == 400


def test_the_media_types_are_checked(api: Client) -> None:
    batch_id = begin(api)
    for content_type in ("application/octet-stream", "text/plain", None):
        headers: Any = {"Content-Type": content_type}
        assert api.file_action(batch_id, "INITIALIZE", "other.json", **headers).status_code == 415
        assert api.file_action(batch_id, "COMPLETE", **headers).status_code == 415
    headers = {"Content-Type": "application/json"}
    assert api.patch(batch_id, b"{}", "bytes 0-1", **headers).status_code == 415


def test_a_chunk_needs_a_file_that_was_initialised(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    assert send(api, batch_id, 0, 99).status_code == 404
    assert complete(api, batch_id).status_code == 404
    assert api.head(batch_id).status_code == 404
    assert send(api, "none", 0, 99).status_code == 404
    assert api.file_action("none", "INITIALIZE").status_code == 404
    assert api.file_action(batch_id, "INITIALIZE", dataset_id=PAGE_VIEWS).status_code == 404
    assert Client(emulator, "prod").file_action(batch_id, "INITIALIZE").status_code == 404
    assert api.file_action(batch_id, "INITIALIZE", "a//b").status_code == 400


def test_a_file_in_one_piece_takes_no_chunks(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, ROWS, "large.json")
    assert send(api, batch_id, 0, 99).status_code == 400
    for setting in ("refused", "accepted"):
        api.set(second_completion=setting)
        assert complete(api, batch_id).status_code == 400
    assert promoted(api, batch_id) == ROWS


@pytest.mark.parametrize("before", ["small file", "upload", "large file"])
def test_a_path_in_use_is_not_initialised_again_unless_set_so(
    api: Client, emulator: Emulator, before: str
) -> None:
    batch_id = api.open()
    occupy(api, batch_id, before)
    assert api.file_action(batch_id, "INITIALIZE").status_code == 400
    assert api.head(batch_id).headers["Range"] == "bytes=0-399"
    api.set(path_in_use="replaced")
    assert api.file_action(batch_id, "INITIALIZE").status_code == 201
    assert api.head(batch_id).headers.get("Range") is None
    send_all(api, batch_id, (0, 399))
    assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == ROWS
    assert len(stored(emulator)) == 1


def occupy(api: Client, batch_id: str, how: str) -> None:
    if how == "small file":
        assert api.put(batch_id, OTHER, "large.json").status_code == 200
        return
    api.file_action(batch_id, "INITIALIZE")
    assert send(api, batch_id, 0, 399, OTHER).status_code == 200
    if how == "large file":
        assert complete(api, batch_id).status_code == 201


@pytest.mark.parametrize(("setting", "status"), [("refused", 400), ("replaced", 200)])
def test_a_file_in_one_piece_beside_an_upload(
    api: Client, emulator: Emulator, setting: str, status: int
) -> None:
    api.set(path_in_use=setting)
    batch_id = begin(api)
    send_all(api, batch_id, (0, 99))
    assert api.put(batch_id, ROWS, "large.json").status_code == status
    if setting == "refused":
        send_all(api, batch_id, (100, 399))
        assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == ROWS
    assert len(stored(emulator)) == 1


def test_a_file_in_one_piece_that_ends_after_an_upload_has_begun(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    begun = partial(Client(emulator).file_action, batch_id, "INITIALIZE")
    assert api.put(batch_id, meanwhile(begun, OTHER), "large.json").status_code == 400
    send_all(api, batch_id, *QUARTERS)
    assert complete(api, batch_id).status_code == 201
    assert promoted(api, batch_id) == ROWS


def test_a_file_in_one_piece_replaces_a_completed_large_one(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    occupy(api, batch_id, "large file")
    assert api.put(batch_id, ROWS, "large.json").status_code == 200
    assert promoted(api, batch_id) == ROWS
    assert len(stored(emulator)) == 1


@pytest.mark.parametrize(("setting", "status"), [("refused", 400), ("accepted", 201)])
def test_completing_a_file_once_more(api: Client, setting: str, status: int) -> None:
    api.set(second_completion=setting)
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS)
    assert [complete(api, batch_id).status_code for _ in range(2)] == [201, status]
    assert promoted(api, batch_id) == ROWS


def test_a_batch_with_a_file_that_is_not_completed_fails(api: Client, emulator: Emulator) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS)
    api.put(batch_id, b'{"_id": "1"}', "small.json")
    assert api.signal(batch_id).status_code == 200
    api.advance(10)
    batch = api.batch(batch_id)
    assert (batch["status"], batch["errors"][0]["code"]) == ("failed", "EMU-UNFINISHED-400")
    assert len(stored(emulator)) == 1
    assert api.head(batch_id).status_code == 404


def test_or_its_completion_is_refused(api: Client) -> None:
    api.set(unfinished_files="refused")
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS)
    assert api.signal(batch_id).status_code == 400
    complete(api, batch_id)
    assert promoted(api, batch_id) == ROWS


@pytest.mark.parametrize("action", ["ABORT", "FAIL", "COMPLETE"])
def test_a_batch_that_is_not_loading_takes_no_part_of_a_large_file(api: Client, action: str) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS)
    api.signal(batch_id, action)
    assert complete(api, batch_id).status_code == 400
    assert send(api, batch_id, 0, 99).status_code == 400
    assert api.file_action(batch_id, "INITIALIZE", "other.json").status_code == 400


@pytest.mark.parametrize("action", ["ABORT", "FAIL"])
def test_what_has_arrived_is_deleted_with_the_batch(api: Client, emulator: Emulator, action: str) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS)
    api.signal(batch_id, action)
    assert not stored(emulator)


def test_what_was_abandoned_is_deleted_when_the_next_large_file_begins(
    api: Client, emulator: Emulator
) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS)
    api.advance(86_401)
    later = Client(emulator)
    assert later.status(batch_id) == "abandoned"
    begin(later)
    assert [path.stat().st_size for path in stored(emulator)] == [0]


def test_a_reset_deletes_what_has_arrived(api: Client, emulator: Emulator) -> None:
    send_all(api, begin(api), *QUARTERS)
    api.steer("reset")
    assert not stored(emulator)


def test_chunks_survive_a_restart(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        before = Client(emulator)
        batch_id = begin(before)
        send_all(before, batch_id, QUARTERS[3], QUARTERS[0])
        dropped = begin(before)
        send_all(before, dropped, QUARTERS[0])
        before.signal(dropped, "ABORT")
        before.put(batch_id, ROWS, "small.json")
        before.set(path_in_use="replaced")
        before.put(batch_id, OTHER, "begun-anew.json")
        before.file_action(batch_id, "INITIALIZE", "begun-anew.json")
    with running(data_dir=tmp_path) as again:
        after = Client(again)
        assert after.head(batch_id).headers["Range"] == "bytes=0-99,300-399"
        assert after.head(dropped).status_code == 404
        assert set(files_of(again, batch_id)) == {"small.json"}
        assert after.patch(batch_id, ROWS, "bytes 0-399", "begun-anew.json").status_code == 200
        assert after.file_action(batch_id, "COMPLETE", "begun-anew.json").status_code == 201
        send_all(after, batch_id, QUARTERS[1], QUARTERS[2])
        assert complete(after, batch_id).status_code == 201
    with running(data_dir=tmp_path) as once_more:
        last = Client(once_more)
        assert last.head(batch_id).headers["Range"] == "bytes=0-399"
        for name in ("large.json", "small.json", "begun-anew.json"):
            assert promoted(last, batch_id, name) == ROWS


def test_the_page_of_a_batch_shows_what_has_arrived(api: Client) -> None:
    batch_id = begin(api)
    send_all(api, batch_id, *QUARTERS[:2])
    shown = requests.get(f"{api.url}/ui/dev/batches/{batch_id}", timeout=10).text
    assert 'large.json</span> <span class="note">(not completed)<' in shown
    assert ">200<" in shown
    send_all(api, batch_id, *QUARTERS[2:])
    complete(api, batch_id)
    shown = requests.get(f"{api.url}/ui/dev/batches/{batch_id}", timeout=10).text
    assert "not completed" not in shown
    assert ">400<" in shown


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_batch_files": 1}, "2 files (over the 1 threshold)"),
        ({"max_batch_bytes": 3}, "4 bytes (over the 3 threshold)"),
        (
            {"max_batch_files": 1, "max_batch_bytes": 3},
            "2 files (over the 1 threshold); 4 bytes (over the 3 threshold)",
        ),
    ],
)
def test_a_batch_beyond_the_guardrails_fails(api: Client, settings: dict[str, int], expected: str) -> None:
    api.set(**settings)
    batch = api.ingest(b"{}", b"{}")
    assert batch["status"] == "failed"
    assert [each["description"] for each in batch["errors"]] == [
        f"Batch ingestion guardrails hit: {expected}"
    ]
    api.set(max_batch_files=2, max_batch_bytes=4)
    assert api.ingest(b"{}", b"{}")["status"] == "success"
