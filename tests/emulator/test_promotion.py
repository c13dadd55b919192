"""What the platform makes of the files: counts, errors, success or failure."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import pytest

from airflow_provider_catalog.emulator.content import parquet_rows
from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, LOYALTY_MEMBERS

from .client import MULTI_LINE, SENSELESS, Client

PARQUET = {"format": "parquet"}
CSV = {"format": "csv"}
THREE_ROWS = (Path(__file__).parent / "three_rows.parquet").read_bytes()


def lines(good: int, bad: int = 0) -> bytes:
    return b'{"_id": "x"}\n' * good + b"{broken\n" * bad


def codes(batch: dict[str, list[dict[str, str]]]) -> list[str]:
    return [error["code"] for error in batch.get("errors", [])]


def test_every_record_of_every_file_counts(api: Client) -> None:
    batch = api.ingest(lines(3), lines(4))
    assert batch["status"] == "success"
    assert batch["metrics"] == {
        "inputByteSize": 7 * 13,
        "inputFileCount": 2,
        "inputRecordCount": 7,
        "outputByteSize": 7 * 13,
        "outputFileCount": 1,
        "outputRecordCount": 7,
        "failedRecordCount": 0,
        "partitionCount": 1,
    }
    assert (batch["recordCount"], batch["failedRecordCount"], batch["size"]) == (7, 0, 7 * 13)
    assert "errors" not in batch


@pytest.mark.parametrize(
    "content",
    [
        b'[{"_id": 1}, {"_id": 2}]',
        b'[\n {\n  "identityMap": {"CRMID": [{},\n {}]}},\n {"_id": "]"}\n]\n',
        b'{"_id": 1}{"_id": 2}',
        b'{"_id": 1}\n\n{"_id":\n 2}\n',
        b'\xef\xbb\xbf[{"_id": 1}, {"_id": 2}]',
        b'[{"_id": "' + b"x" * 600_000 + b'"}, {"_id": "' + b"y" * 300_000 + b'"}]',
    ],
    ids=["array", "spread out", "concatenated", "several lines", "byte order mark", "long"],
)
def test_multi_line_json_may_be_an_array_or_objects(api: Client, content: bytes) -> None:
    batch = api.ingest(content, inputFormat=MULTI_LINE)
    assert (batch["status"], batch["recordCount"]) == ("success", 2)


@pytest.mark.parametrize(
    "row", ['{"_id": 1}', '{"person": {"birthYear": 1970}}', '{"_id": "\\ud83d\\ude00"}']
)
@pytest.mark.parametrize("shift", [0, 5, 11])
def test_it_makes_no_difference_where_a_file_is_cut_in_reading(api: Client, row: str, shift: int) -> None:
    rows = [" " * shift, *[row] * 30_000]
    batch = api.ingest("".join(rows).encode(), inputFormat=MULTI_LINE)
    assert (batch["status"], batch["recordCount"]) == ("success", 30_000)


@pytest.mark.parametrize(
    ("content", "good", "rest"),
    [
        (b'[{"_id": 1}', 1, ""),
        (b'[{"_id": 1} {"_id": 2}]', 1, '{"_id": 2}]'),
        (b'[{"_id": 1}] x', 1, "x"),
        (b'[{"_id": 1}, {"_id": tru' + b" " * 300_000 + b'"}]', 1, None),
        (b"[1]", 0, "1"),
        (b'{"_id": NaN}', 0, '{"_id": NaN}'),
        (b'{"_id": 1e999}', 0, '{"_id": 1e999}'),
        (b"\xff\xfe", 0, ""),
        (b"[" * 100_000, 0, None),
    ],
    ids=["no end", "no comma", "more", "a word", "no object", "NaN", "infinite", "not UTF-8", "deep"],
)
def test_what_cannot_be_read_on_is_one_bad_row(
    api: Client, content: bytes, good: int, rest: str | None
) -> None:
    batch = api.ingest(content, inputFormat=MULTI_LINE, enableErrorDiagnostics=True)
    assert batch["status"] == "failed"
    assert codes(batch) == ["INGEST-1212-400", "INGEST-1401-400"]
    assert (batch["recordCount"], batch["failedRecordCount"]) == (good + 1, 1)
    [line] = api.report(batch["externalId"], "row_errors/parsing_errors_0.json")
    assert rest is None or line["_corrupt_record"] == rest


def test_of_a_file_that_cannot_be_read_on_the_beginning_of_the_rest_is_told(api: Client) -> None:
    content = b'[{"_id": 1}, {"_id": oops},' + b'{"_id": 2},' * 200_000
    batch = api.ingest(content, inputFormat=MULTI_LINE, enableErrorDiagnostics=True)
    [line] = api.report(batch["externalId"], "row_errors/parsing_errors_0.json")
    assert line["_corrupt_record"].startswith('{"_id": oops}')
    assert len(line["_corrupt_record"]) == 65_536


def test_an_array_over_several_lines_fails_a_json_lines_batch(api: Client) -> None:
    array = json.dumps([{"_id": "1"}, {"_id": "2"}], indent=2).encode()
    batch = api.ingest(array)
    assert batch["status"] == "failed"
    assert batch["failedRecordCount"] == batch["recordCount"]
    assert batch["failedBatchLocation"]


def test_one_bad_row_fails_a_batch_that_allows_none(api: Client) -> None:
    batch = api.ingest(lines(999, bad=1))
    assert batch["status"] == "failed"
    assert codes(batch) == ["INGEST-1211-400"]  # which rows, and why, is told only if diagnostics are on
    assert batch["errors"][0].keys() == {"code", "description"}
    assert batch["metrics"]["outputRecordCount"] == 0
    assert (batch["recordCount"], batch["failedRecordCount"]) == (1000, 1)


def test_with_diagnostics_the_errors_are_counted(api: Client) -> None:
    batch = api.ingest(lines(8, bad=2), enableErrorDiagnostics=True)
    assert batch["status"] == "failed"
    assert codes(batch) == ["INGEST-1212-400", "INGEST-1401-400"]
    assert batch["errors"][1]["recordCount"] == 2


@pytest.mark.parametrize(("percent", "status"), [(20, "success"), (19.9, "failed")])
def test_bad_rows_are_left_out_up_to_the_allowed_percentage(api: Client, percent: float, status: str) -> None:
    batch = api.ingest(lines(8, bad=2), enableErrorDiagnostics=True, partialIngestionPercent=percent)
    assert batch["status"] == status
    assert batch["failedRecordCount"] == 2
    assert batch["metrics"]["outputRecordCount"] == (8 if status == "success" else 0)
    assert "INGEST-1212-400" in codes(batch)


def test_no_error_quotes_a_record(api: Client) -> None:
    batch = api.ingest(b'{"email": "somebody@example.com"\n', enableErrorDiagnostics=True)
    assert "somebody" not in json.dumps(batch)


def test_an_empty_file_fails_the_batch(api: Client) -> None:
    batch = api.ingest(lines(1), b"")
    assert batch["status"] == "failed"
    assert codes(batch) == ["106"]


def test_a_batch_without_files_fails_unless_set_otherwise(api: Client) -> None:
    for setting in ("failed", "success"):
        api.set(empty_batch=setting)
        batch_id = api.open()
        api.signal(batch_id)
        api.advance(10)
        assert api.status(batch_id) == setting


def test_what_is_not_parquet_fails_a_parquet_batch(api: Client) -> None:
    for content in (lines(1), b"PAR1", b"PAR1" + b"\0" * 20):
        batch = api.ingest(content, inputFormat=PARQUET)
        assert (batch["status"], codes(batch)) == ("failed", ["200"])


def test_parquet_is_ingested_and_counted_where_it_can_be_read(api: Client) -> None:
    batch = api.ingest(THREE_ROWS, inputFormat=PARQUET)
    assert batch["status"] == "success"
    assert batch["metrics"]["inputByteSize"] == len(THREE_ROWS)
    assert batch.get("recordCount", "unknown") == (3 if pyarrow_is_installed() else "unknown")


def test_parquet_may_hold_dates_that_python_cannot(api: Client) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    table = pyarrow.table({"birth": pyarrow.array([2**30], pyarrow.date32())})  # days: three million years
    file = pyarrow.BufferOutputStream()
    parquet.write_table(table, file)
    batch = api.ingest(file.getvalue().to_pybytes(), inputFormat=PARQUET)
    assert (batch["status"], batch["recordCount"]) == ("success", 1)


def test_a_batch_on_which_the_emulator_stumbles_fails_and_others_go_on(api: Client) -> None:
    dataset_id = api.add_dataset(SENSELESS)
    batch = api.ingest(b'{"name": "x"}', dataset_id=dataset_id)
    assert (batch["status"], codes(batch)) == ("failed", ["EMU-UNREAD-500"])
    assert "metrics" not in batch
    assert api.ingest(lines(1))["status"] == "success"


CSV_CASES = [
    (b"member_id,points\nA,1\nB,2\n", CSV),
    (b"member_id;points\nA;1\nB;2\n", {**CSV, "delimiter": ";"}),
    (b"A,1\nB,2\n", {**CSV, "header": False}),
    (b"A,1\nB,2\n", {**CSV, "header": "false"}),
    (b'member_id,title\n"A","two\nlines"\n"B",""\n', CSV),
    (b"member_id,title\n'A','x,y'\n'B',''\n", {**CSV, "quote": "'"}),
    ("member_id,title\nA,Zoë\nB,\n".encode("latin-1"), {**CSV, "charset": "ISO-8859-1"}),
    (b'member_id,title\nA,"x""y"\n"B",""\n', {**CSV, "escape": '"'}),
    (b"member_id,title\nA," + b"x" * 200_000 + b"\nB,\n", CSV),
]


@pytest.mark.parametrize(("content", "input_format"), CSV_CASES)
def test_csv_rows_are_counted_if_csv_may_have_metrics(
    api: Client, content: bytes, input_format: dict[str, str]
) -> None:
    api.set(csv_metrics=True)
    batch = api.ingest(content, dataset_id=LOYALTY_MEMBERS, inputFormat=input_format)
    assert (batch["status"], batch["recordCount"]) == ("success", 2)


def test_csv_has_no_metrics_as_documented(api: Client) -> None:
    batch = api.ingest(b"member_id\nA\n", dataset_id=LOYALTY_MEMBERS, inputFormat=CSV)
    assert batch["status"] == "success"
    assert not {"metrics", "recordCount", "failedRecordCount"} & batch.keys()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte-order mark"])
def test_an_empty_csv_header_fails_the_batch(api: Client, mark: bytes) -> None:
    batch = api.ingest(mark + b" , \nA,1\n", dataset_id=LOYALTY_MEMBERS, inputFormat=CSV)
    assert (batch["status"], codes(batch)) == ("failed", ["118"])


def test_csv_does_not_fit_a_nested_schema(api: Client) -> None:
    batch = api.ingest(b"_id\nA\n", dataset_id=CRM_PROFILES, inputFormat=CSV)
    assert (batch["status"], codes(batch)) == ("failed", ["200"])


def pyarrow_is_installed() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def test_a_large_parquet_file_is_not_held_in_memory(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "large.parquet"
    rows = pyarrow.table({"_id": [os.urandom(1000).hex() for _ in range(2000)]})
    with parquet.ParquetWriter(path, rows.schema) as writer:
        for _ in range(8):
            writer.write_table(rows)
    before, peak, count = pyarrow.total_allocated_bytes(), 0, 0
    for _ in parquet_rows(path, PARQUET):
        count += 1
        peak = max(peak, pyarrow.total_allocated_bytes() - before)
    assert count == 16_000
    assert peak < path.stat().st_size / 3
