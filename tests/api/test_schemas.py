"""Fetching the schema of a dataset from the Schema Registry."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from client_stage import MakeClient
from desk import CRM_PROFILES, Desk
from peers import answer, peer

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, InvalidInputError, NotFoundError, UnreachableError
from airflow_provider_catalog.api.models import Dataset

REGISTRY = "/data/foundation/schemaregistry"
TENANT_SCHEMA = "https://ns.adobe.com/acme/schemas/x"


def test_the_schema_of_a_dataset_is_fetched_written_out(client: CatalogClient, desk: Desk) -> None:
    dataset = client.get_dataset(CRM_PROFILES)
    assert dataset.schema_id is not None
    assert dataset.schema_version == 1
    schema = client.get_schema(dataset.schema_id, dataset.schema_version)
    assert schema["$id"] == dataset.schema_id
    assert "person" in schema["properties"]
    [sent] = desk.sent("GET", f"{REGISTRY}/*")
    assert sent.headers["Accept"] == "application/vnd.adobe.xed-full+json; version=1"


@pytest.mark.parametrize(
    ("schema_id", "container"),
    [
        (TENANT_SCHEMA, "tenant"),
        ("https://ns.adobe.com/xdm/context/profile", "global"),
        ("https://ns.adobe.com/xdmish/schemas/x", "tenant"),
    ],
)
def test_it_is_looked_for_in_the_container_of_its_namespace(
    make_client: MakeClient, desk: Desk, schema_id: str, container: str
) -> None:
    body = f'{{"$id": "{schema_id}"}}'.encode()
    with peer(answer(200, body)) as registry:
        make_client(registry.url, ims_host=desk.url).get_schema(schema_id, 3)
    request = registry.received[0].decode()
    assert request.startswith(f"GET {REGISTRY}/{container}/schemas/{quote(schema_id, safe='')} HTTP/1.1\r\n")
    assert "accept: application/vnd.adobe.xed-full+json; version=3\r\n" in request.lower()


def test_an_unknown_schema_is_not_found(client: CatalogClient) -> None:
    with pytest.raises(NotFoundError, match=r"code XDM-1012.*Check the id"):
        client.get_schema(TENANT_SCHEMA)


def test_a_version_that_there_is_not_is_an_error_with_advice(client: CatalogClient) -> None:
    schema_id = client.get_dataset(CRM_PROFILES).schema_id
    with pytest.raises(ApiError, match="Check that the Schema Registry has this version") as caught:
        client.get_schema(str(schema_id), 9)
    assert (caught.value.failure.status, caught.value.permanent) == (406, True)


def test_an_id_that_is_no_address_is_refused(client: CatalogClient, desk: Desk) -> None:
    with pytest.raises(InvalidInputError, match=r"schema_id: got '_acme\.schemas\.x'"):
        client.get_schema("_acme.schemas.x")
    assert desk.sent("GET", f"{REGISTRY}/*") == []


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b'{"$id": "x", "properties": {"a": 1}}', b'{"$id": "x", "allOf": {}}',
     b'{"$id": "x", "properties": {"a": {"items": {"required": "b"}}}}'],
)  # fmt: skip
def test_an_answer_that_is_no_schema_is_not_relied_on(
    make_client: MakeClient, desk: Desk, body: bytes
) -> None:
    with peer(answer(200, body)) as registry, pytest.raises(UnreachableError, match="breaks the rule"):
        make_client(registry.url, ims_host=desk.url, attempts=1).get_schema(TENANT_SCHEMA)


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ({"id": "x", "contentType": "application/vnd.adobe.xed+json;version=1"}, 1),
        ({"id": "x", "contentType": "application/vnd.adobe.xed-full+json; version=2.3"}, 2),
        ({"id": "x", "contentType": 'application/vnd.adobe.xed+json; version="12"'}, 12),
        ({"id": "x", "contentType": "application/vnd.adobe.xed+json"}, None),
        ({"id": "x", "contentType": 1}, None),
        ({"id": "x"}, None),
        ("x", None),
        (None, None),
    ],
)
def test_the_major_version_stands_in_the_dataset(reference: Any, version: int | None) -> None:
    assert Dataset.parse("D1", {"schemaRef": reference}).schema_version == version
