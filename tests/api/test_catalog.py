"""What the client reads from the Catalog."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from client_stage import JSON_LINES, MakeClient, Pauses
from desk import CRM_PROFILES, Desk
from peers import Peer, answer, peer

from airflow_provider_catalog.api.client import PAGE_SIZE, CatalogClient
from airflow_provider_catalog.api.errors import ApiError, InvalidInputError, NotFoundError, UnreachableError
from airflow_provider_catalog.api.look_ups import IDS_PER_REQUEST, SHORTEST_FULL_PAGE

BATCHES = "/data/foundation/catalog/batches"


def open_batches(client: CatalogClient, count: int, **fields: Any) -> list[str]:
    return [client.create_batch({**JSON_LINES, **fields}) for _ in range(count)]


class TestOneBatch:
    def test_is_read_with_its_state(self, client: CatalogClient, desk: Desk) -> None:
        batch_id = client.create_batch({**JSON_LINES, "externalId": "run-1", "tags": {"team": ["a", "b"]}})
        metrics = {"inputRecordCount": 5, "outputRecordCount": 4, "failedRecordCount": 1}
        errors = [{"code": "INGEST-1401-400", "description": "A row is corrupt.", "recordCount": 1}]
        desk.hold(batch_id, "success", metrics=metrics, errors=errors)
        batch = client.get_batch(batch_id)
        assert (batch.id, batch.status, batch.external_id) == (batch_id, "success", "run-1")
        assert batch.dataset_ids == (CRM_PROFILES,)
        assert batch.tags["team"] == ("a", "b")
        assert (batch.records_read, batch.records_written, batch.records_failed) == (5, 4, 1)
        assert str(batch.errors[0]) == "INGEST-1401-400 (1 records): A row is corrupt."

    def test_that_the_catalog_does_not_show_yet_is_not_found(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(catalog_lag=5)
        batch_id = client.create_batch(JSON_LINES)
        with pytest.raises(NotFoundError, match=f"GET {BATCHES}/{batch_id} was answered with 404"):
            client.get_batch(batch_id)
        desk.advance(6)
        assert client.get_batch(batch_id).status == "loading"

    @pytest.mark.parametrize("body", [{}, {"OTHER": {"status": "success"}}], ids=["empty", "another"])
    def test_that_is_missing_from_the_answer_is_not_found(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, body: Any
    ) -> None:
        desk.break_next({"status": 200, "body": body}, path="/data/*")
        with pytest.raises(NotFoundError, match="belongs to the sandbox") as caught:
            client.get_batch("B1")
        assert caught.value.permanent
        assert caught.value.failure.status == 404
        assert pauses == []

    def test_of_another_sandbox_is_not_found(
        self, client: CatalogClient, desk: Desk, make_client: MakeClient
    ) -> None:
        (batch_id,) = open_batches(client, 1)
        with pytest.raises(NotFoundError):
            make_client(desk.url, sandbox_name="prod").get_batch(batch_id)

    @pytest.mark.parametrize("body", [[], {"B1": []}, {"B1": None}, "text", 5], ids=repr)
    def test_in_an_answer_that_makes_no_sense_is_asked_for_again(
        self, client: CatalogClient, desk: Desk, pauses: Pauses, body: Any
    ) -> None:
        desk.break_next(
            {"status": 200, "body": body, "headers": {"content-type": "application/json"}},
            path="/data/*",
            times=None,
        )
        with pytest.raises(UnreachableError):
            client.get_batch("B1")
        assert pauses


class TestManyBatches:
    def test_are_read_with_few_requests(self, client: CatalogClient, desk: Desk) -> None:
        ids = open_batches(client, 2 * IDS_PER_REQUEST + 5)
        desk.forget()
        found = client.get_batches([*ids, ids[0], ids[-1]])
        assert set(found) == set(ids)
        assert {batch.status for batch in found.values()} == {"loading"}
        assert len(desk.sent()) == 3

    def test_that_are_unknown_are_absent(self, client: CatalogClient) -> None:
        ids = open_batches(client, 2)
        assert set(client.get_batches([ids[0], "UNKNOWN1", ids[1], "UNKNOWN2"])) == set(ids)
        assert client.get_batches(["UNKNOWN1"]) == {}
        assert client.get_batches(["UNKNOWN1", "UNKNOWN2"]) == {}

    def test_are_found_even_if_an_unknown_one_among_them_is_an_error(self, make_client: MakeClient) -> None:
        def strictly(connection: socket.socket, server: Peer) -> None:
            target = urlsplit(server.received[-1].split()[1].decode())
            asked = parse_qs(target.query).get("batch", [target.path.rpartition("/")[2]])
            ids = asked[0].split(",")
            unknown = any(batch_id.startswith("UNKNOWN") for batch_id in ids)
            reply = (
                answer(404)
                if unknown
                else answer(200, json.dumps({each: {"status": "success"} for each in ids}))
            )
            reply(connection, server)

        known = [f"B{n}" for n in range(IDS_PER_REQUEST - 2)]
        with peer(strictly) as server:
            client = make_client(server.url, access_token="ready")
            assert set(client.get_batches(["UNKNOWN1", *known, "UNKNOWN2"])) == set(known)
            assert client.get_batches(["UNKNOWN1"]) == {}
        assert len(server.received) < IDS_PER_REQUEST

    def test_cost_nothing_where_there_are_none(self, client: CatalogClient, desk: Desk) -> None:
        assert client.get_batches([]) == {}
        assert desk.sent() == []

    def test_can_be_read_in_part(self, client: CatalogClient, desk: Desk) -> None:
        ids = open_batches(client, 2)
        desk.forget()
        found = client.get_batches(ids, properties=["status", "metrics"])
        (sent,) = desk.sent()
        assert sent.query["properties"] == "status,metrics"
        assert [batch.dataset_ids for batch in found.values()] == [(), ()]

    def test_stay_within_the_length_of_an_address(self, client: CatalogClient, desk: Desk) -> None:
        ids = [f"{n:0>26}" for n in range(IDS_PER_REQUEST)]
        client.get_batches(ids, properties=["status"])
        sent = desk.sent(path=BATCHES)[0]
        assert len(sent.query["batch"]) == 27 * IDS_PER_REQUEST - 1
        assert sent.status == 200, "the emulator refuses longer addresses"

    def test_an_error_of_one_request_is_an_error(self, client: CatalogClient, desk: Desk) -> None:
        desk.break_next({"status": 403}, path="/data/*", skip=1)
        with pytest.raises(ApiError, match="403"):
            client.get_batches([f"B{n}" for n in range(IDS_PER_REQUEST + 1)])


class TestListsOfBatches:
    @pytest.mark.parametrize("count", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE + 5])
    def test_show_every_batch_once(self, client: CatalogClient, desk: Desk, count: int) -> None:
        ids = open_batches(client, count)
        desk.forget()
        listed = [batch.id for batch in client.list_batches(dataset_id=CRM_PROFILES)]
        assert sorted(listed) == sorted(ids)
        pages = count // PAGE_SIZE + 1 + (count % PAGE_SIZE >= SHORTEST_FULL_PAGE)
        assert len(desk.sent(path=BATCHES)) == pages

    def test_are_ordered_so_that_batches_opened_meanwhile_shift_nothing(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        ids = open_batches(client, PAGE_SIZE + 3)
        desk.advance(1)
        batches = client.list_batches()
        seen = [next(batches).id]
        newcomers = open_batches(client, 5)
        seen += [batch.id for batch in batches]
        assert sorted(seen) == sorted(ids + newcomers)

    def test_are_read_page_by_page(self, client: CatalogClient, desk: Desk) -> None:
        open_batches(client, PAGE_SIZE)
        desk.forget()
        next(client.list_batches())
        assert len(desk.sent()) == 1

    def test_can_be_filtered_by_all_that_matters(self, client: CatalogClient, desk: Desk) -> None:
        (old,) = open_batches(client, 1, externalId="run-1")
        desk.advance(100)
        (wanted,) = open_batches(client, 1, externalId="run-1")
        (other,) = open_batches(client, 1, externalId="run-2")
        (failed,) = open_batches(client, 1, externalId="run-1")
        desk.hold(failed, "failed")
        created = client.get_batch(wanted).created
        assert created is not None
        middle = int((created - 50) * 1000)
        later = middle + 100_000

        def ids(**filters: Any) -> set[str]:
            return {batch.id for batch in client.list_batches(**filters)}

        assert ids(external_id="run-1") == {old, wanted, failed}
        assert ids(external_id="run-1", created_after=middle) == {wanted, failed}
        assert ids(external_id="run-1", created_before=middle) == {old}
        assert ids(created_after=middle, created_before=later, statuses=["loading", "success"]) == {
            wanted,
            other,
        }
        assert ids(statuses=["failed", "failure"]) == {failed}
        assert ids(dataset_id="no-such-dataset") == set()

    def test_can_be_filtered_by_tags_that_must_all_be_there(self, client: CatalogClient) -> None:
        (both,) = open_batches(client, 1, tags={"team": ["a"], "region": ["north", "south"]})
        (team,) = open_batches(client, 1, tags={"team": ["a"]})
        open_batches(client, 1, tags={"team": ["b"]})

        def ids(**tags: str) -> set[str]:
            return {batch.id for batch in client.list_batches(tags=tags)}

        assert ids(team="a") == {both, team}
        assert ids(team="a", region="south") == {both}
        assert ids(team="c") == set()

    def test_ask_in_the_platforms_words(self, client: CatalogClient, desk: Desk) -> None:
        filters: dict[str, Any] = {
            "dataset_id": CRM_PROFILES,
            "external_id": "run/1@x",
            "tags": {"airflow_owner": "a-1", "team": "b_2"},
            "statuses": ["active", "success"],
            "created_after": 1,
            "created_before": 2,
            "order_by": "desc:created",
            "properties": ["status", "created"],
        }
        assert list(client.list_batches(**filters)) == []
        (sent,) = desk.sent(path=BATCHES)
        assert sent.query == {
            "dataSet": CRM_PROFILES,
            "externalId": "run/1@x",
            "tags": "airflow_owner:a-1,team:b_2",
            "status": "active,success",
            "createdAfter": "1",
            "createdBefore": "2",
            "orderBy": "desc:created",
            "properties": "status,created",
            "limit": "100",
            "start": "0",
        }

    @pytest.mark.parametrize(
        ("sizes", "starts"),
        [
            ([PAGE_SIZE, PAGE_SIZE, 0], ["0", "100", "200"]),
            ([PAGE_SIZE, 19], ["0", "100"]),
            # A platform that gives fewer than it was asked for, as Adobe says of the credentials of services.
            ([20, 20, 5], ["0", "20", "40"]),
        ],
        ids=str,
    )
    def test_count_from_zero_up_to_a_page_that_is_not_full(
        self, make_client: MakeClient, sizes: list[int], starts: list[str]
    ) -> None:
        pages = [{f"B{page}-{n}": {} for n in range(size)} for page, size in enumerate(sizes)]
        with peer(*(answer(200, json.dumps(page)) for page in pages)) as server:
            assert len(list(make_client(server.url, access_token="ready").list_batches())) == sum(sizes)
        queries = [parse_qs(urlsplit(request.split()[1].decode()).query) for request in server.received]
        assert [query["start"][0] for query in queries] == starts

    @pytest.mark.parametrize(
        ("filters", "argument"),
        [
            pytest.param({"dataset_id": ""}, "dataset_id", id="empty dataset"),
            pytest.param({"dataset_id": "a,b"}, "dataset_id", id="two datasets"),
            pytest.param({"external_id": "a,b"}, "external_id", id="two external ids"),
            pytest.param({"tags": {"team": "a,owner:b"}}, "tags", id="two tags in one"),
            pytest.param({"tags": {"team": "*"}}, "tags", id="any value of a tag"),
            pytest.param({"tags": {"team:a": "b"}}, "tags", id="colon in the name of a tag"),
            pytest.param({"tags": {"team": ""}}, "tags", id="empty tag"),
        ],
    )
    def test_refuse_filters_that_would_mean_something_else(
        self, client: CatalogClient, desk: Desk, filters: dict[str, Any], argument: str
    ) -> None:
        with pytest.raises(InvalidInputError) as caught:
            list(client.list_batches(**filters))
        assert caught.value.argument == argument
        assert desk.sent() == []


class TestDatasets:
    def test_one_is_read(self, client: CatalogClient) -> None:
        dataset = client.get_dataset(CRM_PROFILES)
        assert dataset.id == CRM_PROFILES
        assert dataset.name
        assert dataset.schema_id is not None
        assert dataset.schema_id.startswith("https://ns.adobe.com/")
        assert dataset.tags["adobe/pqs/table"]

    def test_an_unknown_one_is_not_found(self, client: CatalogClient) -> None:
        with pytest.raises(NotFoundError):
            client.get_dataset("5c8c3c555033b814b69f0000")

    def test_all_are_listed(self, client: CatalogClient) -> None:
        datasets = {dataset.id: dataset for dataset in client.list_datasets()}
        assert CRM_PROFILES in datasets
        name = datasets[CRM_PROFILES].name
        assert [dataset.id for dataset in client.list_datasets(name=name)] == [CRM_PROFILES]

    def test_a_list_whose_pages_are_all_the_same_comes_to_an_end(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        page = {f"5c8c3c555033b814b69f{number:04}": {"name": "a dataset"} for number in range(100)}
        desk.break_next({"status": 200, "body": page}, "*/catalog/dataSets", times=3)
        assert [dataset.id for dataset in client.list_datasets()] == list(page)
        assert len(desk.sent(path="/data/*")) == 2


class TestSandboxes:
    def test_are_listed_by_name(self, client: CatalogClient) -> None:
        assert set(client.list_sandboxes()) == {"dev", "prod"}

    @pytest.mark.parametrize(("count", "requests"), [(49, 1), (50, 2), (101, 3)])
    def test_more_than_a_page_of_them_are_listed(
        self, client: CatalogClient, desk: Desk, monkeypatch: pytest.MonkeyPatch, count: int, requests: int
    ) -> None:
        names = tuple(f"dev-{number}" for number in range(count))
        monkeypatch.setattr("airflow_provider_catalog.emulator.routes.sandboxes.SANDBOXES", names)
        assert client.list_sandboxes() == names
        assert len(desk.sent(path="/data/*")) == requests

    def test_a_list_without_pages_comes_to_an_end(self, client: CatalogClient, desk: Desk) -> None:
        names = [f"dev-{number}" for number in range(60)]
        everything = {"status": 200, "body": {"sandboxes": [{"name": name} for name in names]}}
        desk.break_next(everything, "*/sandbox-management/", times=3)
        assert client.list_sandboxes() == tuple(names)
        assert len(desk.sent(path="/data/*")) == 2

    def test_one_that_may_not_be_used_is_refused(self, desk: Desk, make_client: MakeClient) -> None:
        client = make_client(desk.url, sandbox_name="other")
        with pytest.raises(ApiError, match="403"):
            client.probe_sandbox()

    def test_a_probe_reads_as_little_as_possible(self, client: CatalogClient, desk: Desk) -> None:
        client.probe_sandbox()
        (sent,) = desk.sent(path="/data/*")
        assert sent.query == {"limit": "1", "properties": "name"}


@pytest.mark.parametrize(
    "batch_id", ["", "a/b", "a,b", "a b", "a?b", "../x", "x\n", "-x", "x" * 129, None, 5], ids=repr
)
@pytest.mark.parametrize("call", ["get_batch", "complete_batch", "abort_batch", "revert_batch"])
def test_an_id_that_would_address_something_else_is_refused(
    client: CatalogClient, desk: Desk, call: str, batch_id: Any
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        getattr(client, call)(batch_id)
    assert caught.value.argument == "batch_id"
    assert desk.sent() == []
