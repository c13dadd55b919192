"""Bad input never reaches the network, fails the task at once, and names itself: what it is, what was given, what is allowed."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator
from desk import CRM_PROFILES, Desk
from tasks import run_task

from airflow_provider_catalog.operators.batch import (
    AbortBatchOperator,
    CompleteBatchOperator,
    CreateBatchOperator,
    RevertBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.operators.diagnostics import DownloadBatchErrorsOperator
from airflow_provider_catalog.operators.ingest import IngestFilesOperator
from airflow_provider_catalog.sensors.batch import BatchSensor

BATCH = "01HP1Z0A9YZ733QCJN6AXCATHF"
BATCH_ID = "the id of a batch"
DATASET_ID = "the id of a dataset (not its name)"
FORMATS = "one of json, multiline-json, parquet, csv"
CSV_OPTIONS = "delimiter, quote, escape (one character each)"
PERCENT = "a number from 0 to 100"
TAGS = "a mapping from tag names to texts"
RESERVED = "the platform reserves these"
EXTERNAL_ID = "up to 512 letters, digits and . - _ / @"
PREDECESSORS = "a list of batch ids"


def assert_refused(
    error: pytest.ExceptionInfo[BaseException], argument: str, given: str, allowed: str
) -> None:
    message = str(error.value)
    assert message.startswith(argument), message
    assert f"got {given}" in message
    assert "expected " in message
    assert allowed in message.split("expected ", 1)[1]


def refused(
    name: str, argument: str, given: Any, allowed: str, *, shown: str | None = None, **arguments: Any
) -> Any:
    """A row of the table: an argument with a bad value, and other arguments that the case needs."""
    text = repr(given) if shown is None else shown
    return pytest.param(argument, given, text, allowed, arguments, id=f"{argument}-{name}".replace(" ", "_"))


CREATE = [
    refused("empty", "dataset_id", "", DATASET_ID),
    refused("None", "dataset_id", None, DATASET_ID),
    refused("number", "dataset_id", 5, DATASET_ID),
    refused("blanks", "dataset_id", "CRM profiles", DATASET_ID),
    refused("line break at the end", "dataset_id", "5c8c3c555033b814b69f947f\n", DATASET_ID),
    refused("slash", "dataset_id", "5c8c3c55/5033b814", DATASET_ID),
    refused("dots", "dataset_id", "..", DATASET_ID),
    refused("query", "dataset_id", "5c8c3c55?x=1", DATASET_ID),
    refused("unrendered template", "dataset_id", "{{ var.value.dataset }}", DATASET_ID),
    refused("unknown", "input_format", "avro", FORMATS),
    refused("empty", "input_format", "", FORMATS),
    refused("None", "input_format", None, FORMATS),
    refused("list", "input_format", ["json"], FORMATS),
    refused("mapping without a format", "input_format", {"delimiter": ";"}, FORMATS),
    refused("mapping with an unknown format", "input_format", {"format": "orc"}, FORMATS),
    refused(
        "CSV option on JSON",
        "input_format",
        {"format": "json", "delimiter": ";"},
        "only format and isMultiLineJson (true or false) for json",
    ),
    refused(
        "option on Parquet", "input_format", {"format": "parquet", "header": True}, "only format for parquet"
    ),
    refused(
        "multi-line Parquet", "input_format", {"format": "parquet", "isMultiLineJson": True}, "only format"
    ),
    refused("multi-line CSV", "input_format", {"format": "csv", "isMultiLineJson": True}, CSV_OPTIONS),
    refused(
        "delimiter of two", "input_format", {"format": "csv", "delimiter": "||"}, CSV_OPTIONS, shown="'||'"
    ),
    refused("empty quote", "input_format", {"format": "csv", "quote": ""}, CSV_OPTIONS, shown="''"),
    refused("charset", "input_format", {"format": "csv", "charset": "UTF-16"}, "charset", shown="'UTF-16'"),
    refused("header", "input_format", {"format": "csv", "header": "first"}, "header", shown="'first'"),
    refused(
        "multi-line neither true nor false",
        "input_format",
        {"format": "json", "isMultiLineJson": "perhaps"},
        "true or false",
        shown="'perhaps'",
    ),
    refused("below", "partial_ingestion_percent", -1, PERCENT),
    refused("above", "partial_ingestion_percent", 101, PERCENT),
    refused("text above", "partial_ingestion_percent", "100.5", PERCENT, shown="100.5"),
    refused("not a number", "partial_ingestion_percent", float("nan"), PERCENT, shown="'nan'"),
    refused("infinite", "partial_ingestion_percent", "inf", PERCENT),
    refused("word", "partial_ingestion_percent", "abc", PERCENT),
    refused("true", "partial_ingestion_percent", True, PERCENT),
    refused("word", "enable_error_diagnostics", "yes", "true or false"),
    refused("number", "enable_error_diagnostics", 1, "true or false"),
    refused("reserved prefix adobe", "tags", {"adobe/pqs/table": "x"}, RESERVED, shown="'adobe/pqs/table'"),
    refused("reserved prefix acp", "tags", {"acp_finalized": "x"}, RESERVED, shown="'acp_finalized'"),
    refused(
        "unifiedProfile", "tags", {"unifiedProfile": ["enabled:true"]}, RESERVED, shown="'unifiedProfile'"
    ),
    refused("unifiedIdentity", "tags", {"unifiedIdentity": "x"}, RESERVED, shown="'unifiedIdentity'"),
    refused("empty name", "tags", {"": "x"}, "tag names", shown="''"),
    refused("name with a line break", "tags", {"a\nb": "x"}, "tag names", shown=r"'a\nb'"),
    refused("number as value", "tags", {"owner": 5}, TAGS, shown="5"),
    refused("number in a list", "tags", {"owner": ["a", 5]}, TAGS, shown="5"),
    refused("no value", "tags", {"owner": []}, TAGS, shown="[]"),
    refused(
        "one that tells whose batch it is",
        "tags",
        {"airflow_owner": "x"},
        "other names",
        shown="['airflow_owner']",
    ),
    refused(
        "one that tells what it is for",
        "tags",
        {"airflow_plan": "x"},
        "other names",
        shown="['airflow_plan']",
    ),
    refused("text", "tags", "owner=data", TAGS),
    refused("list", "tags", ["owner"], TAGS),
    refused("empty", "external_id", "", EXTERNAL_ID),
    refused("blanks", "external_id", "run 1", EXTERNAL_ID),
    refused("line break at the end", "external_id", "run-1\n", EXTERNAL_ID),
    refused("too long", "external_id", "x" * 513, EXTERNAL_ID, shown="'xxx"),
    refused("number", "external_id", 5, EXTERNAL_ID),
    refused("none at all", "replay_predecessors", [], PREDECESSORS),
    refused("malformed", "replay_predecessors", ["a b"], PREDECESSORS, shown="'$a b'"),
    refused("empty text", "replay_predecessors", "", PREDECESSORS, shown="'$'"),
    refused("number", "replay_predecessors", 5, PREDECESSORS),
    refused("numbers", "replay_predecessors", [5], PREDECESSORS, shown="5"),
    refused("none at all", "replay_predecessors_by_external_id", [], "a list of external ids"),
    refused(
        "malformed", "replay_predecessors_by_external_id", ["a b"], "a list of external ids", shown="'$a b'"
    ),
    refused("without predecessors", "replay_reason", "replace", "unless batches to replay are given"),
    refused("empty", "replay_reason", "", "a short text", replay_predecessors=["b1"]),
    refused("line break", "replay_reason", "a\nb", "a short text", replay_predecessors=["b1"]),
]


@pytest.mark.parametrize(("argument", "given", "shown", "allowed", "others"), CREATE)
def test_a_batch_is_not_opened_with(
    argument: str, given: Any, shown: str, allowed: str, others: dict[str, Any], desk: Desk
) -> None:
    arguments = {"dataset_id": CRM_PROFILES, **others, argument: given}
    task = CreateBatchOperator(task_id="open", **arguments)
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(task)
    assert_refused(error, argument, shown, allowed)
    assert desk.sent() == []


@pytest.mark.parametrize(
    ("argument", "given", "shown", "allowed", "others"),
    [row for row in CREATE if not row.values[0].startswith("replay")],
)
def test_files_are_not_brought_in_with(
    argument: str, given: Any, shown: str, allowed: str, others: dict[str, Any], desk: Desk
) -> None:
    arguments = {"dataset_id": CRM_PROFILES, **others, argument: given}
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(IngestFilesOperator(task_id="t", files=__file__, **arguments))
    assert_refused(error, argument, shown, allowed)
    assert desk.sent() == []


def execute_as_it_is(task: BaseOperator) -> None:
    """Run a task without rendering its templates, as if they had rendered to what stands there."""
    task.template_fields = ()
    run_task(task)


WITH_A_BATCH: dict[str, Callable[[Any], BaseOperator]] = {
    "upload": lambda batch_id: UploadFilesOperator(
        task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=__file__
    ),
    "complete": lambda batch_id: CompleteBatchOperator(task_id="t", batch_id=batch_id),
    "abort": lambda batch_id: AbortBatchOperator(task_id="t", batch_id=batch_id),
    "revert": lambda batch_id: RevertBatchOperator(task_id="t", batch_id=batch_id),
    "download": lambda batch_id: DownloadBatchErrorsOperator(
        task_id="t", batch_id=batch_id, path="rows.jsonl"
    ),
    "poke": lambda batch_id: BatchSensor(task_id="t", batch_id=batch_id, poke_interval=0),
    "deferrable": lambda batch_id: BatchSensor(task_id="t", batch_id=batch_id, deferrable=True),
}
BAD_BATCH_IDS = {
    "empty": "",
    "None": None,
    "slash": "a/b",
    "two ids": "a,b",
    "line break at the end": f"{BATCH}\n",
    "unrendered": "{{ ti.xcom_pull('open') }}",
}


@pytest.mark.parametrize("given", BAD_BATCH_IDS.values(), ids=BAD_BATCH_IDS)
@pytest.mark.parametrize("build", WITH_A_BATCH.values(), ids=WITH_A_BATCH)
def test_a_batch_is_not_named_by(
    build: Callable[[Any], BaseOperator],
    given: Any,
    desk: Desk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(build(given))
    assert_refused(error, "batch_id", repr(given), BATCH_ID)
    assert desk.sent() == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("given", ["", None, "folder/", "a\nb", "nowhere://rows.jsonl"], ids=repr)
def test_rejected_rows_are_not_written_to(given: Any, desk: Desk) -> None:
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(DownloadBatchErrorsOperator(task_id="t", batch_id=BATCH, path=given))
    assert_refused(error, "path", repr(given), "path")
    assert desk.sent() == []


@pytest.mark.parametrize("given", [0, -1, 1.0, True, "0%", "101%", "many", float("nan"), ""], ids=repr)
@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
def test_rejected_rows_are_not_limited_to(given: Any, deferrable: bool, desk: Desk) -> None:
    sensor = BatchSensor(
        task_id="t",
        batch_id=BATCH,
        fail_on_rejected=given,
        deferrable=deferrable,
        poke_interval=0.05,
        timeout=0.2,
    )
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(sensor)
    assert_refused(error, "fail_on_rejected", repr(given), "a number of rows from 1 on")
    assert desk.sent() == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every kind of file that can't be uploaded, and some that can."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for good in ("rows.json", "a/part.json", "b/part.json"):
        (tmp_path / good).write_text("{}\n")
    (tmp_path / "empty.json").touch()
    (tmp_path / "circle.json").symlink_to("circle.json")
    (tmp_path / "dangling.json").symlink_to("nowhere.json")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "nothing").mkdir()
    return tmp_path


def file(name: str, given: Any, allowed: str, shown: str | None = None) -> Any:
    """A row of the table: paths in the folder, of which one is blamed."""
    return pytest.param(given, shown, allowed, id=name.replace(" ", "_"))


FILES = [
    file("missing", "nowhere.json", "a file that exists"),
    file("missing beside a good one", ["rows.json", "nowhere.json"], "a file that exists", "nowhere.json"),
    file("empty", "empty.json", "a file that is not empty"),
    file("folder without a file", "nothing", "a folder with at least one file"),
    file("pipe", "pipe.json", "a regular file"),
    file("below a file", "rows.json/part.json", "a readable file (Not a directory)"),
    file("link to itself", "circle.json", "a readable file (Too many levels of symbolic links)"),
    file("link to nothing", "dangling.json", "a file that exists"),
    file("way up", "a/../rows.json", "a path without .."),
    file("control character", "rows\x01.json", "a path without control characters"),
    file("line break", "rows.json\n", "a path without control characters"),
    file("null character", "rows\0.json", "a path without control characters"),
    file("glob without a match", "*.parquet", "a glob that matches at least one file"),
    file("glob that matches a folder only", "[a]", "a glob that matches at least one file"),
    file("same name twice", ["a/part.json", "b/part.json"], "different names in the batch", "b/part.json"),
    file("same file twice", ["rows.json", "rows.json"], "different names in the batch", "rows.json"),
]


WITH_FILES: dict[str, Callable[[Any], BaseOperator]] = {
    "upload": lambda files: UploadFilesOperator(
        task_id="t", batch_id=BATCH, dataset_id=CRM_PROFILES, files=files
    ),
    "ingest": lambda files: IngestFilesOperator(task_id="t", dataset_id=CRM_PROFILES, files=files),
}
with_files = pytest.mark.parametrize("build", WITH_FILES.values(), ids=WITH_FILES)


@with_files
@pytest.mark.parametrize(("given", "blamed", "allowed"), FILES)
def test_a_file_is_not_uploaded_if_it_is(
    given: Any,
    blamed: str | None,
    allowed: str,
    build: Callable[[Any], BaseOperator],
    folder: Path,
    desk: Desk,
) -> None:
    files = [f"{folder}/{name}" for name in given] if isinstance(given, list) else f"{folder}/{given}"
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(build(files))
    assert_refused(error, "files", repr(f"{folder}/{blamed or given}")[:100], allowed)
    assert desk.sent() == []


@with_files
@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ([], "at least one path or glob"),
        (5, "a path, a glob, or a list of these"),
        (None, "a path, a glob, or a list of these"),
        ([5], "paths and globs as texts"),
        ("", "not empty"),
        (["  "], "not empty"),
    ],
    ids=repr,
)
def test_files_are_not_named_by(
    given: Any, allowed: str, build: Callable[[Any], BaseOperator], desk: Desk
) -> None:
    blamed = given[0] if isinstance(given, list) and given else given
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(build(given))
    assert_refused(error, "files", repr(blamed), allowed)
    assert desk.sent() == []


def test_a_file_of_somebody_else_is_not_uploaded(desk: Desk) -> None:
    with private_file() as path, pytest.raises(AirflowFailException) as error:
        execute_as_it_is(WITH_FILES["upload"](str(path)))
    assert_refused(error, "files", repr(str(path)), "a file that this process may read")
    assert desk.sent() == []


@contextmanager
def private_file() -> Iterator[Path]:
    """Give a file that this process may not read, whoever runs it: root becomes nobody meanwhile."""
    nobody = 65534
    ids = os.getresuid()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "rows.json"
        path.write_text("{}\n")
        path.chmod(0)
        if ids[1] == 0:
            os.setresuid(nobody, nobody, 0)
        try:
            yield path
        finally:
            os.setresuid(*ids)


@pytest.mark.parametrize("given", ["", "CRM profiles", "a/b"], ids=repr)
def test_files_are_not_uploaded_into_the_dataset(given: str, desk: Desk) -> None:
    task = UploadFilesOperator(task_id="t", batch_id=BATCH, dataset_id=given, files=__file__)
    with pytest.raises(AirflowFailException) as error:
        execute_as_it_is(task)
    assert_refused(error, "dataset_id", repr(given), DATASET_ID)
    assert desk.sent() == []


ADDRESS = "an address such as https://platform.adobe.io, without path, query or user"
SANDBOX = "the lower-case name of a sandbox (not its title)"
ORGANISATION = "an organisation id such as 0123ABCD@AdobeOrg"
ENCRYPTED = "https, since plain http is for loopback addresses only"
SECONDS = "seconds, more than 0 and at most 3600"

CONNECTIONS = [
    refused("missing", "ims_org_id", None, ORGANISATION, shown="''"),
    refused("blank", "ims_org_id", "  ", ORGANISATION, shown="''"),
    refused("not an organisation", "ims_org_id", "Example Inc.", ORGANISATION),
    refused("line break inside", "ims_org_id", "0123\n@AdobeOrg", ORGANISATION),
    refused("missing", "sandbox_name", None, SANDBOX, shown="''"),
    refused("title", "sandbox_name", "Development", SANDBOX),
    refused("blanks", "sandbox_name", "my sandbox", SANDBOX),
    refused("missing", "login", None, "the client id of an Adobe credential", shown="''"),
    refused("line break inside", "login", "local\nclient", "the client id of an Adobe credential"),
    refused("missing", "password", None, "a client secret, or an access_token", shown="'nothing'"),
    refused("line break inside", "password", "sec\nret", "visible ASCII", shown="'a secret with blanks"),
    refused("blank inside", "access_token", "tok en", "visible ASCII", shown="'a secret with blanks"),
    refused("plain http to a network", "host", "http://platform.adobe.io", ENCRYPTED),
    refused("plain http to a network", "ims_host", "http://ims-na1.adobelogin.com", ENCRYPTED),
    refused("plain http to almost localhost", "host", "http://localhost.example.com", ENCRYPTED),
    refused("path", "host", "https://platform.adobe.io/data", ADDRESS),
    refused("query", "host", "https://platform.adobe.io?x=1", ADDRESS),
    refused(
        "user",
        "host",
        "https://someone:pass@platform.adobe.io",
        ADDRESS,
        shown="'an address with a user in it'",
    ),
    refused("port", "host", "https://platform.adobe.io:many", ADDRESS),
    refused("other scheme", "host", "ftp://platform.adobe.io", ADDRESS),
    refused("line break inside", "ims_host", "https://ims\n.adobelogin.com", ADDRESS),
    refused("zero", "timeout", "0", SECONDS, shown="0.0"),
    refused("negative", "timeout", -1, SECONDS, shown="-1.0"),
    refused("word", "timeout", "abc", "a number of seconds"),
    refused("not a number", "timeout", "nan", SECONDS, shown="nan"),
    refused("tenant with a slash", "tenant", "acme/../x", "the name of an Experience Cloud tenant"),
]
FIELDS = ("host", "login", "password")


@pytest.mark.parametrize(("argument", "given", "shown", "allowed", "others"), CONNECTIONS)
def test_a_connection_is_not_used_with(
    argument: str,
    given: Any,
    shown: str,
    allowed: str,
    others: dict[str, Any],
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = desk.emulator.connection
    (fields if argument in FIELDS else fields["extra"])[argument] = given
    monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", json.dumps(fields))
    with pytest.raises(AirflowFailException) as error:
        run_task(CompleteBatchOperator(task_id="t", batch_id=BATCH))
    assert_refused(error, f"{argument} (connection 'adobe_catalog_default')", shown, allowed)
    assert desk.sent() == []


@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
def test_a_wait_does_not_begin_with_a_connection_that_lacks_its_sandbox(
    deferrable: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = desk.emulator.connection
    del fields["extra"]["sandbox_name"]
    monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", json.dumps(fields))
    with pytest.raises(AirflowFailException) as error:
        run_task(BatchSensor(task_id="t", batch_id=BATCH, deferrable=deferrable))
    assert_refused(error, "sandbox_name (connection 'adobe_catalog_default')", "''", SANDBOX)
    assert desk.sent() == []


LENGTHS = ["stalled_grace", "max_unreachable", "timeout", "poll_interval"]
WITH_LENGTHS: dict[str, tuple[Callable[..., BaseOperator], list[str]]] = {
    "sensor": (lambda **given: BatchSensor(task_id="t", batch_id=BATCH, **given), LENGTHS[:2]),
    "ingest": (
        lambda **given: IngestFilesOperator(task_id="t", dataset_id=CRM_PROFILES, files=__file__, **given),
        LENGTHS,
    ),
}


@pytest.mark.parametrize("given", [-1, -0.5, float("nan"), True, "300", None], ids=repr)
@pytest.mark.parametrize(
    ("build", "argument"),
    [
        pytest.param(build, name, id=f"{kind}-{name}")
        for kind, (build, names) in WITH_LENGTHS.items()
        for name in names
    ],
)
def test_a_dag_does_not_load_with(build: Callable[..., BaseOperator], argument: str, given: Any) -> None:
    with pytest.raises(
        ValueError, match=f"{argument}: got .*expected a timedelta or seconds, 0 or more"
    ) as error:
        build(**{argument: given})
    assert repr(given) in str(error.value)


@pytest.mark.parametrize(
    ("argument", "given", "allowed"),
    [
        ("on_rerun", "overwrite", "replace, append, skip"),
        ("on_rerun", None, "replace, append, skip"),
        ("poll_interval", 0, "more than 0 seconds"),
    ],
)
def test_a_dag_does_not_load_with_an_ingestion_that_has(argument: str, given: Any, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}: got {given!r}, expected .*{allowed}"):
        IngestFilesOperator(task_id="t", dataset_id=CRM_PROFILES, files=__file__, **{argument: given})
