"""`IngestFilesOperator` brings files into one promoted batch, however many tries that takes, or says why it did not."""

import inspect
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred
from desk import BATCHES, CRM_PROFILES, LOCAL_SECRET, Desk, Sent
from tasks import Run, Visit, dag, run_try

from airflow_provider_catalog.api.errors import ApiError, CatalogError, LostSightError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.links.dataset import DATASET_URL_KEY
from airflow_provider_catalog.operators.ingest import IngestFilesOperator
from airflow_provider_catalog.triggers.batch import Outcome

LOYALTY_MEMBERS = "5e8f1d2b9a4c7018ad64e210"
PARQUET = Path(__file__).parent.parent / "emulator" / "three_rows.parquet"
IMPORT = "/data/foundation/import/batches"
OPEN, LOOK, COMPLETE = f"POST {IMPORT}", f"GET {BATCHES}", "COMPLETE"
ROW = '{"person": {"gender": "female"}}\n'
BAD_ROW = '{"person": {"gender": 5}}\n'
LONG_AGO = (1_000_000_000, 1_000_000_000)

WAYS: dict[str, dict[str, Any]] = {
    "in the worker": {"poll_interval": 60},
    "deferred": {"deferrable": True, "poll_interval": 0.05},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, of two rows and one, that are older than any batch."""
    write(tmp_path / "a.json", ROW * 2)
    write(tmp_path / "b.json", ROW)
    return tmp_path


def write(path: Path, content: str) -> None:
    path.write_text(content)
    os.utime(path, LONG_AGO)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The arguments for each way of waiting."""
    return WAYS[request.param]


@pytest.fixture
def quick(desk: Desk) -> Desk:
    """A platform that promotes a batch as soon as it is complete."""
    desk.set(promotion_seconds=0)
    return desk


def load(folder: Path, **arguments: Any) -> IngestFilesOperator:
    """Give a task that loads all files of a folder, one after the other."""
    given: dict[str, Any] = {
        "dataset_id": CRM_PROFILES,
        "files": f"{folder}/*.json",
        "max_parallel_uploads": 1,
        **arguments,
    }
    return IngestFilesOperator(task_id="load", **given)


def run(task: IngestFilesOperator, try_number: int = 1, **changes: Any) -> Visit:
    """Run one try of a task instance to its end."""
    return run_try(Visit(task, changes.pop("run", Run()), try_number=try_number, **changes))


def failing(
    error: type[BaseException], task: IngestFilesOperator, try_number: int = 1, **changes: Any
) -> Visit:
    """Run a try that ends with an error, and give what it has handed on."""
    visit = Visit(task, Run(), try_number=try_number, **changes)
    with pytest.raises(error):
        run_try(visit)
    return visit


def wire(desk: Desk) -> list[str]:
    """Give what was sent up to the signal, in short; looks at one batch are left out."""
    return [_short(sent) for sent in desk.sent(path="/data/*") if not sent.path.startswith(f"{BATCHES}/")]


def _short(sent: Sent) -> str:
    if "/files/" in sent.path:
        return f"{sent.method} {sent.path.rpartition('/')[2]}"
    return sent.query.get("action", f"{sent.method} {sent.path}")


class TestAFirstTry:
    def test_makes_the_files_one_promoted_batch(self, folder: Path, quick: Desk, way: dict[str, Any]) -> None:
        visit = run(load(folder, **way))
        batch_id = visit.xcoms["batch_id"]
        assert (
            visit.xcoms["return_value"].items()
            >= {
                "id": batch_id,
                "status": "success",
                "records_read": 3,
                "records_written": 3,
                "records_failed": 0,
            }.items()
        )
        assert visit.xcoms["batch_summary"] == visit.xcoms["return_value"]
        assert wire(quick) == [LOOK, OPEN, "PUT a.json", "PUT b.json", LOOK, COMPLETE]
        assert quick.batch(batch_id)["status"] == "success"

    def test_waits_for_as_long_as_the_promotion_takes(self, folder: Path, desk: Desk) -> None:
        desk.set(promotion_seconds=3600)
        assert run(load(folder, poll_interval=600)).xcoms["return_value"]["records_read"] == 3
        assert desk.looks() == 7

    @pytest.mark.parametrize(
        ("input_format", "name", "content"),
        [
            ("json", "rows.json", ROW * 3),
            ("multiline-json", "rows.json", f"[{ROW}, {ROW}, {ROW}]"),
            ("csv", "rows.csv", "member_id,country\nM-1,US\nM-2,CA\nM-3,MX\n"),
            ({"format": "csv", "delimiter": ";"}, "rows.csv", "member_id;country\nM-1;US\nM-2;CA\nM-3;MX\n"),
            ("parquet", "rows.parquet", None),
        ],
        ids=["json", "multiline-json", "csv", "csv with options", "parquet"],
    )
    def test_takes_files_of_the_format(
        self, input_format: Any, name: str, content: str | None, tmp_path: Path, quick: Desk
    ) -> None:
        path = tmp_path / name
        shutil.copy(PARQUET, path) if content is None else path.write_text(content)
        dataset_id = LOYALTY_MEMBERS if name.endswith("csv") else CRM_PROFILES
        visit = run(load(tmp_path, files=path, input_format=input_format, dataset_id=dataset_id))
        assert visit.xcoms["return_value"]["status"] == "success"
        assert visit.xcoms["return_value"]["records_read"] in (3, None)

    def test_asks_for_diagnostics_unless_told_otherwise(self, folder: Path, quick: Desk) -> None:
        run(load(folder))
        run(load(folder, enable_error_diagnostics=False), map_index=0)
        bodies = [sent.body for sent in quick.sent("POST", IMPORT)]
        assert [body["enableErrorDiagnostics"] for body in bodies] == [True, False]

    def test_sends_its_arguments_in_adobes_words(self, folder: Path, quick: Desk) -> None:
        with dag():
            task = load(
                folder,
                catalog_conn_id="adobe_{{ 'catalog' }}_default",
                sandbox_name="{{ params.sandbox }}",
                dataset_id="{{ params.dataset }}",
                files=["{{ params.folder }}/*.json"],
                input_format={"format": "{{ params.format }}"},
                tags={"owner": "{{ params.owner }}"},
                enable_error_diagnostics="{{ params.diagnostics }}",
                partial_ingestion_percent="{{ params.percent }}",
                external_id="sales-{{ run_id }}",
            )
        names = {"dataset": CRM_PROFILES, "sandbox": "prod", "folder": str(folder), "format": "json"}
        run_try(Visit(task, Run()), owner="data", diagnostics="true", percent=5, **names)
        [sent] = quick.sent("POST", IMPORT)
        assert sent.headers["x-sandbox-name"] == "prod"
        assert sent.body["tags"].items() >= {"owner": ["data"], "airflow_task_id": ["load"]}.items()
        rest = {name: value for name, value in sent.body.items() if name != "tags"}
        assert rest == {
            "datasetId": CRM_PROFILES,
            "inputFormat": {"format": "json"},
            "enableErrorDiagnostics": True,
            "partialIngestionPercent": 5,
            "externalId": "sales-run",
        }

    def test_takes_templates_for_all_that_is_not_about_waiting(self) -> None:
        parameters = inspect.signature(IngestFilesOperator.__init__.__wrapped__).parameters  # type: ignore[attr-defined]
        arguments = {name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
        how = {
            "validate",
            "on_invalid",
            "validate_share",
            "coalesce",
            "max_parallel_uploads",
            "on_rerun",
            "abort_on_kill",
            "poll_interval",
            "timeout",
            "stalled_grace",
            "max_unreachable",
            "deferrable",
        }
        assert set(IngestFilesOperator.template_fields) == (arguments - how) | {
            "catalog_conn_id",
            "sandbox_name",
        }

    def test_finds_the_batch_of_which_it_never_heard(
        self, folder: Path, quick: Desk, way: dict[str, Any]
    ) -> None:
        quick.break_next({"drop": "after"}, IMPORT)
        run(load(folder, **way))
        assert len(quick.sent("POST", IMPORT)) == 1


class TestALaterTry:
    @pytest.fixture
    def loading(self, folder: Path, desk: Desk) -> str:
        """The batch of a try that has failed at its second file."""
        desk.set(promotion_seconds=0)
        desk.break_next({"status": 503}, "*/files/b.json", times=6)
        visit = failing(ApiError, load(folder))
        desk.mend()
        desk.forget()
        return str(visit.xcoms["batch_id"])

    @pytest.fixture
    def completed(self, folder: Path, desk: Desk) -> str:
        """The batch of a try that ran out of time while the platform was at work."""
        desk.set(promotion_seconds=3600)
        visit = failing(LostSightError, load(folder, timeout=60))
        desk.forget()
        return str(visit.xcoms["batch_id"])

    def test_uploads_only_what_is_missing(self, folder: Path, desk: Desk, loading: str) -> None:
        visit = run(load(folder), 2)
        assert visit.xcoms["batch_id"] == loading
        assert visit.xcoms["return_value"]["records_read"] == 3
        assert wire(desk) == [LOOK, "HEAD a.json", "HEAD b.json", "PUT b.json", LOOK, COMPLETE]

    def test_only_waits_for_a_completed_batch(self, folder: Path, desk: Desk, completed: str) -> None:
        visit = run(load(folder), 2)
        assert visit.xcoms["return_value"]["id"] == completed
        assert {sent.method for sent in desk.sent()} == {"GET"}

    def test_defers_the_wait_for_a_completed_batch(self, folder: Path, desk: Desk, completed: str) -> None:
        desk.hold(completed, "success")
        not_yet = {completed: {**desk.batch(completed), "status": "staging"}}
        desk.break_next({"status": 200, "body": not_yet}, BATCHES)
        visit = run(load(folder, **WAYS["deferred"]), 2)
        assert len(visit.deferrals) == 1
        assert visit.xcoms["return_value"]["id"] == completed

    def test_reports_a_promoted_batch_at_once(
        self, folder: Path, desk: Desk, completed: str, way: dict[str, Any]
    ) -> None:
        desk.advance(3600)
        visit = run(load(folder, **way), 2)
        assert visit.deferrals == []
        assert wire(desk) == [LOOK]
        assert desk.looks() == 0
        assert visit.xcoms["return_value"]["records_read"] == 3

    def test_does_not_need_the_files_of_a_completed_batch(
        self, folder: Path, desk: Desk, completed: str
    ) -> None:
        shutil.rmtree(folder)
        assert run(load(folder), 2).xcoms["return_value"]["id"] == completed

    def test_needs_the_files_of_an_open_batch(self, folder: Path, desk: Desk, loading: str) -> None:
        shutil.rmtree(folder)
        visit = Visit(load(folder), Run(), try_number=2)
        with pytest.raises(AirflowFailException, match="files"):
            run_try(visit)
        assert wire(desk) == [LOOK]

    @pytest.mark.parametrize("trouble", ["*/files/b.json", f"{BATCHES}/*"], ids=["uploading", "looking"])
    def test_hands_on_the_same_as_the_first(
        self, trouble: str, folder: Path, quick: Desk, way: dict[str, Any]
    ) -> None:
        quick.break_next({"status": 503}, trouble, times=None)
        first = failing(CatalogError, load(folder, **way, max_unreachable=0))
        quick.mend()
        second = run(load(folder, **way), 2)
        assert set(second.xcoms) == {"batch_id", "batch_summary", DATASET_URL_KEY, "return_value"}
        assert set(first.xcoms) == {"batch_id", DATASET_URL_KEY}
        assert second.xcoms.items() >= first.xcoms.items()
        assert second.xcoms[DATASET_URL_KEY] == f"{quick.url}/ui/dev/datasets/{CRM_PROFILES}"

    def test_opens_another_batch_when_the_first_was_aborted_by_hand(
        self, folder: Path, desk: Desk, loading: str
    ) -> None:
        desk.hold(loading, "aborted")
        visit = run(load(folder), 2)
        assert visit.xcoms["batch_id"] != loading
        assert visit.xcoms["return_value"]["records_read"] == 3

    def test_of_a_run_that_chose_the_external_id_finds_its_batch(self, folder: Path, desk: Desk) -> None:
        desk.set(promotion_seconds=3600)
        failing(LostSightError, load(folder, external_id="sales-1", timeout=60))
        run(load(folder, external_id="sales-1"), 2)
        [sent] = desk.sent("POST", IMPORT)
        assert sent.body["externalId"] == "sales-1"


class TestFailure:
    def test_of_the_batch_fails_the_task_for_good_and_names_the_reasons(
        self, folder: Path, quick: Desk, way: dict[str, Any]
    ) -> None:
        write(folder / "b.json", BAD_ROW)
        visit = Visit(load(folder, **way), Run())
        with pytest.raises(AirflowFailException, match=r"ended as 'failed'. Errors: INGEST-\d+-400"):
            run_try(visit)
        assert visit.xcoms["batch_id"] == batch_of(quick)
        assert visit.xcoms[DATASET_URL_KEY]
        assert "return_value" not in visit.xcoms

    def test_of_the_batch_leaves_its_summary(self, folder: Path, quick: Desk, way: dict[str, Any]) -> None:
        write(folder / "b.json", BAD_ROW)
        visit = failing(AirflowFailException, load(folder, **way))
        assert (
            visit.xcoms["batch_summary"].items()
            >= {
                "id": visit.xcoms["batch_id"],
                "status": "failed",
                "records_failed": 1,
            }.items()
        )

    def test_to_be_promoted_in_time_is_left_to_the_retries(
        self, folder: Path, desk: Desk, way: dict[str, Any]
    ) -> None:
        desk.set(promotion_seconds=3600)
        visit = failing(LostSightError, load(folder, **way, timeout=0.2))
        assert visit.xcoms["batch_id"] == batch_of(desk)
        assert desk.sent("POST", f"{IMPORT}/*")[-1].query["action"] == COMPLETE

    def test_to_hear_of_the_batch_is_left_to_the_retries(
        self, folder: Path, desk: Desk, way: dict[str, Any]
    ) -> None:
        desk.set(promotion_seconds=3600)
        desk.break_next({"status": 500}, f"{BATCHES}/*", times=None)
        failing(LostSightError, load(folder, **way, max_unreachable=0))

    def test_of_a_stalled_batch_is_for_good(self, folder: Path, desk: Desk, way: dict[str, Any]) -> None:
        desk.set(promotion_seconds=3600)
        batch_id = failing(LostSightError, load(folder, timeout=60)).xcoms["batch_id"]
        desk.hold(batch_id, "stalled")
        with pytest.raises(AirflowFailException, match=f"Batch {batch_id} is stalled"):
            run(load(folder, **way, stalled_grace=0), 2)

    def test_before_there_is_a_batch_leaves_nothing(self, folder: Path, desk: Desk) -> None:
        desk.break_next({"status": 403}, "/data/*", times=None)
        assert failing(AirflowFailException, load(folder)).xcoms == {}

    def test_of_an_upload_leaves_the_batch_for_the_next_try(self, folder: Path, desk: Desk) -> None:
        desk.break_next({"status": 403}, "*/files/*")
        visit = failing(AirflowFailException, load(folder))
        assert desk.batch(visit.xcoms["batch_id"])["status"] == "loading"


def batch_of(desk: Desk) -> str:
    """Give the id of the one batch that files were put into."""
    [batch_id] = {sent.path.split("/")[5] for sent in desk.sent("PUT")}
    return batch_id


class TestADeferredWait:
    def deferral(self, folder: Path, desk: Desk, **arguments: Any) -> TaskDeferred:
        desk.set(promotion_seconds=0.1)
        [deferral] = run(load(folder, **WAYS["deferred"], **arguments)).deferrals
        return deferral

    def test_holds_no_secret(self, folder: Path, desk: Desk) -> None:
        deferral = self.deferral(folder, desk)
        held = json.dumps([deferral.trigger.serialize(), deferral.kwargs])
        assert desk.emulator.issued_tokens
        assert not [secret for secret in (LOCAL_SECRET, *desk.emulator.issued_tokens) if secret in held]

    def test_is_as_patient_as_the_task(self, folder: Path, desk: Desk) -> None:
        before = datetime.now(UTC).timestamp()
        deferral = self.deferral(
            folder,
            desk,
            timeout=100,
            stalled_grace=timedelta(minutes=1),
            max_unreachable=30,
            execution_timeout=timedelta(seconds=200),
            sandbox_name="dev",
        )
        _, arguments = deferral.trigger.serialize()
        deadlines = [arguments.pop(name) - before for name in ("deadline", "hard_deadline")]
        assert deadlines == [pytest.approx(100, abs=20), pytest.approx(200, abs=20)]
        assert arguments == {
            "batch_id": batch_of(desk),
            "catalog_conn_id": "adobe_catalog_default",
            "sandbox_name": "dev",
            "poll_interval": 0.05,
            "stalled_grace": 60.0,
            "max_unreachable": 30.0,
            "abort_on_kill": True,
        }
        assert deferral.timeout == timedelta(seconds=100 + 300)

    def test_has_no_hard_end_without_an_execution_timeout(self, folder: Path, desk: Desk) -> None:
        assert self.deferral(folder, desk).trigger.hard_deadline is None

    @pytest.mark.parametrize("arguments", [{"abort_on_kill": False}, {"on_rerun": "skip"}], ids=str)
    def test_leaves_the_batch_alone_when_killed_with(
        self, arguments: dict[str, Any], folder: Path, desk: Desk
    ) -> None:
        assert self.deferral(folder, desk, **arguments).trigger.abort_on_kill is False

    def test_that_comes_back_twice_says_the_same_and_sends_nothing(self, folder: Path, desk: Desk) -> None:
        batch = Batch("B1", "success", records_read=1)
        summary = batch.summary
        event = {
            "outcome": Outcome.PROMOTED,
            "message": "Promoted.",
            "summary": summary,
            "origin": batch.origin,
        }
        task = load(folder, **WAYS["deferred"])
        visit = Visit(task, Run())
        ends = [task.execute_complete({"ti": visit}, event, try_number=1) for _ in range(2)]
        assert ends == [summary, summary]
        assert visit.xcoms["batch_summary"] == summary
        assert desk.sent() == []

    @pytest.mark.parametrize(
        ("outcome", "error"),
        [
            (Outcome.FAILED, AirflowFailException),
            (Outcome.LOST_SIGHT, LostSightError),
            (Outcome.TIMED_OUT, LostSightError),
            (Outcome.STOPPED, AirflowTaskTimeout),
        ],
    )
    def test_ends_as_the_event_says(
        self, outcome: Outcome, error: type[BaseException], folder: Path, desk: Desk
    ) -> None:
        event = {"outcome": outcome, "message": "So it ended.", "summary": None}
        task = load(folder)
        with pytest.raises(error, match="So it ended"):
            task.execute_complete({"ti": Visit(task, Run())}, event, try_number=1)

    def test_starts_over_with_the_event_of_an_older_try(self, folder: Path, desk: Desk) -> None:
        """Airflow 3.0 takes a retry straight to where the try before it has failed."""
        desk.set(promotion_seconds=3600)
        task = load(folder, **WAYS["deferred"], timeout=0.2)
        first = failing(LostSightError, task)
        desk.forget()
        desk.advance(3600)
        visit = Visit(task, Run(), try_number=2)
        event = {"outcome": Outcome.TIMED_OUT, "message": "Too late.", "summary": None}
        summary = task.execute_complete(context_of(visit), event, try_number=1)
        assert summary["id"] == first.xcoms["batch_id"]
        assert summary["status"] == "success"
        assert desk.sent("POST", "/data/*") == []


def context_of(visit: Visit) -> Any:
    return {"ti": visit, "dag_run": visit.dag_run}


CLEARED = {"try_number": 2, "clears": 1}


class TestAfterAClear:
    @pytest.fixture
    def old(self, folder: Path, quick: Desk) -> str:
        """The promoted batch from before the clear; the file has a row more since then."""
        batch_id = run(load(folder)).xcoms["batch_id"]
        write(folder / "b.json", ROW * 2)
        quick.forget()
        return str(batch_id)

    def test_one_batch_is_active_and_has_the_new_rows(
        self, folder: Path, quick: Desk, old: str, way: dict[str, Any]
    ) -> None:
        visit = run(load(folder, **way), **CLEARED)
        new = visit.xcoms["batch_id"]
        assert visit.xcoms["return_value"]["records_written"] == 4
        assert [quick.batch(each)["status"] for each in (old, new)] == ["inactive", "success"]
        assert quick.batch(new)["replay"] == {"reason": "replace", "predecessors": [old]}
        assert quick.batch(old)["tags"]["acp_successor"] == [new]

    def test_a_clear_of_the_whole_run_is_no_different(self, folder: Path, quick: Desk, old: str) -> None:
        anew = Run(start_date=datetime(2026, 1, 2, 4, 30, tzinfo=UTC))
        new = run(load(folder), run=anew, **CLEARED).xcoms["batch_id"]
        assert [quick.batch(each)["status"] for each in (old, new)] == ["inactive", "success"]

    def test_a_second_clear_leaves_one_active_batch_too(self, folder: Path, quick: Desk, old: str) -> None:
        second = run(load(folder), **CLEARED).xcoms["batch_id"]
        third = run(load(folder), try_number=3, clears=2).xcoms["batch_id"]
        statuses = [quick.batch(each)["status"] for each in (old, second, third)]
        assert statuses == ["inactive", "inactive", "success"]

    def test_append_keeps_both(self, folder: Path, quick: Desk, old: str) -> None:
        new = run(load(folder, on_rerun="append"), **CLEARED).xcoms["batch_id"]
        assert [quick.batch(each)["status"] for each in (old, new)] == ["success", "success"]
        assert "replay" not in quick.batch(new)

    def test_skip_reports_the_old_one_and_needs_no_files(
        self, folder: Path, quick: Desk, old: str, way: dict[str, Any]
    ) -> None:
        shutil.rmtree(folder)
        visit = run(load(folder, on_rerun="skip", **way), **CLEARED)
        assert visit.xcoms["batch_id"] == visit.xcoms["return_value"]["id"] == old
        assert quick.sent("POST", "/data/*") == []

    def test_another_run_replaces_nothing(self, folder: Path, quick: Desk, old: str) -> None:
        new = run(load(folder), run=Run("another")).xcoms["batch_id"]
        assert [quick.batch(each)["status"] for each in (old, new)] == ["success", "success"]

    def test_a_batch_that_was_merged_into_another_needs_a_decision(
        self, folder: Path, quick: Desk, old: str
    ) -> None:
        tags = {**quick.batch(old)["tags"], "acp_successor": ["COMPACTED"]}
        quick.hold(old, "inactive", tags=tags)
        with pytest.raises(AirflowFailException, match="on_rerun='append'"):
            run(load(folder), **CLEARED)
        assert quick.sent("POST", "/data/*") == []


class TestMappedTasks:
    def test_have_a_batch_each_and_find_it_again(self, folder: Path, desk: Desk) -> None:
        desk.set(promotion_seconds=3600)
        tasks = {
            index: load(folder, files=f"{folder}/{name}.json", timeout=0) for index, name in enumerate("ab")
        }
        firsts = [failing(LostSightError, task, map_index=index) for index, task in tasks.items()]
        desk.advance(3600)
        seconds = [run(task, 2, map_index=index) for index, task in tasks.items()]
        ids = [visit.xcoms["batch_id"] for visit in firsts]
        assert len(set(ids)) == 2
        assert [visit.xcoms["batch_id"] for visit in seconds] == ids
        assert [visit.xcoms["return_value"]["records_read"] for visit in seconds] == [2, 1]

    @pytest.mark.parametrize("deferrable", [False, True], ids=list(WAYS))
    def test_run_in_a_dag(
        self, deferrable: bool, folder: Path, quick: Desk, run_dag: Callable[..., Any]
    ) -> None:
        with dag(dag_id=f"mapped_{deferrable}") as mapped:
            IngestFilesOperator.partial(
                task_id="load", dataset_id=CRM_PROFILES, poll_interval=0.05, deferrable=deferrable
            ).expand(files=[f"{folder}/a.json", f"{folder}/b.json"])
        dag_run = run_dag(mapped)
        assert dag_run.state == "success"
        bodies = [sent.body for sent in quick.sent("POST", IMPORT)]
        assert {body["tags"]["airflow_map_index"][0] for body in bodies} == {"0", "1"}
        assert {body["tags"]["airflow_run_id"][0] for body in bodies} == {dag_run.run_id}
        assert len({body["externalId"] for body in bodies}) == 2


def test_no_row_and_no_secret_is_left_anywhere(
    folder: Path, quick: Desk, caplog: pytest.LogCaptureFixture, way: dict[str, Any]
) -> None:
    caplog.set_level("DEBUG")
    write(folder / "b.json", '{"personalEmail": {"address": "customer-0001@example.com"}}\n')
    visit = run(load(folder, **way))
    left = json.dumps(visit.xcoms) + "".join(
        f"{record.getMessage()} {vars(record)}" for record in caplog.records
    )
    secrets = (LOCAL_SECRET, *quick.emulator.issued_tokens)
    assert not [secret for secret in (*secrets, "customer-0001") if secret in left]
