"""Records are held against the dataset's schema before anything is sent: refused, passed over with a warning, or left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from bad_rows import MARK, PAGE_VIEWS, good, incomplete, mistyped, unparsable
from desk import Desk
from tasks import Run, Visit, run_task, run_try

from airflow_provider_catalog.operators.ingest import IngestFilesOperator

IMPORT = "/data/foundation/import/*"
KINDS = (unparsable, incomplete, mistyped)
BAD = {10 * number: KINDS[number % 3] for number in range(9)}


@pytest.fixture
def rows(tmp_path: Path, desk: Desk) -> Path:
    """A hundred rows, of which nine are bad, in two files; every row holds a mark."""
    desk.set(promotion_seconds=0)
    lines = [f"{BAD.get(number, good)(number)}\n" for number in range(100)]
    (tmp_path / "a.json").write_text("".join(lines[:60]))
    (tmp_path / "b.json").write_text("".join(lines[60:]))
    return tmp_path


def load(rows: Path, **options: Any) -> IngestFilesOperator:
    given = {"dataset_id": PAGE_VIEWS, "files": f"{rows}/*.json", "validate": "schema", **options}
    return IngestFilesOperator(task_id="load", **given)


def test_bad_records_fail_the_task_before_anything_is_sent(
    rows: Path, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(
        AirflowFailException, match="9 of 100 validated records do not fit the schema"
    ) as caught:
        run_task(load(rows))
    assert f"{rows}/a.json line 1: " in str(caught.value)
    assert f"{rows}/b.json line 11, " in str(caught.value)
    assert desk.sent(path=IMPORT) == []
    assert MARK not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"


def test_good_records_are_loaded(rows: Path, desk: Desk) -> None:
    (rows / "a.json").write_text("".join(f"{good(number)}\n" for number in range(50)))
    (rows / "b.json").unlink()
    assert run_task(load(rows)).xcoms["return_value"]["records_written"] == 50


def test_bad_records_can_be_warned_of(rows: Path, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    run_task(load(rows, on_invalid="warn", partial_ingestion_percent=10))
    assert "9 of 100 validated records do not fit the schema" in caplog.text
    assert MARK not in caplog.text


class TestDropping:
    def dropped(self, path: Path) -> list[dict[str, Any]]:
        return [json.dumps(line) and json.loads(line) for line in path.read_text().splitlines()]

    def test_leaves_bad_records_out_and_keeps_them(
        self, rows: Path, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        visit = run_task(load(rows, on_invalid="drop", invalid_records_path=f"{rows}/bad/rows.jsonl"))
        summary = visit.xcoms["return_value"]
        assert (summary["records_read"], summary["records_failed"]) == (91, 0)
        assert len(desk.promoted_rows(PAGE_VIEWS)) == 91
        kept = self.dropped(rows / "bad" / "rows.jsonl")
        assert [(Path(each["_file"]).name, each["_line"]) for each in kept] == [
            *(("a.json", 10 * number + 1) for number in range(6)),
            *(("b.json", 10 * number + 1) for number in range(3)),
        ]
        assert all(each["_errors"] and each["record"] for each in kept)
        assert MARK not in caplog.text
        assert MARK not in json.dumps(visit.xcoms)

    def test_goes_on_in_the_same_batch_at_a_retry(self, rows: Path, desk: Desk) -> None:
        path = f"{rows}/bad.jsonl"
        desk.break_next({"status": 403}, "*/files/b.json")
        with pytest.raises(AirflowFailException):
            run_task(load(rows, on_invalid="drop", invalid_records_path=path))
        visit = run_try(Visit(load(rows, on_invalid="drop", invalid_records_path=path), Run(), try_number=2))
        assert visit.xcoms["return_value"]["records_read"] == 91
        assert len(desk.batches()) == 1

    def test_fails_where_nothing_would_be_left(self, rows: Path, desk: Desk) -> None:
        (rows / "a.json").write_text(f"{unparsable(1)}\n")
        (rows / "b.json").unlink()
        with pytest.raises(AirflowFailException, match="Without them nothing is left to load"):
            run_task(load(rows, on_invalid="drop", invalid_records_path=f"{rows}/bad.jsonl"))
        assert desk.sent(path=IMPORT) == []

    def test_leaves_a_file_out_of_which_nothing_is_left(self, rows: Path, desk: Desk) -> None:
        (rows / "b.json").write_text(f"{unparsable(1)}\n\n")
        run_task(load(rows, on_invalid="drop", invalid_records_path=f"{rows}/bad.jsonl"))
        assert [sent.path.rpartition("/")[2] for sent in desk.sent("PUT")] == ["a.json"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"input_format": "csv"}, "validate: got 'schema', expected json or parquet"),
        ({"on_invalid": "drop"}, "invalid_records_path: got None, expected a file"),
        (
            {"on_invalid": "drop", "input_format": "multiline-json"},
            "on_invalid: got 'drop', expected fail or warn",
        ),
        ({"validate_share": 0}, "validate_share: got 0, expected a number, more than 0"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(
    rows: Path, desk: Desk, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        run_task(load(rows, **options))
    assert desk.sent() == []


@pytest.mark.parametrize(
    "options",
    [{"on_invalid": "drop"}, {"invalid_records_path": "bad.jsonl"}, {"validate_share": 0.5}],
    ids=str,
)
def test_options_of_a_validation_that_is_not_asked_for_are_refused(
    rows: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(
        ValueError, match=f"{next(iter(options))}: got .*, expected validate='schema' beside it"
    ):
        load(rows, validate=None, **options)


@pytest.mark.parametrize("options", [{"validate": "rows"}, {"on_invalid": "ignore"}], ids=str)
def test_a_typo_is_refused_when_the_dag_is_read(rows: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}: got '.*', expected"):
        load(rows, **options)
