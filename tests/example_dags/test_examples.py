"""The example DAGs load in any Airflow and run as they stand against the emulator."""

import importlib.util
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalog_view import CatalogView

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, LOYALTY_MEMBERS
from airflow_provider_catalog.emulator.server import Emulator
from airflow_provider_catalog.hooks.catalog import CatalogHook

EXAMPLES = Path(__file__).parent.parent.parent / "example_dags"
IS_AIRFLOW_2 = importlib.util.find_spec("airflow.sdk") is None
WATCHING = "on_new_batch"
ON_ASSETS = (WATCHING, "on_announced_ingest")
FILES = [path for path in sorted(EXAMPLES.glob("*.py")) if not (IS_AIRFLOW_2 and path.stem == WATCHING)]


def dag_of(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["dag"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_explained_and_scheduled(path: Path) -> None:
    dag = dag_of(path.stem)
    assert dag.dag_id == path.stem
    assert dag.doc_md
    schedule = dag.schedule if hasattr(dag, "schedule") else dag.schedule_interval
    assert schedule == "@daily" or path.stem in ON_ASSETS
    assert not dag.catchup


def test_the_classic_dag_loads_its_own_file(platform: CatalogView, run_dag: Callable[..., Any]) -> None:
    run = run_dag(dag_of("classic_ingest"))
    assert run.state == "success"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert (batch["status"], batch["metrics"]["outputRecordCount"]) == ("success", 10)


def test_the_classic_dag_loads_the_file_that_the_run_names(
    platform: CatalogView, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    table = tmp_path / "members.csv"
    table.write_text("member_id,country\nM-1,US\nM-2,CA\n")
    conf = {"file": str(table), "input_format": "csv", "dataset_id": LOYALTY_MEMBERS}
    run = run_dag(dag_of("classic_ingest"), run_conf=conf)
    assert run.state == "success"
    [batch] = platform.batches_of(LOYALTY_MEMBERS).values()
    assert (batch["status"], batch["inputFormat"]["format"]) == ("success", "csv")


def test_the_mapped_dag_loads_each_file_in_a_batch_of_its_own(
    platform: CatalogView, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(dag_of("mapped_ingest"))
    assert run.state == "success"
    batches = platform.batches_of(CRM_PROFILES).values()
    assert {batch["status"] for batch in batches} == {"success"}
    assert sorted(batch["metrics"]["outputRecordCount"] for batch in batches) == [3, 5, 7]


def test_the_one_task_dag_loads_each_file_and_keeps_what_was_rejected(
    platform: CatalogView, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = run_dag(dag_of("one_task_ingest"))
    assert run.state == "success"
    batches = platform.batches_of(CRM_PROFILES).values()
    assert {batch["status"] for batch in batches} == {"success"}
    assert sorted(batch["metrics"]["outputRecordCount"] for batch in batches) == [3, 5, 7]
    kept = list((tmp_path / "rejected").rglob("*.jsonl"))
    assert [path.read_text() for path in kept] == ["", "", ""]


def test_the_validated_dag_leaves_out_what_does_not_fit(
    platform: CatalogView, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "customers"
    folder.mkdir()
    (folder / "good.json").write_text('{"person": {"birthYear": 1980}}\n')
    (folder / "bad.json").write_text('{"person": {"birthYear": "soon"}}\n{"person": {"birthYear": 1990}}\n')
    run = run_dag(dag_of("validated_ingest"), run_conf={"folder": str(folder)})
    assert run.state == "success"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert (batch["status"], batch["metrics"]["inputFileCount"], batch["metrics"]["outputRecordCount"]) == (
        *("success", 1),
        2,
    )
    [left_out] = (tmp_path / "invalid").rglob("*.jsonl")
    assert '"pointer": "/person/birthYear"' in left_out.read_text()


def test_the_validated_dag_loads_its_own_files(platform: CatalogView, run_dag: Callable[..., Any]) -> None:
    run = run_dag(dag_of("validated_ingest"))
    assert run.state == "success"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert batch["metrics"]["outputRecordCount"] == 15


def load_something() -> str:
    """Load an empty batch, as somebody else might, and give its id."""
    client = CatalogHook().client
    batch_id = client.create_batch({"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}})
    client.complete_batch(batch_id)
    return batch_id


def test_the_waiting_dag_finds_what_somebody_else_has_loaded(
    emulator: Emulator, connection: str, run_dag: Callable[..., Any]
) -> None:
    emulator.platform.settings = replace(emulator.platform.settings, empty_batch="success")
    emulator.platform.clock.advance(86_400)  # after any data interval of today's run
    load_something()
    assert run_dag(dag_of("wait_for_data")).state == "success"


def test_the_careful_dag_keeps_a_batch_with_enough_in_it(
    platform: CatalogView, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(dag_of("take_back"))
    assert run.state == "success"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert batch["status"] == "success"


def test_the_careful_dag_takes_a_batch_back_with_too_little_in_it(
    platform: CatalogView, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(dag_of("take_back"), run_conf={"least": 11})
    assert run.state == "failed"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert batch["status"] == "inactive"


def test_the_careful_dag_leaves_no_batch_open_whose_upload_has_failed(
    platform: CatalogView, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(dag_of("take_back"), run_conf={"file": "/there/is/no/such/file.json"})
    assert run.state == "failed"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert batch["status"] == "aborted"


def test_the_dag_with_code_of_its_own_finds_what_has_failed(
    connection: str, run_dag: Callable[..., Any]
) -> None:
    batch_id = load_something()
    run = run_dag(dag_of("failed_batches"))
    [task] = run.get_task_instances()
    assert run.state == "success"
    [line] = task.xcom_pull(task_ids="find_failed")
    assert line.startswith(f"{batch_id}: Errors: ")


@pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 2 has no asset watchers")
def test_the_dag_on_an_asset_has_a_watcher_of_its_dataset_and_runs(
    emulator: Emulator, connection: str, run_dag: Callable[..., Any]
) -> None:
    dag = dag_of(WATCHING)
    [asset] = dag.schedule
    [watcher] = asset.watchers
    assert watcher.trigger.dataset_id == CRM_PROFILES
    assert run_dag(dag).state == "success"


def test_the_announcing_dag_has_an_outlet_that_the_other_one_is_scheduled_on(
    platform: CatalogView, run_dag: Callable[..., Any]
) -> None:
    announcing, listening = dag_of("announced_ingest"), dag_of("on_announced_ingest")
    outlets = announcing.get_task("ingest").outlets
    assert outlets == [CatalogHook().dataset_asset(CRM_PROFILES)]
    condition = listening.timetable.dataset_condition if IS_AIRFLOW_2 else listening.timetable.asset_condition
    assert list(condition.objects) == outlets
    assert run_dag(announcing).state == "success"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert (batch["status"], batch["metrics"]["outputRecordCount"]) == ("success", 10)


@pytest.mark.parametrize("name", ["triggering_asset_events", "triggering_dataset_events"])
def test_the_listening_dag_finds_the_batch_of_each_event(name: str) -> None:
    find_batches = dag_of("on_announced_ingest").get_task("find_batches").python_callable
    batches = [{"batch_id": "B1", "records_written": 3}, {"batch_id": "B2", "records_written": 5}]
    events = [SimpleNamespace(extra=batch) for batch in batches]
    assert find_batches(**{name: {"aep://...": events}}) == batches


def test_the_listening_dag_has_nothing_to_do_when_it_is_run_by_hand(run_dag: Callable[..., Any]) -> None:
    assert run_dag(dag_of("on_announced_ingest")).state == "success"
