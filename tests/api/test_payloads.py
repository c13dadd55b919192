"""The body of ``POST /batches``: what arguments become, and which are refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
from desk import CRM_PROFILES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.payloads import create_batch_payload


def payload(**arguments: Any) -> dict[str, Any]:
    return create_batch_payload(**{"dataset_id": CRM_PROFILES, "input_format": "json", **arguments})


FORMATS: dict[str, tuple[Any, dict[str, Any]]] = {
    "json": ("json", {"format": "json"}),
    "multiline json": ("multiline-json", {"format": "json", "isMultiLineJson": True}),
    "parquet": ("parquet", {"format": "parquet"}),
    "csv": ("csv", {"format": "csv"}),
    "upper case": ("Parquet", {"format": "parquet"}),
    "csv with options": (
        {"format": "csv", "delimiter": ";", "quote": "'", "escape": "\\", "nullMarker": "", "header": True, "charset": "UTF-8"},
        {"format": "csv", "delimiter": ";", "quote": "'", "escape": "\\", "nullMarker": "", "header": True, "charset": "UTF-8"},
    ),
    "csv from a template": ({"format": "CSV", "header": "False"}, {"format": "csv", "header": False}),
    "multiline json in Adobe's names": (
        {"format": "JSON", "isMultiLineJson": "true"}, {"format": "json", "isMultiLineJson": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "sent"), FORMATS.values(), ids=list(FORMATS))
def test_formats_become_adobes(given: Any, sent: dict[str, Any]) -> None:
    assert payload(input_format=given) == {"datasetId": CRM_PROFILES, "inputFormat": sent}


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "external id": ({"external_id": "dag/run.1@x-y_z"}, {"externalId": "dag/run.1@x-y_z"}),
    "a tag with one text": ({"tags": {"team": "a"}}, {"tags": {"team": ["a"]}}),
    "tags with several texts": ({"tags": {"team": ["a", "b"], "x": ("c",)}}, {"tags": {"team": ["a", "b"], "x": ["c"]}}),
    "no tags": ({"tags": {}}, {"tags": {}}),
    "diagnostics on": ({"enable_error_diagnostics": True}, {"enableErrorDiagnostics": True}),
    "diagnostics off": ({"enable_error_diagnostics": False}, {"enableErrorDiagnostics": False}),
    "diagnostics from a template": ({"enable_error_diagnostics": "True"}, {"enableErrorDiagnostics": True}),
    "percent": ({"partial_ingestion_percent": 5}, {"partialIngestionPercent": 5}),
    "percent zero": ({"partial_ingestion_percent": 0}, {"partialIngestionPercent": 0}),
    "percent hundred": ({"partial_ingestion_percent": 100.0}, {"partialIngestionPercent": 100}),
    "percent from a template": ({"partial_ingestion_percent": "2.5"}, {"partialIngestionPercent": 2.5}),
    "replay": (
        {"replay_predecessors": ["B1", "$B2"]}, {"replay": {"reason": "replace", "predecessors": ["$B1", "$B2"]}},
    ),
    "replay of one": ({"replay_predecessors": "B1"}, {"replay": {"reason": "replace", "predecessors": ["$B1"]}}),
    "replay by external id": (
        {"replay_predecessors_by_external_id": ["run-1"], "replay_reason": "late data"},
        {"replay": {"reason": "late data", "predecessorsByExternalId": ["$run-1"]}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "sent"), OPTIONS.values(), ids=list(OPTIONS))
def test_options_become_adobes(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert payload(**given) == {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}, **sent}


def test_the_platform_takes_them_as_they_are(client: CatalogClient, desk: Desk) -> None:
    (predecessor,) = [client.create_batch(payload(external_id="run-0"))]
    everything = payload(
        external_id="run-1",
        tags={"team": "a"},
        enable_error_diagnostics=True,
        partial_ingestion_percent=5,
        replay_predecessors=predecessor,
        replay_predecessors_by_external_id="run-0",
    )
    batch = client.get_batch(client.create_batch(everything))
    assert desk.sent(path="/data/foundation/import/batches")[-1].body == everything
    assert batch.external_id == "run-1"
    assert batch.tags["team"] == ("a",)
    assert batch.tags["acp_partialIngestionPercent"] == ("5",)
    assert batch.tags["acp_enableErrorDiagnostics"] == ("True",)


REFUSED: list[tuple[str, Any]] = [
    *(("dataset_id", value) for value in ("", " ", "a b", "a/b", "x\n", "{{ var.value.dataset }}", "x" * 129, None, 5)),
    *(
        ("input_format", value)
        for value in (
            "avro", "", None, 5, ["json"], {}, {"format": "avro"}, {"format": None}, {"delimiter": ";"},
            {"format": "json", "delimiter": ";"}, {"format": "json", "header": True},
            {"format": "json", "isMultiLineJson": "yes"},
            {"format": "parquet", "isMultiLineJson": True}, {"format": "csv", "isMultiLineJson": True},
            {"format": "csv", "delimiter": ";;"}, {"format": "csv", "delimiter": ""}, {"format": "csv", "quote": None},
            {"format": "csv", "header": "maybe"}, {"format": "csv", "charset": "UTF-16"}, {"format": "csv", "separator": ";"},
        )
    ),
    *(("external_id", value) for value in ("", "a b", "ä", "x\n", "x" * 513, 5)),
    *(
        ("tags", value)
        for value in (
            "team", ["team"], {"adobe_x": "a"}, {"acp_x": "a"}, {"unifiedProfile": "enabled:true"}, {"unifiedIdentity": "a"},
            {"team": 5}, {"team": []}, {"team": ["a", 5]}, {"team": None}, {"": "a"}, {"a\nb": "a"}, {5: "a"},
        )
    ),
    *(("enable_error_diagnostics", value) for value in ("yes", 1, 0, "", [])),
    *(("partial_ingestion_percent", value) for value in (-1, 101, 100.1, math.nan, math.inf, "abc", "nan", "", True, "-1")),
    *(("replay_predecessors", value) for value in ([], "", ["a b"], [""], [5], 5, ["B1", "x\n"])),
    *(("replay_predecessors_by_external_id", value) for value in ([], "", ["a b"], [None], 5)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "value"), REFUSED, ids=[f"{name} {str(value)[:40]!r}" for name, value in REFUSED]
)
def test_what_the_platform_would_refuse_or_misread_is_refused_by_name(argument: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        payload(**{argument: value})
    assert caught.value.argument == argument
    assert str(caught.value).startswith(f"{argument}: got ")
    assert ", expected " in str(caught.value)
    assert caught.value.permanent


@pytest.mark.parametrize("reason", ["", "a\nb", "x" * 257, 5], ids=str)
def test_a_reason_is_a_short_text(reason: Any) -> None:
    with pytest.raises(InvalidInputError, match="replay_reason"):
        payload(replay_predecessors=["B1"], replay_reason=reason)


def test_a_reason_without_batches_is_refused() -> None:
    with pytest.raises(
        InvalidInputError, match="replay_reason: got 'replace', expected None, unless batches"
    ):
        payload(replay_reason="replace")


def test_the_users_own_values_are_left_as_they_are() -> None:
    given = {"format": "CSV", "header": "true"}
    ids = ["B1"]
    payload(input_format=given, replay_predecessors=ids)
    assert (given, ids) == ({"format": "CSV", "header": "true"}, ["B1"])
