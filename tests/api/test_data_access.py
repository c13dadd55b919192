"""The files about a batch are listed whole and read whole, however often the platform breaks off, and from one host only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bad_rows import DIAGNOSED, THREE_KINDS, ingest, unparsable
from client_stage import MakeClient, Pauses
from desk import Desk
from peers import Act, Peer, answer, hang_up, peer

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.data_access import ListedFile
from airflow_provider_catalog.api.errors import (
    ApiError,
    CatalogError,
    InvalidInputError,
    NotFoundError,
    UnreachableError,
)

BATCH = "01HP1Z0A9YZ733QCJN6AXCATHF"
META = "*/meta"
ERRORS = "row_errors/parsing_errors_0.json"


def listed(client: CatalogClient, batch_id: str) -> list[str]:
    return [file.name for file in client.data_access.list_meta(batch_id, "row_errors")]


def read(client: CatalogClient, batch_id: str, path: str = ERRORS) -> bytes:
    with client.data_access.open_meta(batch_id, path) as file:
        return file.read()


@pytest.fixture
def many(client: CatalogClient, desk: Desk) -> str:
    """A batch with 250 files of row errors."""
    desk.set(diagnostics_rows=1)
    return ingest(client, desk, [unparsable(number) for number in range(250)], **DIAGNOSED)


@pytest.fixture
def long_file(client: CatalogClient, desk: Desk) -> str:
    """A batch whose one file of row errors is longer than a reading."""
    desk.set(diagnostics_rows=10_000)
    return ingest(client, desk, [unparsable(number) for number in range(5000)], **DIAGNOSED)


class TestLists:
    def test_go_through_all_pages(self, client: CatalogClient, desk: Desk, many: str) -> None:
        names = listed(client, many)
        assert sorted(names) == sorted(f"parsing_errors_{number}.json" for number in range(250))
        assert [sent.query["start"] for sent in desk.sent(path=META)] == ["0", "100", "200"]

    def test_of_failed_files_as_well(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(diagnostics_rows=1)
        batch_id = ingest(client, desk, [unparsable(number) for number in range(120)])
        files = list(client.data_access.list_failed(batch_id))
        assert len({file.name for file in files}) == 121
        assert ListedFile("_SUCCESS", 0) in files

    def test_follow_no_link_to_another_host(self, client: CatalogClient, desk: Desk, many: str) -> None:
        with peer(answer(200, "{}")) as stranger:
            desk.set(link_base=stranger.url)
            assert len(listed(client, many)) == 250
            assert read(client, many)
        assert stranger.received == []

    def test_do_without_files(self, client: CatalogClient, desk: Desk) -> None:
        assert list(client.data_access.list_failed(ingest(client, desk, THREE_KINDS[2:3]))) == []

    def test_of_a_batch_without_diagnostics_are_not_found(self, client: CatalogClient, desk: Desk) -> None:
        batch_id = ingest(client, desk, THREE_KINDS, partialIngestionPercent=100)
        with pytest.raises(NotFoundError, match=f"/batches/{batch_id}/meta was answered with 404"):
            listed(client, batch_id)

    @pytest.mark.parametrize("batch_id", ["", "a/b", "a?path=x"], ids=repr)
    def test_of_a_batch_with_a_bad_id_are_not_asked_for(
        self, client: CatalogClient, desk: Desk, batch_id: str
    ) -> None:
        for ask in (listed, read):
            with pytest.raises(InvalidInputError, match="batch_id"):
                ask(client, batch_id)
        assert desk.sent() == []

    def test_outlive_trouble(self, client: CatalogClient, desk: Desk, many: str) -> None:
        desk.break_next({"status": 503}, META, times=2)
        desk.break_next({"truncate": 30}, META)
        assert len(listed(client, many)) == 250


def page(*names: str, **parts: Any) -> dict[str, Any]:
    return {"data": [{"name": name} for name in names], **parts}


HUNDRED = tuple(f"f{number}" for number in range(100))

SHAPES: dict[str, tuple[list[Any], int]] = {
    "bare array": ([[{"name": "a", "length": "5"}]], 1),
    "bare arrays": ([[{"name": name} for name in HUNDRED], [{"name": "last"}]], 101),
    "no paging at all": ([page("a", "b")], 2),
    "full page and no paging": ([page(*HUNDRED), page("last")], 101),
    "full page, and nothing after it": ([page(*HUNDRED), page()], 100),
    "total only": ([page("a", _page={"count": 2}), page("b", _page={"count": 2})], 2),
    "total as text": ([page("a", _page={"count": "2"}), page("b", _page={"count": "2"})], 2),
    "count of the page beside a link": (
        [page("a", _page={"count": 1}, _links={"next": {"href": "x"}}), page("b", _page={"count": 1})],
        2,
    ),
    "the same page for ever": ([page("a", _links={"next": {"href": "x"}})] * 2, 1),
    "a total that is never reached": ([page("a", _page={"count": 9}), page(_page={"count": 9})], 1),
    "name with its folder": ([page("row_errors/a")], 1),
}


@pytest.mark.parametrize(("pages", "count"), SHAPES.values(), ids=SHAPES)
def test_a_list_is_understood_in_the_shape(
    pages: list[Any], count: int, client: CatalogClient, desk: Desk
) -> None:
    for body in pages:
        desk.break_next({"status": 200, "body": body}, META)
    names = listed(client, BATCH)
    assert len(names) == count
    assert not [name for name in names if "/" in name]
    assert len(desk.sent(path=META)) == len(pages)


def test_lengths_are_read_where_they_are_given(client: CatalogClient, desk: Desk) -> None:
    items = [
        {"name": "a", "length": "1162"},
        {"name": "b", "length": 5},
        {"name": "c"},
        {"name": "d", "length": "x"},
    ]
    desk.break_next({"status": 200, "body": {"data": items}}, META)
    files = client.data_access.list_meta(BATCH, "row_errors")
    assert [file.size for file in files] == [1162, 5, None, None]


@pytest.mark.parametrize(
    "body", ["text", 5, {}, {"data": {}}, {"data": [5]}, {"data": [{"name": 5}]}, [[]]], ids=repr
)
def test_a_list_that_is_none_is_no_usable_answer(
    body: Any, make_client: MakeClient, client: CatalogClient, desk: Desk
) -> None:
    desk.break_next({"status": 200, "body": body}, META, times=None)
    with pytest.raises(UnreachableError):
        listed(make_client(desk.url, attempts=1), BATCH)


class TestFiles:
    def test_are_read_whole(self, client: CatalogClient, desk: Desk, long_file: str) -> None:
        lines = read(client, long_file).splitlines()
        assert [json.loads(line)["_corrupt_record"] for line in lines] == [unparsable(n) for n in range(5000)]
        [request] = desk.sent(path=META)
        assert "Range" not in request.headers

    @pytest.mark.parametrize("cut", [0, 1, 100_000])
    def test_are_taken_up_where_the_connection_broke(
        self, cut: int, client: CatalogClient, desk: Desk, long_file: str
    ) -> None:
        whole = read(client, long_file)
        desk.forget()
        desk.break_next({"truncate": cut}, META, times=3)
        assert read(client, long_file) == whole
        ranges = [sent.headers.get("Range") for sent in desk.sent(path=META)]
        asked = [f"bytes={number * cut}-" if cut else None for number in (1, 2, 3)]
        assert ranges == [None, *asked]

    def test_are_put_together_of_parts(self, client: CatalogClient, desk: Desk, long_file: str) -> None:
        whole = read(client, long_file)
        desk.set(range_limit=50_000)
        desk.break_next({"truncate": 7}, META)
        assert read(client, long_file) == whole
        assert len(desk.sent(path=META)) > len(whole) / 50_000

    def test_may_break_as_often_as_they_get_on(
        self, make_client: MakeClient, client: CatalogClient, desk: Desk, long_file: str
    ) -> None:
        whole = read(client, long_file)
        desk.break_next({"truncate": 50_000}, META, times=None)
        desk.break_next({"drop": "before"}, META, times=1)
        assert read(make_client(desk.url, attempts=2), long_file)[:100] == whole[:100]

    def test_that_get_no_further_are_given_up(
        self, make_client: MakeClient, client: CatalogClient, desk: Desk, long_file: str, pauses: Pauses
    ) -> None:
        desk.break_next({"truncate": 0}, META, times=None)
        with pytest.raises(UnreachableError) as caught:
            read(make_client(desk.url, attempts=3), long_file)
        assert not caught.value.permanent
        assert len(desk.sent(path=META)) == 3
        assert len(pauses) == 2

    def test_are_asked_for_again_after_trouble(
        self, client: CatalogClient, desk: Desk, long_file: str, pauses: Pauses
    ) -> None:
        whole = read(client, long_file)
        desk.break_next({"status": 503, "headers": {"Retry-After": "7"}}, META)
        desk.break_next({"expire_token": True}, META)
        assert read(client, long_file) == whole
        assert [7 <= pause <= 7 * 1.25 for pause in pauses] == [True]

    def test_that_are_empty_hold_nothing(self, client: CatalogClient, desk: Desk) -> None:
        batch_id = ingest(client, desk, THREE_KINDS[2:3], **DIAGNOSED)
        assert read(client, batch_id, "row_errors_sample.json") == b""
        assert len(desk.sent(path=META)) == 1

    @pytest.mark.parametrize("path", ["row_errors/none.json", "row_error_samples.json"])
    def test_that_are_missing_are_not_found(self, path: str, client: CatalogClient, desk: Desk) -> None:
        batch_id = ingest(client, desk, THREE_KINDS, **DIAGNOSED)
        with pytest.raises(NotFoundError):
            read(client, batch_id, path)
        assert len(desk.sent(path=META)) == 1

    @pytest.mark.parametrize("name", ["row_errors_sample.json", "row_error_samples.json"])
    def test_of_a_sample_have_either_name(self, name: str, client: CatalogClient, desk: Desk) -> None:
        desk.set(sample_file=name)
        batch_id = ingest(client, desk, THREE_KINDS, **DIAGNOSED)
        assert len(read(client, batch_id, name).splitlines()) == 3

    def test_leave_nothing_of_themselves_in_an_error(
        self, make_client: MakeClient, client: CatalogClient, desk: Desk, long_file: str
    ) -> None:
        desk.break_next({"truncate": 500}, META)
        desk.break_next({"status": 403, "body": {"title": "not yours"}}, META)
        with pytest.raises(ApiError, match="not yours") as caught:
            read(client, long_file)
        assert (
            "customer-cell" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
        )

    def test_are_closed_with_their_connection(
        self, client: CatalogClient, desk: Desk, long_file: str
    ) -> None:
        with client.data_access.open_meta(long_file, ERRORS) as file:
            assert file.readline()
        assert file.closed
        assert len(read(client, long_file)) > 0


def part(first: int, body: str, total: int | str = 10) -> Act:
    """Answer with a part of the file ``0123456789``."""
    return answer(206, body, Content_Range=f"bytes {first}-{first + len(body) - 1}/{total}")


BROKEN = hang_up(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
BROKEN_WITHOUT_LENGTH = hang_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")

MENDED: dict[str, list[Act]] = {
    "the part that was asked for": [BROKEN, part(5, "56789")],
    "a part that begins earlier": [BROKEN, part(2, "23456789")],
    "a part that ends earlier": [BROKEN, part(5, "567"), part(8, "89")],
    "the whole": [BROKEN, answer(200, "0123456789")],
    "parts of a file of unknown length": [BROKEN, part(5, "56789", "*"), answer(416)],
    "a refusal, since that was all": [
        hang_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"),
        answer(416),
    ],
    "the part, after chunks": [BROKEN_WITHOUT_LENGTH, part(5, "56789")],
    "the whole in chunks": [
        BROKEN,
        hang_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"),
    ],
    "an answer that ends with the connection": [hang_up(b"HTTP/1.1 200 OK\r\n\r\n0123456789")],
}


def digits(make_client: MakeClient, server: Peer) -> bytes:
    return read(make_client(server.url, client_secret=None, access_token="t", attempts=2), BATCH)


@pytest.mark.parametrize("acts", MENDED.values(), ids=MENDED)
def test_what_is_missing_may_come_as(acts: list[Act], make_client: MakeClient) -> None:
    with peer(*acts) as server:
        assert digits(make_client, server) == b"0123456789"
        assert len(server.received) == len(acts)


NONSENSE: dict[str, Act] = {
    "a part that leaves a gap": part(7, "789"),
    "a part that does not say which": answer(206, "56789"),
    "the beginning only": part(0, "012"),
    "a shorter whole": answer(200, "012"),
    "nothing": part(5, ""),
    "something compressed": answer(200, "0123456789", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("act", NONSENSE.values(), ids=NONSENSE)
def test_what_is_missing_may_not_come_as(act: Act, make_client: MakeClient) -> None:
    with peer(BROKEN, act) as server, pytest.raises(UnreachableError) as caught:
        digits(make_client, server)
    assert not caught.value.permanent


def test_a_redirect_is_not_followed(make_client: MakeClient) -> None:
    with peer(answer(200, "0123456789")) as stranger, peer(answer(302, Location=stranger.url)) as server:
        with pytest.raises(CatalogError, match="Redirects are not followed"):
            digits(make_client, server)
        assert stranger.received == []


def test_nothing_compressed_is_asked_for(make_client: MakeClient) -> None:
    with peer(answer(200, "0123456789")) as server:
        digits(make_client, server)
    assert b"Accept-Encoding: identity\r\n" in server.received[0]
