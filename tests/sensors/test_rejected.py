"""What `BatchSensor` makes of rejected rows, the same way in each of its modes."""

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from desk import Desk
from tasks import Visit, dag, run_task

from airflow_provider_catalog.sensors.batch import BatchSensor

Wait = Callable[..., Visit]

COUNTS = {"inputRecordCount": 1000, "outputRecordCount": 990, "failedRecordCount": 10}
ERRORS = [
    {"code": "INGEST-1401-400", "description": "The row is corrupt.", "recordCount": 7},
    {"code": "INGEST-1555-400", "description": "A field is missing.", "recordCount": 3},
]
SUMMARY = {
    "records_read": 1000,
    "records_written": 990,
    "records_failed": 10,
    "errors": [
        {"code": "INGEST-1401-400", "description": "The row is corrupt.", "records": 7},
        {"code": "INGEST-1555-400", "description": "A field is missing.", "records": 3},
    ],
}


@pytest.fixture(params=["at once", "later"])
def partly(request: pytest.FixtureRequest, desk: Desk) -> str:
    """A batch that is promoted, or soon will be, and has lost ten of a thousand rows."""
    batch_id = desk.open_batch("success", metrics=COUNTS, errors=ERRORS)
    if request.param == "later":
        desk.show(batch_id, status="staging")
    return batch_id


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the warnings of this package; Airflow 2 has some of its own."""
    own = [record for record in caplog.records if record.name.startswith("airflow_provider_catalog")]
    return [record.getMessage() for record in own if record.levelname == "WARNING"]


def test_they_are_worth_a_warning_and_stand_in_the_summary(
    partly: str, wait: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    visit = wait(partly)
    assert visit.xcoms == {"return_value": {"id": partly, "status": "success", **SUMMARY}}
    assert warnings(caplog) == [
        f"Batch {partly} is promoted, but 10 of its 1000 rows (1.00%) were rejected: "
        "INGEST-1401-400 (7 records), INGEST-1555-400 (3 records)."
    ]


@pytest.mark.parametrize("limit", [11, "11", 0.0101, "1.01%"], ids=repr)
def test_fewer_than_the_limit_are_a_success(limit: Any, partly: str, wait: Wait) -> None:
    assert wait(partly, fail_on_rejected=limit).xcoms["return_value"]["records_failed"] == 10


@pytest.mark.parametrize("limit", [1, "10", 0.01, "1%"], ids=repr)
def test_as_many_as_the_limit_fail_the_task_with_counts_and_reasons(
    limit: Any, partly: str, wait: Wait
) -> None:
    with pytest.raises(AirflowFailException) as error:
        wait(partly, fail_on_rejected=limit)
    assert str(error.value) == (
        f"Batch {partly} is promoted, but 10 of its 1000 rows (1.00%) were rejected, and fail_on_rejected is {limit}. "
        "Errors: INGEST-1401-400 (7 records): The row is corrupt.; INGEST-1555-400 (3 records): A field is missing."
    )


def test_rows_that_the_platform_does_not_count_fail_the_task(wait: Wait, desk: Desk) -> None:
    batch_id = desk.open_batch("success", metrics={})
    assert wait(batch_id).xcoms["return_value"]["records_failed"] is None
    with pytest.raises(AirflowFailException, match=r"unknown number.*leave fail_on_rejected out"):
        wait(batch_id, fail_on_rejected=1)


def test_a_batch_without_them_passes_the_strictest_limit(
    wait: Wait, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = desk.open_batch("success", metrics={**COUNTS, "failedRecordCount": 0})
    wait(batch_id, fail_on_rejected=1)
    assert warnings(caplog) == []


def test_the_limit_may_be_a_template(desk: Desk) -> None:
    batch_id = desk.open_batch("success", metrics=COUNTS)
    with dag():
        sensor = BatchSensor(task_id="t", batch_id=batch_id, fail_on_rejected="{{ params.limit }}")
    run_task(sensor, limit="2%")
    with pytest.raises(AirflowFailException, match="fail_on_rejected is 1%"):
        run_task(sensor, limit="1%")


@pytest.mark.parametrize("way", ["soft_fail", "never_fail"])
def test_too_many_skip_the_task_with(way: str, partly: str, wait: Wait) -> None:
    with pytest.raises(AirflowSkipException):
        wait(partly, fail_on_rejected=1, **{way: True})


ENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "fails": ("failed", {}),
    "is stalled": ("stalled", {"stalled_grace": 0}),
    "has lost too many rows": ("success", {"fail_on_rejected": 1}),
}


@pytest.mark.parametrize("first_look", ["staging", None], ids=["later", "at once"])
@pytest.mark.parametrize(("status", "arguments"), ENDS.values(), ids=ENDS)
def test_the_summary_is_left_for_other_tasks_when_the_batch(
    status: str,
    arguments: dict[str, Any],
    first_look: str | None,
    wait: Wait,
    desk: Desk,
    visits: list[Visit],
) -> None:
    batch_id = desk.open_batch(status, metrics=COUNTS, errors=ERRORS)
    if first_look:
        desk.show(batch_id, status=first_look)
    with pytest.raises(AirflowFailException):
        wait(batch_id, **arguments)
    assert visits[-1].xcoms == {"batch_summary": {"id": batch_id, "status": status, **SUMMARY}}


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[Visit]:
    """The task instances, also of tasks that have failed."""
    kept: list[Visit] = []
    begin = Visit.__init__

    def begin_and_keep(visit: Visit, *arguments: Any, **named: Any) -> None:
        begin(visit, *arguments, **named)
        kept.append(visit)

    monkeypatch.setattr(Visit, "__init__", begin_and_keep)
    return kept
