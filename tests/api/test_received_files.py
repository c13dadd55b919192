"""What the platform says of a file that it has received."""

from __future__ import annotations

from io import BytesIO

import pytest
from client_stage import JSON_LINES, MakeClient, Pauses
from desk import CRM_PROFILES, Desk
from peers import answer, peer

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, InvalidInputError
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS


def put(client: CatalogClient, content: bytes, name: str = "day=1/a b.json") -> str:
    """Open a batch with one file in it."""
    batch_id = client.create_batch(JSON_LINES)
    client.put_file(batch_id, CRM_PROFILES, name, lambda: BytesIO(content))
    return batch_id


class TestTheReceivedSize:
    @pytest.mark.parametrize("size", [1, 2, 300_000])
    def test_is_that_of_the_file(self, client: CatalogClient, desk: Desk, size: int) -> None:
        batch_id = put(client, b"x" * size)
        desk.forget()
        assert client.received_size(batch_id, CRM_PROFILES, "day=1/a b.json") == size
        assert [sent.method for sent in desk.sent()] == ["HEAD"]

    def test_is_that_of_the_last_upload(self, client: CatalogClient) -> None:
        batch_id = put(client, b"old and long")
        client.put_file(batch_id, CRM_PROFILES, "day=1/a b.json", lambda: BytesIO(b"new"))
        assert client.received_size(batch_id, CRM_PROFILES, "day=1/a b.json") == 3

    def test_of_a_file_that_has_not_arrived_is_unknown(self, client: CatalogClient) -> None:
        assert client.received_size(put(client, b"x"), CRM_PROFILES, "other.json") is None

    def test_is_unknown_where_the_platform_tells_of_large_files_only(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        batch_id = put(client, b"x")
        desk.set(head_of_small_files=False)
        assert client.received_size(batch_id, CRM_PROFILES, "day=1/a b.json") is None

    @pytest.mark.parametrize("status", [400, 404, 405, 415])
    def test_is_unknown_where_the_platform_does_not_take_the_question(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, status: int
    ) -> None:
        desk.break_next({"status": status}, "*/files/*")
        assert client.received_size("B1", CRM_PROFILES, "a.json") is None
        assert pauses == []

    @pytest.mark.parametrize("status", [403, 409])
    def test_is_not_guessed_at_by_somebody_who_may_not_ask(
        self, client: CatalogClient, desk: Desk, status: int
    ) -> None:
        desk.break_next({"status": status}, "*/files/*")
        with pytest.raises(ApiError, match=f"HEAD .*/files/a.json was answered with {status}"):
            client.received_size("B1", CRM_PROFILES, "a.json")

    @pytest.mark.parametrize("effect", [{"status": 503}, {"drop": "before"}, {"expire_token": True}], ids=str)
    def test_is_asked_for_again_after_trouble(
        self, client: CatalogClient, desk: Desk, effect: dict[str, object]
    ) -> None:
        batch_id = put(client, b"xyz")
        desk.break_next(effect, "*/files/*", method="HEAD")
        assert client.received_size(batch_id, CRM_PROFILES, "day=1/a b.json") == 3
        assert len(desk.sent("HEAD")) == 2

    def test_is_given_up_for_now_when_trouble_lasts(self, client: CatalogClient, desk: Desk) -> None:
        desk.break_next({"status": 503}, "*/files/*", times=None)
        with pytest.raises(ApiError, match="503") as caught:
            client.received_size("B1", CRM_PROFILES, "a.json")
        assert not caught.value.permanent
        assert len(desk.sent("HEAD")) == DEFAULT_ATTEMPTS

    @pytest.mark.parametrize(
        ("header", "size"),
        [
            ("bytes=0-41", 42),
            ("bytes 0-41/42", 42),
            ("bytes 0-41", 42),
            ("0-41", 42),
            ("bytes=1-41", None),
            ("bytes=0-10,20-41", None),
            ("bytes=0-", None),
            ("bytes=-41", None),
            ("whatever", None),
            ("", None),
        ],
    )
    def test_is_read_from_one_range_from_the_first_byte_on(
        self, make_client: MakeClient, header: str, size: int | None
    ) -> None:
        with peer(answer(200, Range=header)) as server:
            client = make_client(server.url, access_token="ready")
            assert client.received_size("B1", CRM_PROFILES, "a.json") == size

    def test_is_unknown_without_the_header(self, make_client: MakeClient) -> None:
        with peer(answer(200)) as server:
            client = make_client(server.url, access_token="ready")
            assert client.received_size("B1", CRM_PROFILES, "a.json") is None

    @pytest.mark.parametrize(
        ("batch_id", "dataset_id", "name", "argument"),
        [
            ("a/b", CRM_PROFILES, "a", "batch_id"),
            ("B1", "", "a", "dataset_id"),
            ("B1", CRM_PROFILES, "a/../b", "remote_name"),
        ],
        ids=["batch", "dataset", "name"],
    )
    def test_is_not_asked_for_under_an_address_that_means_something_else(
        self, client: CatalogClient, desk: Desk, batch_id: str, dataset_id: str, name: str, argument: str
    ) -> None:
        with pytest.raises(InvalidInputError) as caught:
            client.received_size(batch_id, dataset_id, name)
        assert caught.value.argument == argument
        assert desk.sent() == []
