"""A dataset's schema becomes a list of columns."""

import time
from typing import Any

import pytest
from desk import CRM_PROFILES, Desk

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.lineage import columns as module
from airflow_provider_catalog.lineage.columns import MOST_COLUMNS, columns, read_dataset_schema

STRING = {"type": "string"}


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def flat(schema: dict[str, Any]) -> dict[str, str | None]:
    return {column.path: column.kind for column in columns(schema)}


def test_fields_of_fields_are_columns_with_dots() -> None:
    name = record(first=STRING, last=STRING)
    assert flat(record(person=record(name=name), age={"type": "integer", "meta:xdmType": "short"})) == {
        "person.name.first": "string",
        "person.name.last": "string",
        "age": "short",
    }


def test_what_an_array_holds_is_marked() -> None:
    orders = {"type": "array", "items": record(sku=STRING, tags={"type": "array", "items": STRING})}
    assert flat(record(orders=orders)) == {"orders[].sku": "string", "orders[].tags[]": "string"}


def test_a_map_and_a_field_of_any_type_are_one_column() -> None:
    tickets = {"type": "object", "meta:xdmType": "map", "additionalProperties": STRING}
    assert flat(record(tickets=tickets, anything={})) == {"tickets": "object", "anything": None}


def test_parts_of_a_schema_are_taken_together() -> None:
    assert flat({"allOf": [record(a=STRING), record(b={"type": "boolean"})]}) == {
        "a": "string",
        "b": "boolean",
    }


def test_of_very_many_columns_the_deepest_are_left_out() -> None:
    wide = record(**{f"leaf{number}": STRING for number in range(MOST_COLUMNS)})
    assert flat(record(a=record(b=wide), c=STRING)) == {"a.b": "object", "c": "string"}
    assert len(flat(record(a=wide))) == MOST_COLUMNS


class TestTheSchemaOfADataset:
    def test_is_read_with_two_requests_and_no_further_token(self, desk: Desk) -> None:
        client = CatalogHook().client
        client.auth.token()
        desk.forget()
        schema = read_dataset_schema(client.settings, CRM_PROFILES)
        assert schema is not None
        assert flat(dict(schema))["person.name.firstName"] == "string"
        assert [sent.path.split("/")[3] for sent in desk.sent()] == ["catalog", "schemaregistry"]

    def test_is_not_waited_for_for_long(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        client = CatalogHook().client
        client.auth.token()
        monkeypatch.setattr(module, "SECONDS", 0.2)
        desk.hold_requests("before", "/data/foundation/catalog/dataSets/*")
        started = time.monotonic()
        assert read_dataset_schema(client.settings, CRM_PROFILES) is None
        assert time.monotonic() - started < 5
        # Whoever still waits for the answer would go on to the schema, in the middle of the next test.
        [held] = desk.held()
        desk.release(held["id"], {"status": 503})

    def test_is_left_out_where_the_platform_does_not_give_it(self, desk: Desk) -> None:
        desk.break_next({"status": 503}, "/data/foundation/schemaregistry/*", times=None)
        assert read_dataset_schema(CatalogHook().client.settings, CRM_PROFILES) is None
        assert len(desk.sent(path="/data/*")) == 2

    def test_is_left_out_where_there_is_no_such_dataset(self, desk: Desk) -> None:
        assert read_dataset_schema(CatalogHook().client.settings, "5" * 24) is None
