"""`fail_on_rejected`: what it may be, and which batches it lets through."""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from typing import Any

import pytest

from airflow_provider_catalog.api.errors import InvalidInputError, RowsRejectedError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest.rejected import RejectedLimit, accepted

GOOD = [
    (1, 1),
    (100, 100),
    ("1", 1),
    ("100", 100),
    (" 100 ", 100),
    (0.01, Fraction(1, 100)),
    (0.999, Fraction(999, 1000)),
    ("0.01", Fraction(1, 100)),
    ("1%", Fraction(1, 100)),
    ("1.5 %", Fraction(15, 1000)),
    ("0.1%", Fraction(1, 1000)),
    ("100%", Fraction(1)),
]


@pytest.mark.parametrize(("value", "least"), GOOD, ids=repr)
def test_it_may_be(value: object, least: int | Fraction) -> None:
    limit = RejectedLimit.parse(value)
    assert (type(limit.least), limit.least) == (type(least), least)


BAD = [
    0, -1, True, False, 0.0, 1.0, 1.5, -0.1, math.nan, math.inf, 1e-7, None, [], [1], {}, b"1", Fraction(1, 2),
    "", " ", "0", "-1", "+1", "0%", "0.0%", "-1%", "100.1%", "101%", "1.0", "0.0", "%", "1%%", "1 %x", "1,5%", "1e2", "1e-2",
    "nan", "inf", "None", "many", "one", "0x10", "1_000", "٣", "²", "1\n%", "{{ params.limit }}", "9" * 5000 + "%",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:20])
def test_it_may_not_be(value: object) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^fail_on_rejected: got .*, expected a number of rows"
    ) as caught:
        RejectedLimit.parse(value)
    assert caught.value.given is value


def batch(read: int | None, written: int | None, failed: int | None) -> Batch:
    names = ("inputRecordCount", "outputRecordCount", "failedRecordCount")
    metrics = dict(zip(names, (read, written, failed), strict=True))
    errors = [{"code": "INGEST-1401-400", "description": "Text.", "recordCount": failed}] if failed else []
    return Batch.parse("B1", {"status": "success", "metrics": metrics, "errors": errors})


VERDICTS: list[tuple[Any, tuple[int | None, int | None, int | None], bool]] = [
    (1, (100, 100, 0), True),
    (1, (100, 99, 1), False),
    (100, (1000, 901, 99), True),
    (100, (1000, 900, 100), False),
    (100, (None, None, 100), False),
    (100, (None, None, 99), True),
    ("1%", (10_000, 9_901, 99), True),
    ("1%", (10_000, 9_900, 100), False),
    (0.01, (10_000, 9_900, 100), False),
    ("0.7%", (1000, 993, 7), False),
    ("0.7%", (1000, 994, 6), True),
    ("100%", (10, 0, 10), False),
    ("100%", (10, 1, 9), True),
    ("50%", (None, 1, 1), False),
    ("50%", (None, 2, 1), True),
    ("1%", (0, 0, 0), True),
    ("1%", (None, None, 0), True),
    ("1%", (None, None, 1), False),
    ("1%", (0, 0, 1), False),
    (1, (None, None, None), False),
    ("1%", (10, 10, None), False),
]


@pytest.mark.parametrize(("limit", "counts", "passes"), VERDICTS, ids=repr)
def test_a_promoted_batch_is_held_to_it(
    limit: Any, counts: tuple[int | None, int | None, int | None], passes: bool
) -> None:
    judged = batch(*counts)
    for known in (judged, Batch.from_summary(judged.summary)):
        if passes:
            RejectedLimit.parse(limit).check(known)
            continue
        with pytest.raises(RowsRejectedError) as caught:
            RejectedLimit.parse(limit).check(known)
        assert caught.value.permanent
        assert f"fail_on_rejected is {limit}" in str(caught.value)
        assert judged.explanation in str(caught.value)


def test_a_promoted_batch_with_rejected_rows_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    accepted(batch(100, 98, 2), None)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "Batch B1 is promoted, but 2 of its 100 rows (2.00%) were rejected: INGEST-1401-400 (2 records)."
    )


@pytest.mark.parametrize("failed", [0, None])
def test_one_without_is_not(failed: int | None, caplog: pytest.LogCaptureFixture) -> None:
    accepted(batch(100, 100, failed), None)
    assert caplog.records == []
