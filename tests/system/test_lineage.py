"""A real Airflow with OpenLineage: what its listener sends of a success and of a failure, field by field."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from airflow_stack import wait_for
from catalog_view import CatalogView, record_counts
from desk import CRM_PROFILES
from runs import Runs

pytest.importorskip(
    "airflow.providers.openlineage",
    reason="needs apache-airflow-providers-openlineage: airflow-provider-catalog[openlineage]",
)
DAGS = {
    "lineage_success": {"load": "success"},
    "lineage_failure": {"load": "failed"},
    "lineage_chain": dict.fromkeys(("open_batch", "upload", "complete", "wait"), "success"),
    "lineage_hook": {"load_by_hand": "success"},
}
LAST_EVENT_SECONDS = 60
NAMESPACE = "aep://0123456789ABCDEF01234567%40AdobeOrg"
SCHEMA = {
    "schema": {
        "fields": [
            {"name": "_id", "type": "string", "fields": []},
            {"name": "person.name.courtesyTitle", "type": "string", "fields": []},
            {"name": "person.name.firstName", "type": "string", "fields": []},
        ]
    }
}
ROW = '{"person": {"name": {"firstName": "Jokull-of-row"}}}\n'


@dataclass(frozen=True)
class Stage:
    """What is left of the runs.

    :param data: where the files were.
    :param platform: what the Catalog shows.
    :param events: what the listener has written of these DAGs.
    :param secrets: the client secret, and all tokens that were given out.
    """

    data: Path
    platform: CatalogView
    events: list[dict[str, Any]]
    secrets: tuple[str, ...]

    def events_of(self, dag_id: str, task_id: str) -> list[dict[str, Any]]:
        """The events of one task, in order."""
        return [event for event in self.events if event["job"]["name"] == f"{dag_id}.{task_id}"]


@pytest.fixture(scope="module")
def stage(runs: Runs) -> Stage:
    """All DAGs have run, and the listener has told of the end of each task."""
    # That of Airflow 3 writes its last event when the task's state is known already.
    wait_for(
        lambda: ends(runs.lineage()) >= {f"{dag}.{task}" for dag in DAGS for task in DAGS[dag]},
        LAST_EVENT_SECONDS,
        "events are missing",
    )
    events = [event for event in runs.lineage() if event["job"]["name"].startswith("lineage_")]
    return Stage(runs.airflow.dags / "data" / "lineage", runs.platform, events, runs.secrets)


@pytest.mark.parametrize(("dag_id", "task_id"), [(dag, task) for dag in DAGS for task in DAGS[dag]])
def test_the_tasks_end_as_they_should(runs: Runs, dag_id: str, task_id: str) -> None:
    assert runs.airflow.state_of(dag_id, task_id) == DAGS[dag_id][task_id]


def ends(events: list[dict[str, Any]]) -> set[str]:
    return {event["job"]["name"] for event in events if event["eventType"] in ("COMPLETE", "FAIL")}


def of_facets(facets: dict[str, Any]) -> dict[str, Any]:
    """Give what facets tell, without what each of them has."""
    return {
        name: {key: value for key, value in facet.items() if not key.startswith("_")}
        for name, facet in facets.items()
    }


def dataset(namespace: str, name: str, facets: dict[str, Any], **other: dict[str, Any]) -> dict[str, Any]:
    return {"namespace": namespace, "name": name, "facets": facets} | other


def inputs_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        each | {kind: of_facets(each.get(kind, {})) for kind in ("facets", "inputFacets")}
        for each in event["inputs"]
    ]


def outputs_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the outputs; of the columns only the first three."""
    outputs = [
        each | {kind: of_facets(each.get(kind, {})) for kind in ("facets", "outputFacets")}
        for each in event["outputs"]
    ]
    for each in outputs:
        if "schema" in each["facets"]:
            del each["facets"]["schema"]["fields"][3:]
    return outputs


def batch_of(event: dict[str, Any]) -> dict[str, Any]:
    return of_facets(event["run"]["facets"])["adobe_batch"]


def file_input(path: Path) -> dict[str, Any]:
    return dataset("file", str(path), {}, inputFacets={})


def catalog_output(statistics: dict[str, int] | None, facets: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    counted = {} if statistics is None else {"outputStatistics": statistics}
    return dataset(NAMESPACE, f"dev/{CRM_PROFILES}", facets, outputFacets=counted)


def only_batch_with(stage: Stage, batch_id: str) -> dict[str, Any]:
    """Give what is to be told of a batch, from the Catalog."""
    record = stage.platform.batch(batch_id)
    counts = record_counts(record)
    return {
        "batchId": batch_id,
        "externalId": record["externalId"],
        "status": record["status"],
        "recordsRead": counts["records_read"],
        "recordsWritten": counts["records_written"],
        "recordsFailed": counts["records_failed"],
        "link": f"{stage.platform.url}/ui/dev/datasets/{CRM_PROFILES}",
    }


@pytest.mark.parametrize("dag_id", ["lineage_success", "lineage_failure"])
def test_the_start_of_an_ingestion_tells_of_its_dataset(stage: Stage, dag_id: str) -> None:
    first, *_ = stage.events_of(dag_id, "load")
    assert first["eventType"] == "START"
    assert inputs_of(first) == []
    assert outputs_of(first) == [catalog_output(None, facets={})]
    assert "adobe_batch" not in first["run"]["facets"]


def test_the_success_of_an_ingestion_tells_of_files_dataset_and_batch(stage: Stage) -> None:
    *others, last = stage.events_of("lineage_success", "load")
    assert ({each["eventType"] for each in others}, last["eventType"]) == ({"START"}, "COMPLETE")
    assert inputs_of(last) == [file_input(stage.data / "good" / name) for name in ("a.json", "b.json")]
    assert outputs_of(last) == [catalog_output({"rowCount": 3, "size": 3 * len(ROW), "fileCount": 2})]
    batch = batch_of(last)
    assert batch == only_batch_with(stage, batch["batchId"])
    assert (batch["status"], batch["recordsWritten"]) == ("success", 3)
    assert "errorMessage" not in last["run"]["facets"]


def test_the_failure_of_an_ingestion_tells_of_them_too(stage: Stage) -> None:
    *others, last = stage.events_of("lineage_failure", "load")
    assert ({each["eventType"] for each in others}, last["eventType"]) == ({"START"}, "FAIL")
    assert inputs_of(last) == [file_input(stage.data / "bad.json")]
    assert outputs_of(last) == [catalog_output(None)]
    batch = batch_of(last)
    assert batch == only_batch_with(stage, batch["batchId"])
    assert (batch["status"], batch["recordsFailed"]) == ("failed", 1)
    assert batch["batchId"] in last["run"]["facets"]["errorMessage"]["message"]


def test_the_facet_of_the_batch_is_as_its_schema_says(stage: Stage) -> None:
    for dag_id in ("lineage_success", "lineage_failure"):
        facet = stage.events_of(dag_id, "load")[-1]["run"]["facets"]["adobe_batch"]
        address, _, pointer = facet["_schemaURL"].partition("#")
        schema = json.loads(unquote(address.partition(",")[2]))
        parts = schema["$defs"][pointer.rpartition("/")[2]]["allOf"]
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(facet, parts[1])
        assert set(parts[1]["properties"]) == {name for name in facet if not name.startswith("_")}


class TestTheChain:
    def ended(self, stage: Stage, task_id: str) -> dict[str, Any]:
        last = stage.events_of("lineage_chain", task_id)[-1]
        assert last["eventType"] == "COMPLETE"
        return last

    def test_tells_of_the_same_batch_in_each_of_its_tasks(self, stage: Stage) -> None:
        tasks = DAGS["lineage_chain"]
        assert len({batch_of(self.ended(stage, task_id))["batchId"] for task_id in tasks}) == 1

    def test_tells_of_the_file_where_it_is_uploaded(self, stage: Stage) -> None:
        event = self.ended(stage, "upload")
        assert inputs_of(event) == [file_input(stage.data / "good" / "a.json")]
        assert outputs_of(event) == [catalog_output({"size": len(ROW), "fileCount": 1})]

    def test_tells_of_the_rows_where_they_are_waited_for(self, stage: Stage) -> None:
        event = self.ended(stage, "wait")
        assert inputs_of(event) == []
        assert outputs_of(event) == [catalog_output({"rowCount": 1})]
        batch = batch_of(event)
        assert batch == only_batch_with(stage, batch["batchId"])

    def test_tells_of_no_data_where_a_batch_is_opened_or_completed(self, stage: Stage) -> None:
        for task_id in ("open_batch", "complete"):
            event = self.ended(stage, task_id)
            assert (event["inputs"], event["outputs"]) == ([], [])


def test_what_code_uploads_with_the_hook_is_told(stage: Stage) -> None:
    last = stage.events_of("lineage_hook", "load_by_hand")[-1]
    assert last["eventType"] == "COMPLETE"
    sides = [[(each["namespace"], each["name"]) for each in last[side]] for side in ("inputs", "outputs")]
    assert sides == [
        [("file", str(stage.data / "good" / "a.json"))],
        [(NAMESPACE, f"dev/{CRM_PROFILES}")],
    ]


def test_neither_secrets_nor_rows_are_told(stage: Stage) -> None:
    text = json.dumps(stage.events)
    assert len(stage.secrets) > 1, "no token was issued"
    assert not [secret for secret in ("Jokull-of-row", *stage.secrets) if secret in text]
