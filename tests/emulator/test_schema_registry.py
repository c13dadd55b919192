"""The schema registry."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft7Validator

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, LOYALTY_MEMBERS, PAGE_VIEWS

from .client import ORG, Client

CRM = "https://ns.adobe.com/localtenant/schemas/crm_profiles"
FULL = "application/vnd.adobe.xed-full+json; version=1"
IDS = "application/vnd.adobe.xed-id+json"


def schema(api: Client, name: str = CRM, accept: str = FULL, container: str = "tenant") -> Any:
    path = f"schemaregistry/{container}/schemas/{quote(name, safe='')}"
    return api.get(path, headers={"Accept": accept})


def code(answer: Any) -> str:
    return str(answer.json()["type"].rpartition("/")[2])


@pytest.mark.parametrize("name", [CRM, "_localtenant.schemas.crm_profiles"])
def test_a_schema_is_found_by_its_uri_and_by_its_alternative_id(api: Client, name: str) -> None:
    answer = schema(api, name)
    assert answer.status_code == 200
    assert answer.json()["$id"] == CRM
    assert answer.headers["Content-Type"] == FULL


def test_the_schema_of_a_dataset_describes_crm_profiles(api: Client) -> None:
    validator = Draft7Validator(schema(api).json())
    record = {
        "person": {"name": {"firstName": "Customer", "lastName": "0001"}, "birthYear": 1990},
        "identityMap": {"CRMID": [{"id": "c-1", "primary": True}]},
        "homeAddress": {"city": "Basel", "_schema": {"latitude": 47.5, "longitude": 7.6}},
        "personalEmail": {"address": "c1@example.com"},
    }
    assert validator.is_valid(record)
    assert not validator.is_valid({"person": {"birthYear": "nineteen-ninety"}})
    assert not validator.is_valid({"homeAddress": {"_schema": {"latitude": 91}}})


@pytest.mark.parametrize("dataset_id", [CRM_PROFILES, PAGE_VIEWS, LOYALTY_MEMBERS, None])
def test_the_way_from_a_dataset_to_its_schema(api: Client, dataset_id: str | None) -> None:
    wanted = dataset_id or api.add_dataset({"size": {"type": "integer"}})
    api.advance(1)
    [dataset] = api.get(f"catalog/dataSets/{wanted}?properties=schemaRef").json().values()
    reference = dataset["schemaRef"]
    found = schema(api, reference["id"])
    assert (found.status_code, found.json()["$id"]) == (200, reference["id"])
    assert found.json()["properties"]
    # What the reference itself asks for is the schema with its references left in; of these there are none here.
    assert schema(api, reference["id"], reference["contentType"]).json() == found.json()


@pytest.mark.parametrize(
    ("accept", "status", "expected"),
    [
        ("application/vnd.adobe.xed-full+json", 400, "XDM-1007-400"),
        (IDS, 400, "XDM-1007-400"),
        ("application/json", 406, "XDM-1006-406"),
        ("*/*", 406, "XDM-1006-406"),
        ("application/vnd.adobe.xed-full+json; version=2", 406, "XDM-1006-406"),
        ("application/vnd.adobe.xed-flat+json; version=1", 406, "XDM-1006-406"),
    ],
)
def test_a_look_up_needs_a_format_and_a_version(api: Client, accept: str, status: int, expected: str) -> None:
    answer = schema(api, accept=accept)
    assert (answer.status_code, code(answer)) == (status, expected)


@pytest.mark.parametrize(("name", "container"), [("https://ns.adobe.com/none", "tenant"), (CRM, "global")])
def test_an_unknown_schema_is_not_found(api: Client, name: str, container: str) -> None:
    answer = schema(api, name, container=container)
    assert (answer.status_code, code(answer)) == (404, "XDM-1012-404")


def test_a_summary_and_a_text_free_form_can_be_asked_for(api: Client) -> None:
    short = schema(api, accept="application/vnd.adobe.xed-id+json;version=1").json()
    assert set(short) == {"$id", "meta:altId", "version", "title"}
    bare = schema(api, accept="application/vnd.adobe.xed-full-notext+json; version=1").json()
    assert "title" not in bare
    assert bare["properties"]["person"]


@pytest.mark.parametrize("path", ["tenant/schemas", "global/classes"])
def test_a_list_takes_no_version(api: Client, path: str) -> None:
    listed = api.get(f"schemaregistry/{path}", headers={"Accept": IDS})
    assert listed.status_code == 200
    assert all("$id" in each for each in listed.json()["results"])
    for accept in (FULL, f"{IDS}; version=1", "application/vnd.adobe.xed-full+json", "application/json"):
        refused = api.get(f"schemaregistry/{path}", headers={"Accept": accept})
        assert (refused.status_code, code(refused)) == (400, "XDM-1006-400")


def test_a_new_schema_can_be_read_back(api: Client) -> None:
    fields = {"title": {"type": "string"}, "size": {"type": "integer"}}
    body = {"title": "Things", "type": "object", "properties": fields}
    created = api.call("POST", "schemaregistry/tenant/schemas", json=body)
    assert created.status_code == 201
    found = schema(api, created.json()["$id"]).json()
    assert found["properties"] == fields
    assert found["version"] == "1.0"
    bare = schema(api, created.json()["$id"], "application/vnd.adobe.xed-notext+json;version=1").json()
    assert set(bare["properties"]) == {"title", "size"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "x"},
        {"title": "x", "type": "string"},
        {"title": "x", "type": "object", "meta:class": 1},
    ],
)
def test_a_malformed_schema_is_refused(api: Client, body: dict[str, Any]) -> None:
    assert api.call("POST", "schemaregistry/tenant/schemas", json=body).status_code == 400


def test_the_statistics_name_the_tenant(api: Client) -> None:
    stats = api.get("schemaregistry/stats").json()
    assert (stats["tenantId"], stats["imsOrg"], stats["counts"]["schemas"]) == ("localtenant", ORG, 3)
