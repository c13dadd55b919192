"""The Catalog: look-ups and lists of batches and datasets, and how far they lag behind."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest

from airflow_provider_catalog.emulator.batches import Batch
from airflow_provider_catalog.emulator.catalog import batch_document
from airflow_provider_catalog.emulator.platform import Platform
from airflow_provider_catalog.emulator.routes import catalog
from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, LOYALTY_MEMBERS, PAGE_VIEWS

from .client import ORG, Client

SCHEMA = {
    "id": "https://ns.adobe.com/localtenant/schemas/crm_profiles",
    "contentType": "application/vnd.adobe.xed+json;version=1",
}


@pytest.fixture
def five(api: Client) -> list[str]:
    """Five batches, one second apart: two failed, one of them of another dataset and with tags."""
    ids = []
    for number in range(5):
        dataset_id = PAGE_VIEWS if number == 4 else CRM_PROFILES
        tags = {"owner": ["orders", "shop"], "day": [f"2024-01-0{number}"]} if number > 2 else {}
        batch_id = api.open(dataset_id, externalId=f"run-{number}", tags=tags)
        api.put(batch_id, b"{}" if number < 3 else b"broken", dataset_id=dataset_id)
        api.signal(batch_id)
        ids.append(batch_id)
        api.advance(1)
    api.advance(10)
    return ids


def listed(api: Client, query: str) -> list[str]:
    answer = api.get(f"catalog/batches?{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def places(ids: list[str], found: Iterable[str]) -> list[int]:
    return [ids.index(each) for each in found]


def test_a_batch_is_shown_under_its_id(api: Client, five: list[str]) -> None:
    answer = api.get(f"catalog/batches/{five[0]}")
    assert list(answer.json()) == [five[0]]
    batch = answer.json()[five[0]]
    assert batch["relatedObjects"] == [{"type": "dataSet", "id": CRM_PROFILES}]
    assert batch["externalId"] == "run-0"
    assert "id" not in batch
    assert answer.headers["E-Tag"] == batch["version"]


def test_a_batch_can_be_made_to_repeat_its_id(api: Client, five: list[str]) -> None:
    api.set(batch_has_id=True)
    assert api.batch(five[0])["id"] == five[0]


def test_the_external_id_is_the_id_by_default(api: Client) -> None:
    batch_id = api.open()
    api.advance(1)
    assert api.batch(batch_id)["externalId"] == batch_id


def test_an_unknown_batch_is_not_found(api: Client) -> None:
    answer = api.get("catalog/batches/01HXXXXXXXXXXXXXXXXXXXXXXX")
    assert answer.status_code == 404
    assert answer.json()["title"] == "NotFoundError"


def test_of_several_ids_the_missing_ones_are_absent(api: Client, five: list[str]) -> None:
    found = api.get(f"catalog/batches/{five[0]},nothing,{five[3]}?properties=status").json()
    assert found == {five[0]: {"status": "success"}, five[3]: {"status": "failed"}}


def test_several_ids_obey_the_limit_unless_set_otherwise(api: Client) -> None:
    ids = [api.open() for _ in range(25)]
    api.advance(1)
    path = f"catalog/batches/{','.join(ids)}"
    assert len(api.get(path).json()) == 20
    assert len(api.get(f"{path}?limit=100").json()) == 25
    api.set(limited_look_ups=False)
    assert len(api.get(path).json()) == 25


def test_a_new_batch_is_not_found_until_the_catalog_has_caught_up(api: Client) -> None:
    batch_id = api.open()
    assert api.get(f"catalog/batches/{batch_id}").status_code == 404
    assert api.get(f"catalog/batches/{batch_id},x").json() == {}
    assert listed(api, f"externalId={batch_id}") == []
    api.advance(0.31)
    assert api.status(batch_id) == "loading"
    assert listed(api, f"externalId={batch_id}") == [batch_id]


def test_a_status_is_shown_late_as_well(api: Client) -> None:
    batch_id = api.open()
    api.advance(1)
    api.signal(batch_id, "ABORT")
    assert api.status(batch_id) == "loading"
    api.advance(0.31)
    assert api.status(batch_id) == "aborted"


def test_the_lag_can_be_set(api: Client) -> None:
    api.set(catalog_lag=0)
    assert api.status(api.open()) == "loading"


HEX = "00e4f1c2aa0099"


def test_look_ups_by_external_id_and_by_tag_lag_alike_and_find_all(api: Client) -> None:
    """A client that has lost the answer to a creation searches by both."""
    queries = [f"{query}&orderBy=asc:created" for query in ("externalId=run-1", f"tags=airflow_owner:{HEX}")]
    made = []
    for _ in range(3):
        made.append(api.open(externalId="run-1", tags={"airflow_owner": [HEX]}))
        assert [listed(api, query) for query in queries] == [made[:-1]] * 2
        api.advance(0.31)
        assert [listed(api, query) for query in queries] == [made] * 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"airflow_map_index_owner:{HEX}", True),
        (f"airflow_map_index_owner:{HEX[:-1]}", False),
        (f"airflow_map_index_owner:{HEX.upper()}", False),
        (f"airflow_map_index_owner:{HEX[:4]}*", True),
        ("airflow_map_index_owner:0123", True),
        ("airflow_map_index_owner:123", False),
        (f"airflow_map_index:{HEX}", False),
        (f"airflow-map-index-owner:{HEX}", False),
        ("run_id:manual__2024-01-01T00:00:00+00:00", True),
        ("acp_partialIngestionPercent:5", True),
        ("acp_partialIngestionPercent:50", False),
        ("acp_enableErrorDiagnostics:true", True),
        (f"acp_enableErrorDiagnostics:true,airflow_map_index_owner:{HEX}", True),
        (f"acp_enableErrorDiagnostics:false,airflow_map_index_owner:{HEX}", False),
    ],
)
@pytest.mark.parametrize("scalar_tags", [True, False], ids=["scalars", "lists"])
def test_tags_are_found_by_any_of_their_values(
    api: Client, query: str, found: bool, scalar_tags: bool
) -> None:
    api.set(scalar_tags=scalar_tags)
    tags = {
        "airflow_map_index_owner": [HEX, "0123"],
        "run_id": ["manual__2024-01-01T00:00:00+00:00"],
    }
    batch_id = api.open(tags=tags, enableErrorDiagnostics=True, partialIngestionPercent=5)
    api.advance(1)
    answer = api.get("catalog/batches", params={"tags": query})
    assert list(answer.json()) == [batch_id] * found


QUERIES: list[tuple[str, list[int]]] = [
    ("status=success", [0, 1, 2]),
    ("status=failed,loading", [3, 4]),
    ("status=!success,loading", [3, 4]),
    (f"dataSet={PAGE_VIEWS}", [4]),
    (f"dataSet=!{PAGE_VIEWS}", [0, 1, 2, 3]),
    (f"status=failed&dataSet={CRM_PROFILES}", [3]),
    ("externalId=run-1", [1]),
    ("externalId=run-1,run-4,run-9", [1, 4]),
    ("externalId=nothing", []),
    ("recordCount=1&failedRecordCount=0", [0, 1, 2]),
    ("tags=owner:orders", [3, 4]),
    ("tags=owner:*", [3, 4]),
    ("tags=owner:shop,day:2024-01-04", [4]),
    ("tags=owner:sh*", [3, 4]),
    ("tags=owner:other", []),
    ("tags=nobody:*", []),
    ("property=errors", [3, 4]),
    ("property=!errors", [0, 1, 2]),
    ("property=status==failed", [3, 4]),
    ("property=status!=failed", [0, 1, 2]),
    ("property=failedRecordCount>0", [3, 4]),
    ("property=failedRecordCount<=0", [0, 1, 2]),
    ("property=externalId~-[13]$", [1, 3]),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_a_list_holds_what_fits_the_filters(
    api: Client, five: list[str], query: str, expected: list[int]
) -> None:
    assert places(five, listed(api, f"{query}&orderBy=created")) == expected


def test_batches_can_be_listed_by_id(api: Client, five: list[str]) -> None:
    assert sorted(listed(api, f"batch={five[1]},{five[2]},nothing")) == sorted(five[1:3])
    assert sorted(listed(api, f"batch=!{five[1]},{five[2]}")) == sorted([five[0], *five[3:]])


def test_moments_of_creation_are_exclusive(api: Client, five: list[str]) -> None:
    created = [api.batch(each)["created"] for each in five]
    between = f"createdAfter={created[1]}&createdBefore={created[4]}&orderBy=created"
    assert places(five, listed(api, between)) == [2, 3]


@pytest.fixture
def dated(five: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The five batches; the first four have data of a hundred seconds each. The emulator itself gives none such dates."""

    def dated_document(platform: Platform, batch: Batch, at: float) -> dict[str, Any] | None:
        document = batch_document(platform, batch, at)
        number = five.index(batch.id)
        if document and number < 4:
            document["availableDates"] = {"startDate": number * 100, "endDate": number * 100 + 100}
        return document

    monkeypatch.setattr(catalog, "batch_document", dated_document)
    return five


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("startAfter=100", [2, 3]),
        ("startBefore=100", [0]),
        ("endAfter=200", [2, 3]),
        ("endBefore=300", [0, 1]),
        ("startAfter=0&endBefore=400", [1, 2]),
        ("startAfter=-1", [0, 1, 2, 3]),
        ("startAfter=100&status=failed", [3]),
    ],
)
def test_batches_are_found_by_when_their_data_begins_and_ends(
    api: Client, dated: list[str], query: str, expected: list[int]
) -> None:
    assert places(dated, listed(api, f"{query}&orderBy=created")) == expected


@pytest.mark.parametrize("name", ["startAfter", "startBefore", "endAfter", "endBefore"])
def test_a_batch_whose_data_has_no_dates_is_not_found_by_them(
    api: Client, five: list[str], name: str
) -> None:
    assert listed(api, f"{name}=0") == []


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("created", [0, 1, 2, 3, 4]),
        ("asc:created", [0, 1, 2, 3, 4]),
        ("desc:created", [4, 3, 2, 1, 0]),
        ("status,desc:created", [4, 3, 2, 1, 0]),
        ("desc:status,created", [0, 1, 2, 3, 4]),
        ("desc:failedRecordCount,desc:externalId", [4, 3, 2, 1, 0]),
    ],
)
def test_a_list_can_be_ordered(api: Client, five: list[str], order: str, expected: list[int]) -> None:
    assert places(five, listed(api, f"orderBy={order}")) == expected


def test_pages_follow_one_another_without_gap_or_overlap(api: Client, five: list[str]) -> None:
    pages = [listed(api, f"orderBy=desc:created&limit=2&start={start}") for start in (0, 2, 4, 6)]
    assert [places(five, page) for page in pages] == [[4, 3], [2, 1], [0], []]


def test_pages_without_an_order_are_complete_all_the_same(api: Client, five: list[str]) -> None:
    pages = [listed(api, f"limit=2&start={start}") for start in (0, 2, 4)]
    assert sorted(chain.from_iterable(pages)) == five


def test_a_page_has_twenty_batches_by_default_and_a_hundred_at_most(api: Client) -> None:
    for _ in range(101):
        api.open()
    api.advance(1)
    assert len(listed(api, "orderBy=created")) == 20
    assert len(listed(api, "limit=100")) == 100


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=many",
        "start=-1",
        "orderBy=up:created",
        "createdAfter=yesterday",
        "endBefore=tomorrow",
        "property=status~(",
        "property=status~a{99999999999}",
        f"property=status~{'(' * 900}{')' * 900}",
        "property=recordCount>few",
        "property=%3D%3D",
        "sort=created",
        "state=success",
    ],
)
def test_a_malformed_query_is_refused(api: Client, five: list[str], query: str) -> None:
    answer = api.get(f"catalog/batches?{query}")
    assert answer.status_code == 400
    assert answer.json()["type"] == "/placeholder/type/uri"


def test_properties_are_an_allow_list(api: Client, five: list[str]) -> None:
    assert api.get(f"catalog/batches/{five[0]}?properties=status,errors").json() == {
        five[0]: {"status": "success"}
    }
    assert api.get("catalog/batches?properties=errors&externalId=run-0").json() == {five[0]: {}}


def test_the_seeded_datasets_are_complete(api: Client) -> None:
    datasets = api.get("catalog/dataSets").json()
    assert set(datasets) == {CRM_PROFILES, PAGE_VIEWS, LOYALTY_MEMBERS}
    for dataset_id, dataset in datasets.items():
        assert dataset["name"]
        assert dataset["classification"]["dataBehavior"] in ("record", "time-series", "adhoc")
        assert len(dataset["tags"]["adobe/pqs/table"]) == 1
        assert dataset["files"] == f"@/dataSetFiles?dataSetId={dataset_id}"
        assert dataset["schemaRef"]["contentType"] == "application/vnd.adobe.xed+json;version=1"


def test_datasets_are_found_by_id_name_and_tag(api: Client) -> None:
    assert list(api.get(f"catalog/dataSets/{CRM_PROFILES}").json()) == [CRM_PROFILES]
    both = api.get(f"catalog/dataSets/{CRM_PROFILES},{PAGE_VIEWS},x?properties=name").json()
    assert both == {CRM_PROFILES: {"name": "CRM profiles"}, PAGE_VIEWS: {"name": "Page views"}}
    assert list(api.get("catalog/dataSets?name=Page views").json()) == [PAGE_VIEWS]
    assert list(api.get("catalog/dataSets?tags=adobe/pqs/table:loyalty*").json()) == [LOYALTY_MEMBERS]
    assert api.get("catalog/dataSets/nothing").status_code == 404


def test_the_last_batches_of_datasets(api: Client, five: list[str]) -> None:
    loading = api.open(PAGE_VIEWS)
    api.advance(1)
    found = api.get("catalog/lastBatches").json()
    assert found.keys() == {CRM_PROFILES, PAGE_VIEWS}
    crm, views = found[CRM_PROFILES], found[PAGE_VIEWS]
    assert crm.pop("created") == api.batch(five[3])["created"]
    assert crm.pop("updated") == api.batch(five[3])["updated"]
    assert crm == {
        "lastBatchId": five[3],
        "lastBatchStatus": "failed",
        "lastSuccessfulBatchId": five[2],
        "lastFailedBatchId": five[3],
        "imsOrg": ORG,
        "sandboxId": api.batch(five[3])["sandboxId"],
    }
    assert (views["lastBatchId"], views["lastBatchStatus"]) == (loading, "loading")
    assert views["lastFailedBatchId"] == five[4]
    assert "lastSuccessfulBatchId" not in views


@pytest.mark.parametrize(
    ("query", "datasets"),
    [
        (f"dataSetId={CRM_PROFILES}", {CRM_PROFILES}),
        (f"dataSetId={CRM_PROFILES},{PAGE_VIEWS}", {CRM_PROFILES, PAGE_VIEWS}),
        ("dataSetId=none", set()),
        ("lastBatchStatus=failed", {CRM_PROFILES, PAGE_VIEWS}),
        ("lastBatchStatus=success", set()),
        ("orderBy=desc:created&limit=1", {PAGE_VIEWS}),
        ("orderBy=desc:created&limit=1&start=1", {CRM_PROFILES}),
    ],
)
def test_last_batches_can_be_filtered(api: Client, five: list[str], query: str, datasets: set[str]) -> None:
    assert api.get(f"catalog/lastBatches?{query}").json().keys() == datasets


def test_last_batches_lag_like_everything(api: Client) -> None:
    api.open()
    assert api.get("catalog/lastBatches").json() == {}


def test_a_new_dataset_takes_batches(api: Client) -> None:
    answer = api.call("POST", "catalog/dataSets", json={"name": "My data", "schemaRef": SCHEMA})
    assert answer.status_code == 201
    [reference] = answer.json()
    dataset_id = reference.removeprefix("@/dataSets/")
    assert answer.headers["Location"].endswith(f"/dataSets/{dataset_id}")
    assert api.get(f"catalog/dataSets/{dataset_id}").status_code == 404
    api.advance(1)
    dataset = api.get(f"catalog/dataSets/{dataset_id}").json()[dataset_id]
    assert dataset["tags"] == {"adobe/pqs/table": ["my_data"]}
    assert dataset["classification"]["dataBehavior"] == "record"
    assert api.ingest(b"{}", dataset_id=dataset_id)["status"] == "success"


@pytest.mark.parametrize("directives", ["validate-only", "no-cache, Validate-Only"])
def test_a_dataset_that_is_only_to_be_validated_is_not_kept(api: Client, directives: str) -> None:
    before = api.get("catalog/dataSets").json()
    headers = {"Pragma": directives}
    fine = api.call("POST", "catalog/dataSets", headers=headers, json={"name": "Mine", "schemaRef": SCHEMA})
    assert fine.status_code == 201
    assert api.call("POST", "catalog/dataSets", headers=headers, json={"name": "Mine"}).status_code == 400
    api.advance(1)
    assert api.get("catalog/dataSets").json() == before


def test_another_pragma_does_not_keep_a_dataset_from_being_added(api: Client) -> None:
    body = {"name": "Mine", "schemaRef": SCHEMA}
    api.call("POST", "catalog/dataSets", headers={"Pragma": "no-cache"}, json=body)
    api.advance(1)
    assert len(api.get("catalog/dataSets?name=Mine").json()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "No schema"},
        {"name": "", "schemaRef": SCHEMA},
        {"name": "x", "schemaRef": {"id": SCHEMA["id"]}},
        {"name": "x", "schemaRef": {**SCHEMA, "id": "https://ns.adobe.com/localtenant/schemas/none"}},
    ],
)
def test_a_malformed_dataset_is_refused(api: Client, body: dict[str, Any]) -> None:
    assert api.call("POST", "catalog/dataSets", json=body).status_code == 400


def test_the_catalog_refuses_a_missing_content_type_in_its_own_words(api: Client) -> None:
    answer = api.call("POST", "catalog/dataSets", data=b"{}")
    assert answer.json() == {
        "type": "/placeholder/type/uri",
        "status": 400,
        "title": "BadRequestError",
        "detail": "A valid content-type must be specified",
    }
