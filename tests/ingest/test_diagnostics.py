"""The rejected rows of a batch are written once each, with their reasons, from the best source that there is."""

from __future__ import annotations

import io
import json
import logging
import tracemalloc
from typing import Any

import pytest
from bad_rows import DIAGNOSED, MARK, THREE_KINDS, good, incomplete, ingest, mistyped, unparsable
from desk import Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    BatchStateError,
    NoDiagnosticsError,
    UnreachableError,
)
from airflow_provider_catalog.ingest.diagnostics import RejectedRows, write_rejected_rows

DAY = 86_400
BY_CODE = {"1401": 1, "1555": 1, "EMU-CONVERSION-400": 1}
BY_KEYWORD = {"parse": 1, "required": 1, "type": 1}


def written(client: CatalogClient, batch_id: str) -> tuple[RejectedRows, list[Any]]:
    sink = io.BytesIO()
    rows = write_rejected_rows(client, client.get_batch(batch_id), sink)
    assert not sink.getvalue() or sink.getvalue().endswith(b"\n")
    return rows, [json.loads(line) for line in sink.getvalue().splitlines()]


def record_of(line: dict[str, Any]) -> Any:
    """Give the record as it was sent, without what the platform has added."""
    own = ("_errors", "_filename", "_validationErrors")
    return line.get("_corrupt_record") or {name: value for name, value in line.items() if name not in own}


def as_sent(*rows: str) -> list[Any]:
    return [json.loads(row) if row.endswith("}") else row for row in rows]


def in_order(records: list[Any]) -> list[Any]:
    return sorted(records, key=str)


@pytest.mark.parametrize("percent", [100, 5], ids=["promoted", "failed"])
def test_with_diagnostics_each_row_is_written_once_with_its_reasons(
    percent: int, client: CatalogClient, desk: Desk
) -> None:
    batch_id = ingest(client, desk, THREE_KINDS, **{**DIAGNOSED, "partialIngestionPercent": percent})
    rows, lines = written(client, batch_id)
    assert (rows.rows, rows.codes) == (3, BY_CODE)
    assert in_order([record_of(line) for line in lines]) == in_order(
        as_sent(unparsable(1), incomplete(2), mistyped(4))
    )
    assert all(line["_errors"] and line["_filename"] for line in lines)


def test_of_a_failed_batch_without_diagnostics_the_failed_files_are_written(
    client: CatalogClient, desk: Desk
) -> None:
    rows, lines = written(client, ingest(client, desk, THREE_KINDS))
    assert (rows.rows, set(rows.codes)) == (3, set(BY_KEYWORD))
    assert [record_of(line) for line in lines] == as_sent(unparsable(1), incomplete(2), mistyped(4))
    assert all(line["_validationErrors"] for line in lines)


@pytest.mark.parametrize("marker", ["_SUCCESS", "_committed_7423", "_started_7423"])
def test_markers_among_the_files_are_not_read(marker: str, client: CatalogClient, desk: Desk) -> None:
    batch_id = ingest(client, desk, THREE_KINDS)
    items = [{"name": marker, "length": "90"}, {"name": "empty.json", "length": "0"}]
    desk.break_next({"status": 200, "body": {"data": items}}, "*/failed")
    with pytest.raises(NoDiagnosticsError):
        written(client, batch_id)
    assert len(desk.sent(path="*/failed")) == 1


def test_rows_in_many_files_are_all_written(client: CatalogClient, desk: Desk) -> None:
    desk.set(diagnostics_rows=2)
    rows, lines = written(client, ingest(client, desk, THREE_KINDS * 101, **DIAGNOSED))
    assert rows == RejectedRows(303, dict.fromkeys(BY_CODE, 101))
    assert len(lines) == 303


def test_a_batch_that_lost_no_row_gives_nothing(
    client: CatalogClient, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for fields in ({}, DIAGNOSED):
        assert written(client, ingest(client, desk, [good(1)], **fields)) == (RejectedRows(0, {}), [])
    assert caplog.records == []


def test_a_batch_that_failed_as_a_whole_gives_nothing(client: CatalogClient, desk: Desk) -> None:
    batch_id = ingest(client, desk, ["no Parquet"], inputFormat={"format": "parquet"})
    assert client.get_batch(batch_id).status == "failed"
    assert written(client, batch_id) == (RejectedRows(0, {}), [])


def test_rows_of_which_nothing_was_kept_are_an_error(client: CatalogClient, desk: Desk) -> None:
    batch_id = ingest(client, desk, THREE_KINDS, partialIngestionPercent=100)
    with pytest.raises(
        NoDiagnosticsError, match=r"enable_error_diagnostics.*30 days.*INGEST-1211-400"
    ) as caught:
        written(client, batch_id)
    assert caught.value.permanent


@pytest.mark.parametrize("percent", [100, 5], ids=["promoted", "failed"])
def test_rows_that_were_kept_for_their_time_are_an_error(
    percent: int, client: CatalogClient, desk: Desk
) -> None:
    batch_id = ingest(client, desk, THREE_KINDS, **{**DIAGNOSED, "partialIngestionPercent": percent})
    desk.advance(31 * DAY)
    with pytest.raises(NoDiagnosticsError):
        written(client, batch_id)


@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        ([{"code": "INGEST-1211-400"}], False),
        ([{"code": "INGEST-1401-400", "recordCount": 2}], False),
        ([{"code": "106", "description": "empty"}], True),
        ([], True),
    ],
    ids=repr,
)
def test_without_a_count_the_errors_tell_whether_rows_were_rejected(
    errors: list[dict[str, Any]], kept: bool, client: CatalogClient, desk: Desk
) -> None:
    batch_id = ingest(client, desk, [good(1)])
    desk.show(batch_id, status="failed", errors=errors)
    if kept:
        assert written(client, batch_id)[0].rows == 0
    else:
        with pytest.raises(NoDiagnosticsError):
            written(client, batch_id)


@pytest.mark.parametrize("name", ["row_errors_sample.json", "row_error_samples.json"])
def test_a_sample_is_better_than_nothing_and_is_said_to_be_one(
    name: str, client: CatalogClient, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.set(sample_file=name)
    batch_id = ingest(client, desk, [unparsable(number) for number in range(150)], **DIAGNOSED)
    desk.break_next({"status": 404}, "*/meta", query="*path=row_errors&*")
    rows, lines = written(client, batch_id)
    assert (rows.rows, len(lines)) == (100, 100)
    assert "only a sample of the rejected rows" in caplog.text
    assert (
        f"The Catalog counts 150 rejected rows of batch {batch_id}, the platform's files about it hold 100"
        in caplog.text
    )


def test_a_sample_is_not_looked_for_when_the_rows_are_there(client: CatalogClient, desk: Desk) -> None:
    written(client, ingest(client, desk, THREE_KINDS, **DIAGNOSED))
    assert not [sent for sent in desk.sent(path="*/meta") if "sample" in sent.query["path"]]


@pytest.mark.parametrize("status", ["loading", "staging", "retrying", "stalled", "unheard-of"])
def test_a_batch_that_has_not_ended_is_not_asked(status: str, client: CatalogClient, desk: Desk) -> None:
    batch_id = ingest(client, desk, [good(1)])
    desk.hold(batch_id, status)
    with pytest.raises(BatchStateError, match=f"is '{status}' and can't be asked .* BatchSensor"):
        written(client, batch_id)
    assert desk.sent(path="*/export/*") == []


def test_lines_are_passed_on_as_they_are(client: CatalogClient, desk: Desk) -> None:
    lines = [
        b'{"_id":"1",  "\\u00e4": "\xc3\xa4", "_errors":[{"code":"1401"},{"code":"1401"},{"code":"1555"}]}',
        b'{"_id":"2", "_errors":[{"code":1401}]}',
    ]
    sink = io.BytesIO()
    serve(desk, b"\r\n".join(lines) + b"\n\n")
    rows = write_rejected_rows(client, client.get_batch(ingest_one(client, desk)), sink)
    assert sink.getvalue() == b"".join(line + b"\n" for line in lines)
    assert rows == RejectedRows(2, {"1401": 2, "1555": 1})


ODD: dict[str, str] = {
    "no JSON": f"{MARK}, and so on",
    "a cut line": f'{{"_id": "{MARK}',
    "an array": f'["{MARK}"]',
    "a text": f'"{MARK}"',
    "too deep": "[" * 100_000,
}


@pytest.mark.parametrize("line", ODD.values(), ids=ODD)
def test_a_line_that_is_no_object_is_written_as_one(line: str, client: CatalogClient, desk: Desk) -> None:
    serve(desk, f"{line}\n".encode())
    rows, [record] = written(client, ingest_one(client, desk))
    assert (rows.rows, rows.codes) == (1, {"unreadable": 1})
    assert record["_corrupt_record"] == line
    assert record["_errors"][0]["code"] == "unreadable"


@pytest.mark.parametrize(
    "reasons",
    [
        None,
        [],
        "1401",
        [5],
        [{}],
        [{"code": MARK + "@example.com"}],
        [{"code": "x" * 65}],
        [{"code": {"a": MARK}}],
    ],
    ids=repr,
)
def test_only_what_looks_like_a_code_is_counted_as_one(
    reasons: Any, client: CatalogClient, desk: Desk
) -> None:
    serve(desk, json.dumps({"_id": MARK, "_errors": reasons}).encode())
    rows, _ = written(client, ingest_one(client, desk))
    assert len(rows.codes) == 1
    assert rows.codes.get("unknown", rows.codes.get("None")) == 1


def serve(desk: Desk, content: bytes) -> None:
    """Let the one file of row errors hold something else."""
    desk.break_next({"status": 200, "body": content.decode()}, "*/meta", query="*path=row_errors%2F*")


def ingest_one(client: CatalogClient, desk: Desk) -> str:
    return ingest(client, desk, [unparsable(1)], **DIAGNOSED)


def test_trouble_on_the_way_costs_no_row_and_doubles_none(client: CatalogClient, desk: Desk) -> None:
    batch_id = ingest(client, desk, [unparsable(number) for number in range(3000)], **DIAGNOSED)
    desk.break_next({"truncate": 50_000}, "*/meta", query="*row_errors%2F*", times=2)
    desk.break_next({"drop": "after"}, "*/meta", query="*row_errors%2F*", times=2)
    desk.break_next({"status": 503}, "*/meta", times=2)
    rows, lines = written(client, batch_id)
    assert [line["_corrupt_record"] for line in lines] == [unparsable(number) for number in range(3000)]
    assert rows.rows == 3000


@pytest.mark.parametrize("effect", [{"status": 403}, {"status": 500}, {"truncate": 0}], ids=repr)
def test_a_platform_that_does_not_give_them_is_an_error(
    effect: dict[str, Any], client: CatalogClient, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    batch_id = ingest(client, desk, THREE_KINDS, **DIAGNOSED)
    desk.break_next(effect, "*/meta", query="*row_errors%2F*", times=None)
    with pytest.raises((ApiError, UnreachableError)):
        written(client, batch_id)
    assert MARK not in caplog.text


def test_no_row_is_logged(client: CatalogClient, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    written(client, ingest(client, desk, THREE_KINDS, **DIAGNOSED))
    assert caplog.records
    assert MARK not in caplog.text


class _Count:
    """Counts lines, and keeps none."""

    lines = 0

    def write(self, data: bytes, /) -> int:
        self.lines += data.count(b"\n")
        return len(data)


def test_memory_does_not_grow_with_the_rows(client: CatalogClient, desk: Desk) -> None:
    desk.set(diagnostics_rows=100_000)
    batch = client.get_batch(ingest(client, desk, [unparsable(n) * 40 for n in range(5000)], **DIAGNOSED))
    sink = _Count()
    tracemalloc.start()
    write_rejected_rows(client, batch, sink)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sink.lines == 5000
    assert peak < 3_000_000
