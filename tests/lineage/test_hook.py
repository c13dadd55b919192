"""Code that uploads through the hook is known to Airflow's collector of lineage."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import CRM_PROFILES, Desk
from tasks import run_task

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.ingest import IngestFilesOperator

ASSET = f"aep://0123456789ABCDEF01234567%40AdobeOrg/dev/{CRM_PROFILES}"
ROW = b'{"person": {"gender": "female"}}\n'

Put = Callable[..., None]


class Collector:
    """Notes what it is told, as Airflow's own does where something reads it."""

    def __init__(self) -> None:
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.contexts: list[Any] = []

    def add_input_asset(self, context: Any, uri: str) -> None:
        self.contexts.append(context)
        self.inputs.append(uri)

    def add_output_asset(self, context: Any, uri: str) -> None:
        self.contexts.append(context)
        self.outputs.append(uri)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    """The collector of this process."""
    from airflow.providers.common.compat.lineage import hook

    collector = Collector()
    monkeypatch.setattr(hook, "get_hook_lineage_collector", lambda: collector)
    return collector


@pytest.fixture
def put(desk: Desk) -> Put:
    """Puts a file into a batch of the CRM dataset, with a client of a hook."""
    client = CatalogHook().client
    batch_id = desk.open_batch()

    def put(open_body: Any, name: str = "rows.json") -> None:
        client.put_file(batch_id, CRM_PROFILES, name, open_body)

    return put


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_bytes(ROW)
    return path


def test_a_file_and_the_dataset_that_it_was_put_into_are_told_once(
    rows: Path, put: Put, collector: Collector
) -> None:
    for _ in range(2):
        put(lambda: rows.open("rb"))
    assert (collector.inputs, collector.outputs) == ([f"file://{rows}"], [ASSET])
    assert {type(context) for context in collector.contexts} == {CatalogHook}


@pytest.mark.parametrize("name", ["rows?.json", "rows#1.json"])
def test_a_file_whose_name_would_be_cut_off_in_a_uri_is_not_told(
    rows: Path, put: Put, collector: Collector, name: str
) -> None:
    path = rows.rename(rows.with_name(name))
    put(lambda: path.open("rb"))
    assert (collector.inputs, collector.outputs) == ([], [ASSET])


def test_of_other_bodies_the_dataset_is_told(put: Put, collector: Collector) -> None:
    put(lambda: io.BytesIO(ROW))
    assert (collector.inputs, collector.outputs) == ([], [ASSET])


def test_a_file_that_was_refused_is_not_told(rows: Path, put: Put, desk: Desk, collector: Collector) -> None:
    desk.break_next({"status": 403}, "*/files/*", times=None)
    with pytest.raises(Exception, match="403"):
        put(lambda: rows.open("rb"))
    assert (collector.inputs, collector.outputs) == ([], [])


def test_a_collector_in_trouble_does_no_harm(
    rows: Path, put: Put, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.compat.lineage import hook

    monkeypatch.setattr(hook, "get_hook_lineage_collector", lambda: 1 / 0)
    put(lambda: rows.open("rb"))
    assert [sent.status for sent in desk.sent("PUT")] == [200]


def test_the_operators_leave_it_alone(rows: Path, desk: Desk, collector: Collector) -> None:
    desk.set(promotion_seconds=0)
    run_task(IngestFilesOperator(task_id="load", dataset_id=CRM_PROFILES, files=str(rows)))
    assert collector.contexts == []


LISTENING = """
import json
from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow.providers.openlineage.extractors.manager import ExtractorManager
collector = get_hook_lineage_collector()
for method, uri in (("add_input_asset", "file:///rows.json"), ("add_output_asset", ASSET)):
    getattr(collector, method)(context=None, uri=uri)
lineage = ExtractorManager().get_hook_lineage()
print(json.dumps([[(each.namespace, each.name) for each in side] for side in (lineage.inputs, lineage.outputs)]))
"""


def test_openlineage_knows_what_the_collector_was_told(openlineage: None, tmp_path: Path) -> None:
    """In a process of its own, which finds a transport: the collector is a sham unless something reads it."""
    transport = json.dumps({"type": "file", "log_file_path": str(tmp_path / "events")})
    done = subprocess.run(
        [sys.executable, "-c", f"ASSET = {ASSET!r}\n{LISTENING}"],
        env={**os.environ, "AIRFLOW__OPENLINEAGE__TRANSPORT": transport},
        capture_output=True,
        text=True,
        check=True,
    )
    namespace, _, name = ASSET.partition("/dev/")
    assert json.loads(done.stdout.splitlines()[-1]) == [
        [["file", "/rows.json"]],
        [[namespace, f"dev/{name}"]],
    ]
