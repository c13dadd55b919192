"""`CreateBatchOperator` opens a batch as its arguments say, and gives its id and a link."""

import inspect
from typing import Any

import pytest
from desk import CRM_PROFILES, Desk
from tasks import dag, run_task

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.batch import CreateBatchOperator

PREDECESSOR = "01HP1Z0A9YZ733QCJN6AXCATHF"
CSV = {
    "format": "csv",
    "delimiter": ";",
    "quote": "'",
    "escape": "\\",
    "nullMarker": "NULL",
    "header": False,
    "charset": "ISO-8859-1",
}


def create(**arguments: Any) -> CreateBatchOperator:
    return CreateBatchOperator(task_id="open", **{"dataset_id": CRM_PROFILES, **arguments})


def body_for(desk: Desk, **arguments: Any) -> Any:
    """Give the body of the one create request that these arguments lead to."""
    run_task(create(**arguments))
    [sent] = desk.sent(path="/data/*")
    assert (sent.method, sent.path, sent.query) == ("POST", "/data/foundation/import/batches", {})
    return sent.body


def test_the_return_value_is_the_id_of_the_batch_in_the_catalog(desk: Desk) -> None:
    batch_id = run_task(create()).xcoms["return_value"]
    batch = desk.batch(batch_id)
    assert batch["status"] == "loading"
    assert batch["relatedObjects"] == [{"type": "dataSet", "id": CRM_PROFILES}]


def test_what_is_not_asked_for_is_not_sent(desk: Desk) -> None:
    assert body_for(desk) == {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("json", {"format": "json"}),
        ("JSON", {"format": "json"}),
        ("multiline-json", {"format": "json", "isMultiLineJson": True}),
        ("parquet", {"format": "parquet"}),
        ("csv", {"format": "csv"}),
        ({"format": "Parquet"}, {"format": "parquet"}),
        ({"format": "json", "isMultiLineJson": "true"}, {"format": "json", "isMultiLineJson": True}),
        (
            {"format": "csv", "delimiter": "\t", "header": "false"},
            {"format": "csv", "delimiter": "\t", "header": False},
        ),
        (CSV, CSV),
    ],
    ids=str,
)
def test_the_format_is_sent_in_adobes_words(given: Any, sent: Any, desk: Desk) -> None:
    assert body_for(desk, input_format=given)["inputFormat"] == sent


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"external_id": "sales/2026-01-01@eu"}, {"externalId": "sales/2026-01-01@eu"}),
        ({"tags": {"owner": "data", "team": ["a", "b"]}}, {"tags": {"owner": ["data"], "team": ["a", "b"]}}),
        ({"enable_error_diagnostics": True}, {"enableErrorDiagnostics": True}),
        ({"enable_error_diagnostics": False}, {"enableErrorDiagnostics": False}),
        ({"enable_error_diagnostics": "true"}, {"enableErrorDiagnostics": True}),
        ({"partial_ingestion_percent": 5}, {"partialIngestionPercent": 5}),
        ({"partial_ingestion_percent": "5"}, {"partialIngestionPercent": 5}),
        ({"partial_ingestion_percent": "2.5"}, {"partialIngestionPercent": 2.5}),
        ({"partial_ingestion_percent": 0}, {"partialIngestionPercent": 0}),
        ({"partial_ingestion_percent": 100}, {"partialIngestionPercent": 100}),
        (
            {"replay_predecessors": [PREDECESSOR]},
            {"replay": {"reason": "replace", "predecessors": [f"${PREDECESSOR}"]}},
        ),
        (
            {"replay_predecessors": f"${PREDECESSOR}", "replay_reason": "late rows"},
            {"replay": {"reason": "late rows", "predecessors": [f"${PREDECESSOR}"]}},
        ),
        (
            {"replay_predecessors_by_external_id": ["sales/1", "$sales/2"]},
            {"replay": {"reason": "replace", "predecessorsByExternalId": ["$sales/1", "$sales/2"]}},
        ),
    ],
    ids=str,
)
def test_an_argument_is_sent_in_adobes_words(arguments: Any, sent: Any, desk: Desk) -> None:
    body = body_for(desk, **arguments)
    assert {name: value for name, value in body.items() if name not in ("datasetId", "inputFormat")} == sent


def test_what_was_asked_for_is_found_in_the_catalog(desk: Desk) -> None:
    arguments = {
        "input_format": "csv",
        "external_id": "sales-1",
        "tags": {"owner": "data"},
        "enable_error_diagnostics": True,
        "partial_ingestion_percent": 5,
    }
    batch_id = run_task(create(**arguments)).xcoms["return_value"]
    batch = CatalogHook().client.get_batch(batch_id)
    assert batch.external_id == "sales-1"
    assert batch.tags["owner"] == ("data",)
    assert batch.tags["acp_partialIngestionPercent"] in (("5",), ("5.0",))
    assert batch.tags["acp_enableErrorDiagnostics"] == ("True",)


def test_every_argument_may_be_a_template(desk: Desk) -> None:
    names = {
        "dataset": CRM_PROFILES,
        "sandbox": "prod",
        "format": "csv",
        "delimiter": ";",
        "owner": "data",
        "diagnostics": "true",
        "percent": 5,
        "old": PREDECESSOR,
        "external": "sales-1",
    }
    with dag():
        task = create(
            catalog_conn_id="adobe_{{ 'catalog' }}_default",
            sandbox_name="{{ params.sandbox }}",
            dataset_id="{{ params.dataset }}",
            input_format={"format": "{{ params.format }}", "delimiter": "{{ params.delimiter }}"},
            tags={"owner": ["{{ params.owner }}"]},
            enable_error_diagnostics="{{ params.diagnostics }}",
            partial_ingestion_percent="{{ params.percent }}",
            replay_predecessors=["{{ params.old }}"],
            replay_predecessors_by_external_id="{{ params.external }}",
            replay_reason="because of {{ run_id }}",
            external_id="{{ params.external }}-new",
        )
    run_task(task, **names)
    [sent] = desk.sent(path="/data/*")
    assert sent.headers["x-sandbox-name"] == "prod"
    assert sent.body == {
        "datasetId": CRM_PROFILES,
        "inputFormat": {"format": "csv", "delimiter": ";"},
        "tags": {"owner": ["data"]},
        "enableErrorDiagnostics": True,
        "partialIngestionPercent": 5,
        "replay": {
            "reason": "because of run",
            "predecessors": [f"${PREDECESSOR}"],
            "predecessorsByExternalId": ["$sales-1"],
        },
        "externalId": "sales-1-new",
    }


def test_values_keep_their_types_where_the_dag_renders_native_objects(desk: Desk) -> None:
    with dag(render_template_as_native_obj=True):
        task = create(
            partial_ingestion_percent="{{ params.percent }}",
            enable_error_diagnostics="{{ params.diagnostics }}",
            replay_predecessors="{{ params.old }}",
        )
    run_task(task, percent=5, diagnostics=True, old=[PREDECESSOR])
    [sent] = desk.sent(path="/data/*")
    assert (sent.body["partialIngestionPercent"], sent.body["enableErrorDiagnostics"]) == (5, True)
    assert sent.body["replay"]["predecessors"] == [f"${PREDECESSOR}"]


def test_every_argument_is_templated() -> None:
    parameters = inspect.signature(CreateBatchOperator.__init__.__wrapped__).parameters  # type: ignore[attr-defined]
    arguments = {name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    assert set(CreateBatchOperator.template_fields) == arguments | {"catalog_conn_id", "sandbox_name"}
