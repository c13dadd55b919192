"""A file with some bad rows: how many are lost, which and why, and no cell of any row where it does not belong."""

import json
import logging
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator
from bad_rows import MARK, PAGE_VIEWS, good, incomplete, mistyped, unparsable
from desk import Desk
from tasks import Visit, run_task

from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)
from airflow_provider_catalog.operators.diagnostics import DownloadBatchErrorsOperator
from airflow_provider_catalog.sensors.batch import BatchSensor

TOTAL = 10_000
BAD = {73 * number: (unparsable, incomplete, mistyped)[number % 3] for number in range(137)}
COUNTS = {"records_read": TOTAL, "records_written": TOTAL - len(BAD), "records_failed": len(BAD)}
CODES = {"1401": 46, "1555": 46, "EMU-CONVERSION-400": 45}

Run = Callable[[BaseOperator], Any]


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """10,000 rows, of which 137 are bad, spread over the file; every row holds a mark."""
    path = tmp_path / "rows.json"
    path.write_text("".join(f"{BAD.get(number, good)(number)}\n" for number in range(TOTAL)))
    return str(path)


class Trail:
    """Runs tasks, and keeps what they leave behind: XComs, trigger rows, exceptions and the log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog = caplog
        self._left: list[str] = []

    def run(self, task: BaseOperator) -> Any:
        visit = self._visit(task)
        self._left.append(json.dumps([visit.xcoms, [each.trigger.serialize() for each in visit.deferrals]]))
        return visit.xcoms["return_value"]

    def _visit(self, task: BaseOperator) -> Visit:
        try:
            return run_task(task)
        except Exception as error:
            self._left += traceback.format_exception(error)
            raise

    def text(self) -> str:
        logged = [f"{record.getMessage()} {vars(record)}" for record in self._caplog.records]
        return "\n".join([*self._left, *logged])


@pytest.fixture
def trail(caplog: pytest.LogCaptureFixture) -> Trail:
    return Trail(caplog)


@pytest.fixture
def load(desk: Desk, rows: str, trail: Trail) -> Callable[[float], str]:
    """``load(percent)`` takes the file through a batch that may lose so many rows, and gives its id."""
    desk.set(promotion_seconds=0.3)

    def run(percent: float) -> str:
        batch_id: str = trail.run(
            CreateBatchOperator(
                task_id="open",
                dataset_id=PAGE_VIEWS,
                enable_error_diagnostics=True,
                partial_ingestion_percent=percent,
            )
        )
        trail.run(UploadFilesOperator(task_id="upload", batch_id=batch_id, dataset_id=PAGE_VIEWS, files=rows))
        trail.run(CompleteBatchOperator(task_id="complete", batch_id=batch_id))
        return batch_id

    return run


def wait(batch_id: str, **arguments: Any) -> BatchSensor:
    return BatchSensor(task_id="wait", batch_id=batch_id, poke_interval=0.2, timeout=60, **arguments)


def download(trail: Trail, batch_id: str, path: Path) -> list[dict[str, Any]]:
    """Download the rejected rows, and check each: it is one of the bad ones, once, with the reason that it was given."""
    result = trail.run(DownloadBatchErrorsOperator(task_id="download", batch_id=batch_id, path=path))
    assert result == {"batch_id": batch_id, "path": str(path), "rows": len(BAD), "codes": CODES}
    return [json.loads(line) for line in path.read_text().splitlines()]


def number_of(line: dict[str, Any]) -> int:
    return int(str(line.get("_corrupt_record") or line["_id"]).split(f"{MARK}-")[1].strip("']"))


EXPECTED_CODE = {unparsable: "1401", incomplete: "1555", mistyped: "EMU-CONVERSION-400"}


def assert_all_are_there(lines: list[dict[str, Any]]) -> None:
    codes = {number_of(line): [error["code"] for error in line["_errors"]] for line in lines}
    assert codes == {number: [EXPECTED_CODE[kind]] for number, kind in BAD.items()}
    assert len(lines) == len(BAD)
    assert Counter(code for [code] in codes.values()) == CODES


@pytest.mark.parametrize("waiting", [{}, {"deferrable": True}], ids=["poke", "deferrable"])
def test_within_the_allowance_the_good_rows_are_in_and_the_bad_ones_in_a_file(
    waiting: dict[str, Any], load: Callable[[float], str], trail: Trail, tmp_path: Path
) -> None:
    batch_id = load(5)
    summary = trail.run(wait(batch_id, fail_on_rejected="1.5%", **waiting))
    assert (summary["status"], {name: summary[name] for name in COUNTS}) == ("success", COUNTS)
    assert {error["code"]: error["records"] for error in summary["errors"]} == {
        "INGEST-1212-400": None,
        "INGEST-1401-400": 46,
        "INGEST-1555-400": 46,
        "EMU-CONVERSION-400": 45,
    }
    assert_all_are_there(download(trail, batch_id, tmp_path / "rejected.jsonl"))
    assert MARK not in trail.text()


@pytest.mark.parametrize("waiting", [{}, {"deferrable": True}], ids=["poke", "deferrable"])
def test_beyond_the_allowance_the_task_says_how_many_and_why_and_the_bad_ones_are_in_a_file(
    waiting: dict[str, Any], load: Callable[[float], str], trail: Trail, tmp_path: Path
) -> None:
    batch_id = load(1)
    with pytest.raises(AirflowFailException) as error:
        trail.run(wait(batch_id, **waiting))
    for part in ("137 rows have errors", "INGEST-1401-400 (46 records)", "INGEST-1555-400 (46 records)"):
        assert part in str(error.value)
    assert_all_are_there(download(trail, batch_id, tmp_path / "rejected.jsonl"))
    assert MARK not in trail.text()


@pytest.mark.parametrize("waiting", [{}, {"deferrable": True}], ids=["poke", "deferrable"])
def test_a_promoted_batch_that_lost_too_many_rows_fails_the_task(
    waiting: dict[str, Any], load: Callable[[float], str], trail: Trail
) -> None:
    batch_id = load(5)
    with pytest.raises(
        AirflowFailException, match=r"137 of its 10000 rows \(1.37%\).*INGEST-1401-400 \(46 records\)"
    ):
        trail.run(wait(batch_id, fail_on_rejected="1%", **waiting))
    assert MARK not in trail.text()
