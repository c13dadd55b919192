"""`CreateBatchOperator` finds the batch of its earlier tries or opens one as its arguments say, and gives its id and a link."""

import inspect
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from desk import BATCHES, CRM_PROFILES, Desk, Sent
from tasks import Run, Visit, dag, run_task, run_try

from airflow_provider_catalog.api.errors import ApiError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.links.dataset import DATASET_URL_KEY
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


def creations(desk: Desk) -> list[Sent]:
    return desk.sent("POST", "/data/foundation/import/batches")


def body_for(desk: Desk, **arguments: Any) -> dict[str, Any]:
    """Give the body of the one create request that these arguments lead to, without what tells whose batch it is."""
    run_task(create(**arguments))
    [sent] = creations(desk)
    assert sent.query == {}
    return without_owner(sent.body)


def without_owner(body: dict[str, Any]) -> dict[str, Any]:
    tags = {name: values for name, values in body["tags"].items() if not name.startswith("airflow_")}
    derived = {"externalId"} if body["externalId"].startswith("airflow-") else set()
    rest = {name: value for name, value in body.items() if name not in {"tags", *derived}}
    return rest | ({"tags": tags} if tags else {})


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
    [sent] = creations(desk)
    assert sent.headers["x-sandbox-name"] == "prod"
    assert without_owner(sent.body) == {
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
    [sent] = creations(desk)
    assert (sent.body["partialIngestionPercent"], sent.body["enableErrorDiagnostics"]) == (5, True)
    assert sent.body["replay"]["predecessors"] == [f"${PREDECESSOR}"]


OWNER = {
    "airflow_dag_id": ["dag"],
    "airflow_run_id": ["run"],
    "airflow_task_id": ["open"],
    "airflow_map_index": ["-1"],
}


def test_the_batch_tells_whose_it_is(desk: Desk) -> None:
    run_task(create(tags={"owner": "data"}))
    [sent] = creations(desk)
    assert sent.body["tags"].items() >= {"owner": ["data"], **OWNER}.items()
    assert sent.body["externalId"].startswith("airflow-")


def test_the_link_is_there_before_the_batch(desk: Desk) -> None:
    desk.break_next({"status": 403}, "/data/*", times=None)
    visit = Visit(create(), Run())
    with pytest.raises(AirflowFailException):
        run_try(visit)
    assert visit.xcoms == {DATASET_URL_KEY: f"{desk.url}/ui/dev/datasets/{CRM_PROFILES}"}


def test_a_retry_hands_on_the_batch_of_the_try_before_it(desk: Desk) -> None:
    tries = [run_try(Visit(create(), Run(), try_number=number)) for number in (1, 2)]
    assert tries[0].xcoms == tries[1].xcoms
    assert len(creations(desk)) == 1


@pytest.mark.parametrize("seen", [0, 600], ids=["at once", "ten minutes later"])
def test_a_retry_finds_the_batch_that_the_try_before_it_never_heard_of(seen: float, desk: Desk) -> None:
    desk.break_next({"drop": "after"}, "*/import/batches")
    desk.break_next({"status": 500}, BATCHES, times=None, skip=1)
    with pytest.raises(ApiError, match="500"):
        run_try(Visit(create(), Run()))
    desk.mend()
    desk.advance(seen)
    batch_id = run_try(Visit(create(), Run(), try_number=2)).xcoms["return_value"]
    assert desk.batch(batch_id)["status"] == "loading"
    assert len(creations(desk)) == 1


def test_a_retry_hands_on_a_batch_that_was_completed_in_the_meantime(desk: Desk) -> None:
    first = run_try(Visit(create(), Run())).xcoms["return_value"]
    desk.hold(first, "success")
    assert run_try(Visit(create(), Run(), try_number=2)).xcoms["return_value"] == first


def test_a_retry_opens_another_batch_when_the_first_one_has_failed(desk: Desk) -> None:
    first = run_try(Visit(create(), Run())).xcoms["return_value"]
    desk.hold(first, "failed")
    assert run_try(Visit(create(), Run(), try_number=2)).xcoms["return_value"] != first


def test_a_cleared_task_opens_another_batch(desk: Desk) -> None:
    first = run_try(Visit(create(), Run())).xcoms["return_value"]
    second = run_try(Visit(create(), Run(), try_number=2, clears=1)).xcoms["return_value"]
    assert second != first
    assert [desk.batch(batch_id)["status"] for batch_id in (first, second)] == ["loading", "loading"]


def test_every_argument_is_templated() -> None:
    parameters = inspect.signature(CreateBatchOperator.__init__.__wrapped__).parameters  # type: ignore[attr-defined]
    arguments = {name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    assert set(CreateBatchOperator.template_fields) == arguments | {"catalog_conn_id", "sandbox_name"}
