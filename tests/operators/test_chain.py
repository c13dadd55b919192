"""The classic chain in a DAG: what one task leaves is what the next one needs, and no secret is left anywhere."""

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, BaseOperator
from desk import CRM_PROFILES, LOCAL_SECRET, Desk
from tasks import IS_AIRFLOW_2, dag, run_task

from airflow_provider_catalog.api.errors import CatalogError
from airflow_provider_catalog.links.dataset import DatasetLink
from airflow_provider_catalog.operators.batch import (
    AbortBatchOperator,
    CompleteBatchOperator,
    CreateBatchOperator,
    RevertBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.sensors.batch import BatchSensor

ROWS = '{"person": {"gender": "female"}}\n{"person": {"gender": "male"}}\n{"person": {"gender": "female"}}\n'


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.json"
    path.write_text(ROWS)
    return str(path)


@pytest.fixture
def quick(desk: Desk) -> Desk:
    """A platform that promotes a batch within a moment."""
    desk.set(promotion_seconds=0.3)
    return desk


@pytest.mark.parametrize(
    "waiting",
    [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}],
    ids=["poke", "reschedule", "deferrable"],
)
def test_a_dag_loads_a_file_and_waits_for_its_promotion(
    waiting: dict[str, Any], quick: Desk, rows: str, run_dag: Callable[..., Any]
) -> None:
    with dag(dag_id=f"chain_{'_'.join(map(str, waiting.values()))}") as chain:
        opened = CreateBatchOperator(task_id="open", dataset_id=CRM_PROFILES)
        upload = UploadFilesOperator(
            task_id="upload", batch_id=opened.output, dataset_id=CRM_PROFILES, files=rows
        )
        complete = CompleteBatchOperator(task_id="complete", batch_id=opened.output)
        wait = BatchSensor(task_id="wait", batch_id=complete.output, poke_interval=0.1, **waiting)
        upload >> complete >> wait
    run = run_dag(chain)
    assert run.state == "success"
    left = {task_id: xcom_of(run, task_id) for task_id in ("open", "upload", "complete", "wait")}
    batch_id = left["open"]
    assert left["upload"] == {"batch_id": batch_id, "files": 1, "bytes": len(ROWS)}
    assert left["complete"] == batch_id
    assert left["wait"] == {
        "id": batch_id,
        "status": "success",
        "records_read": 3,
        "records_written": 3,
        "records_failed": 0,
        "errors": [],
    }
    page = f"{quick.url}/ui/dev/datasets/{CRM_PROFILES}"
    assert [link_of(run, task) for task in (opened, upload)] == [page, page]


def xcom_of(run: Any, task_id: str, key: str = "return_value") -> Any:
    return run.get_task_instance(task_id).xcom_pull(task_ids=task_id, key=key)


def link_of(run: Any, task: BaseOperator) -> str:
    """Give the link as Airflow 3 finds it, and as Airflow 2 asks for it."""
    [link] = task.operator_extra_links
    pushed: str = xcom_of(run, task.task_id, link.xcom_key)
    if IS_AIRFLOW_2:
        assert link.get_link(task, ti_key=run.get_task_instance(task.task_id).key) == pushed
    return pushed


@pytest.mark.skipif(not IS_AIRFLOW_2, reason="Airflow 3 asks for links inside tasks only")
def test_a_task_that_has_not_run_has_no_link(airflow_db: None) -> None:
    from airflow.models.taskinstancekey import TaskInstanceKey

    operator: Any = None
    assert DatasetLink().get_link(operator, ti_key=TaskInstanceKey("nowhere", "t", "run", 1)) == ""


class Witness:
    """Keeps everything that a run could leave a secret in."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog = caplog
        self._capfd = capfd
        self._kept: list[str] = []

    def run(self, task: BaseOperator) -> Any:
        """Run a task, and keep its rendered templates, XComs, triggers and exception; give what it returned."""
        try:
            visit = run_task(task)
        except (AirflowException, CatalogError) as error:
            self._kept += [*traceback.format_exception(error), repr(error), repr(vars(error))]
            return None
        triggers = [deferral.trigger.serialize() for deferral in visit.deferrals]
        templates = {name: getattr(task, name) for name in task.template_fields}
        self._kept.append(json.dumps([visit.xcoms, triggers, templates]))
        return visit.xcoms["return_value"]

    def everything(self) -> str:
        """Give it all, with what was logged and printed."""
        logged = [f"{record.getMessage()} {vars(record)}" for record in self._caplog.records]
        printed = self._capfd.readouterr()
        return "\n".join([*self._kept, *logged, printed.out, printed.err])


@pytest.fixture
def witness(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Witness:
    caplog.set_level(logging.DEBUG)
    return Witness(caplog, capfd)


def assert_no_secret(witness: Witness, desk: Desk) -> None:
    secrets = (LOCAL_SECRET, *desk.emulator.issued_tokens)
    assert len(secrets) > 1, "no token was issued"
    seen = witness.everything()
    assert not [secret for secret in secrets if secret in seen]


def test_a_good_run_leaves_no_secret_behind(quick: Desk, rows: str, witness: Witness) -> None:
    batch_id = witness.run(CreateBatchOperator(task_id="t", dataset_id=CRM_PROFILES))
    witness.run(UploadFilesOperator(task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=rows))
    witness.run(CompleteBatchOperator(task_id="t", batch_id=batch_id))
    summary = witness.run(BatchSensor(task_id="t", batch_id=batch_id, poke_interval=0.1, deferrable=True))
    witness.run(RevertBatchOperator(task_id="t", batch_id=batch_id))
    assert summary["status"] == "success"
    assert_no_secret(witness, quick)


ECHO = {"status": 400, "body": {"error": "invalid_client", "error_description": f"{LOCAL_SECRET} is unknown"}}
TROUBLE: dict[str, tuple[str, dict[str, Any]]] = {
    "the identity service repeats the secret": ("/ims/*", ECHO),
    "the platform repeats the secret": ("/data/*", {"status": 403, "body": {"message": LOCAL_SECRET}}),
    "refused token": ("/data/*", {"status": 401, "body": {"error_code": "401013"}}),
    "server error": ("/data/*", {"status": 500, "headers": {"Retry-After": "0"}}),
    "no token": ("/ims/*", {"status": 500, "headers": {"Retry-After": "0"}}),
    "odd token": ("/ims/*", {"status": 200, "body": {"access_token": f"{LOCAL_SECRET}\n"}}),
    "reset": ("/data/*", {"drop": "after"}),
    "reset before a token": ("/ims/*", {"drop": "after"}),
    "cut off": ("/data/*", {"truncate": 5}),
    "login page": ("/data/*", {"status": 200, "body": f"<title>{LOCAL_SECRET}</title>"}),
    "redirect": ("/data/*", {"status": 302, "headers": {"Location": f"https://example.com/{LOCAL_SECRET}"}}),
}


@pytest.mark.parametrize(("path", "effect"), TROUBLE.values(), ids=TROUBLE)
def test_a_failing_run_leaves_no_secret_behind(
    path: str, effect: dict[str, Any], desk: Desk, rows: str, witness: Witness
) -> None:
    batch_id = desk.open_batch()
    desk.expire_tokens()
    desk.break_next(effect, path, times=None)
    waiting: dict[str, Any] = {"batch_id": batch_id, "poke_interval": 0.05, "timeout": 0.2}
    for task in (
        CreateBatchOperator(task_id="t", dataset_id=CRM_PROFILES),
        UploadFilesOperator(task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=rows),
        CompleteBatchOperator(task_id="t", batch_id=batch_id),
        AbortBatchOperator(task_id="t", batch_id=batch_id),
        BatchSensor(task_id="t", **waiting),
        BatchSensor(task_id="t", deferrable=True, **waiting),
    ):
        witness.run(task)
    assert desk.sent(path=path)
    assert_no_secret(witness, desk)


def test_rows_of_the_file_are_left_nowhere(desk: Desk, tmp_path: Path, witness: Witness) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text('{"personalEmail": {"address": "customer-0001@example.com"}}\n')
    batch_id = desk.open_batch()
    desk.break_next({"drop": "before"}, "/data/foundation/import/*", times=2)
    witness.run(UploadFilesOperator(task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=str(rows)))
    assert desk.sent("PUT")
    assert "customer-0001" not in witness.everything()


def test_the_witness_would_have_seen_a_secret(desk: Desk, witness: Witness) -> None:
    desk.open_batch()
    logging.getLogger("urllib3").debug("Authorization: %s", desk.emulator.issued_tokens[0])
    with pytest.raises(AssertionError):
        assert_no_secret(witness, desk)
