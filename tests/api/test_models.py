"""How Catalog records are read: whatever a producer wrote, what can be read is read, and nothing is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_catalog.api.models import Batch, Dataset
from airflow_provider_catalog.api.statuses import PHASES, Phase, is_known, phase_of

MOMENT = 1_711_652_400.25
NO_COUNTS = (None, None, None)


def batch(**record: Any) -> Batch:
    return Batch.parse("B1", record)


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        pytest.param({"metrics": {"inputRecordCount": 5, "outputRecordCount": 4, "failedRecordCount": 1}}, (5, 4, 1), id="usual"),
        pytest.param({"metrics": {"inputRecordCount": "5", "outputRecordCount": "4"}}, (5, 4, None), id="as text"),
        pytest.param({"metrics": {"recordsRead": 5, "recordsWritten": 4, "recordsFailed": 1}}, (5, 4, 1), id="older names"),
        pytest.param({"metrics": {"inputRecordCount": 5, "invalidRecordCount": 2}}, (5, None, 2), id="another producer's"),
        pytest.param({"metrics": {"inputRecordCount": 0, "outputRecordCount": 0, "failedRecordCount": 0}}, (0, 0, 0), id="zeros"),
        pytest.param({}, NO_COUNTS, id="absent"),
        pytest.param({"metrics": None, "recordCount": 4, "failedRecordCount": 1}, (None, 4, 1), id="on the batch only"),
        pytest.param({"metrics": {"inputRecordCount": True, "outputRecordCount": []}, "failedRecordCount": "many"},
                     NO_COUNTS, id="nonsense"),
        pytest.param({"metrics": {"inputRecordCount": float("nan"), "outputRecordCount": float("inf")}},
                     NO_COUNTS, id="no numbers"),
        pytest.param({"metrics": {"inputRecordCount": 5.0}}, (5, None, None), id="a float"),
        pytest.param(
            {"relatedObjects": [{"type": "batch", "metrics": {"inputRecordCount": 99}},
                                {"type": "dataSet", "id": "D1", "metrics": {"inputRecordCount": 5, "outputRecordCount": 4}}]},
            (5, 4, None), id="on the dataset only",
        ),
        pytest.param(
            {"metrics": {"inputRecordCount": 7},
             "relatedObjects": [{"type": "dataSet", "id": "D1", "metrics": {"inputRecordCount": 5, "outputRecordCount": 4}}]},
            (7, 4, None), id="on both",
        ),
    ],
)  # fmt: skip
def test_counts_are_found_where_producers_put_them(
    record: dict[str, Any], counts: tuple[int | None, ...]
) -> None:
    parsed = batch(**record)
    assert (parsed.records_read, parsed.records_written, parsed.records_failed) == counts


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(1_711_652_400_250, MOMENT, id="milliseconds"),
        pytest.param("1711652400250", MOMENT, id="milliseconds as text"),
        pytest.param("2024-03-28T19:00:00.250Z", MOMENT, id="ISO in UTC"),
        pytest.param("2024-03-28T20:00:00.250+01:00", MOMENT, id="ISO elsewhere"),
        pytest.param("2024-03-28T19:00:00.250", MOMENT, id="ISO without a zone"),
        pytest.param(0, None, id="not yet"),
        pytest.param("0", None, id="not yet as text"),
        pytest.param(None, None, id="absent"),
        pytest.param("", None, id="empty"),
        pytest.param("yesterday", None, id="a word"),
        pytest.param(True, None, id="a boolean"),
        pytest.param([1], None, id="a list"),
        pytest.param(float("nan"), None, id="not a number"),
        pytest.param("Infinity", None, id="for ever"),
        pytest.param(10**400, None, id="beyond all floats"),
    ],
)
def test_moments_are_read_in_both_notations(value: Any, seconds: float | None) -> None:
    parsed = batch(created=value, updated=value, started=value, completed=value)
    assert [parsed.created, parsed.updated, parsed.started, parsed.completed] == [seconds] * 4


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (["a", "b"], ("a", "b")),
        ("a", ("a",)),
        (True, ("True",)),
        (5, ("5",)),
        ([], ()),
        ([1, None], ("1", "None")),
    ],
    ids=repr,
)
def test_tags_may_be_lists_or_bare_values(value: Any, texts: tuple[str, ...]) -> None:
    assert batch(tags={"name": value}).tags == {"name": texts}
    assert Dataset.parse("D1", {"tags": {"name": value}}).tags == {"name": texts}


def test_datasets_are_found_among_the_related_objects() -> None:
    related = [
        {"type": "batch", "id": "B0"},
        {"type": "dataSet", "id": "D1"},
        "junk",
        {"type": "DATASET", "id": "D2"},
        {"type": "dataSet"},
    ]
    assert batch(relatedObjects=related).dataset_ids == ("D1", "D2")


def test_errors_become_one_text() -> None:
    errors = [
        {"code": "INGEST-1401-400", "description": "Rows are corrupt.", "recordCount": "3", "rows": ["1-3"]},
        {"code": "err-1494349963436"},
        {"description": "x" * 1000},
        "junk",
    ]
    text = batch(errors=errors).explanation
    assert text.startswith(
        "Errors: INGEST-1401-400 (3 records): Rows are corrupt.; err-1494349963436; unknown: xxx"
    )
    assert len(text) < 500


def test_many_errors_are_counted() -> None:
    text = batch(errors=[{"code": f"E{n}"} for n in range(25)]).explanation
    assert text.endswith("E9; and 15 more")


def test_no_errors_are_said_to_be_none() -> None:
    assert batch(errors=None).explanation == "The Catalog gives no errors for it."


def test_the_summary_is_small_and_plain() -> None:
    summary = batch(status="success", metrics={"inputRecordCount": 5}).summary
    assert json.loads(json.dumps(summary)) == {
        "id": "B1", "status": "success", "records_read": 5, "records_written": None, "records_failed": None, "errors": [],
    }  # fmt: skip


def test_the_summary_tells_the_first_errors() -> None:
    errors = [{"code": f"E{n}", "description": "x" * 1000, "recordCount": n} for n in range(25)]
    summary = batch(errors=errors).summary
    assert summary["errors"][3] == {"code": "E3", "description": f"{'x' * 300}…", "records": 3}
    assert len(summary["errors"]) == 10


def test_a_summary_makes_a_batch_that_says_the_same() -> None:
    parsed = batch(
        status="success",
        metrics={"inputRecordCount": 5, "failedRecordCount": 2},
        errors=[{"code": "INGEST-1401-400", "recordCount": 2}, {"code": "E2", "description": "Text."}],
    )
    again = Batch.from_summary(json.loads(json.dumps(parsed.summary)))
    assert again.summary == parsed.summary
    assert (again.explanation, again.rejection) == (parsed.explanation, parsed.rejection)


def test_a_summary_and_an_origin_make_a_batch_that_knows_where_it_went_and_when() -> None:
    parsed = batch(
        externalId="mine",
        completed=1_700_000_000_123,
        relatedObjects=[{"type": "dataSet", "id": "D1"}, {"type": "dataSet", "id": "D2"}],
    )
    summary, origin = json.loads(json.dumps([parsed.summary, parsed.origin]))
    again = Batch.from_summary(summary, origin)
    assert (again.external_id, again.completed, again.dataset_ids) == (
        "mine",
        1_700_000_000.123,
        ("D1", "D2"),
    )
    assert again.summary == parsed.summary


@pytest.mark.parametrize(
    ("metrics", "total", "words"),
    [
        ((10000, 9863, 137), 10000, "137 of its 10000 rows (1.37%) were rejected"),
        ((None, 3, 1), 4, "1 of its 4 rows (25.00%) were rejected"),
        ((None, None, 1), None, "1 of its rows were rejected"),
        ((0, 0, 1), 0, "1 of its rows were rejected"),
        ((5, 4, None), 5, "an unknown number of its rows was rejected (the platform does not count those of CSV)"),
        ((None, None, None), None, "an unknown number of its rows was rejected (the platform does not count those of CSV)"),
    ],
    ids=["usual", "without those read", "rejected only", "none read", "without those rejected", "CSV"],
)  # fmt: skip
def test_how_many_rows_were_rejected_is_put_in_words(
    metrics: tuple[int | None, ...], total: int | None, words: str
) -> None:
    names = ("inputRecordCount", "outputRecordCount", "failedRecordCount")
    parsed = batch(metrics=dict(zip(names, metrics, strict=True)))
    assert (parsed.records_total, parsed.rejection) == (total, words)


STATUSES = {
    Phase.WAITING_ON_CLIENT: ["loading"],
    Phase.RUNNING: ["loaded", "queued", "staging", "processing", "staged", "retrying", "stalled"],
    Phase.SUCCEEDED: ["active", "success"],
    Phase.FAILED: ["failed", "failure", "aborted", "abandoned"],
    Phase.SUCCEEDED_ONCE: ["inactive", "deleted", "archived", "retained"],
}


class TestStatuses:
    def test_there_are_eighteen(self) -> None:
        assert sorted(PHASES) == sorted(name for names in STATUSES.values() for name in names)
        assert len(PHASES) == 18

    @pytest.mark.parametrize(
        ("status", "phase"), [(name, phase) for phase, names in STATUSES.items() for name in names]
    )
    def test_each_is_known_in_every_case(self, status: str, phase: Phase) -> None:
        for spelling in (status, status.title(), status.upper()):
            assert phase_of(spelling) is phase
            assert is_known(spelling)
            assert batch(status=spelling).status == status

    @pytest.mark.parametrize("status", ["paused", "", None, 5], ids=repr)
    def test_an_unknown_one_is_running(self, status: Any) -> None:
        parsed = batch(status=status)
        assert parsed.phase is Phase.RUNNING
        assert not is_known(parsed.status)

    @pytest.mark.parametrize("status", STATUSES[Phase.SUCCEEDED_ONCE])
    @pytest.mark.parametrize(
        ("record", "phase"),
        [
            ({"completed": 1_711_652_400_250}, Phase.SUCCEEDED),
            ({"tags": {"acp_successor": ["B2"]}}, Phase.SUCCEEDED),
            ({"completed": 0}, Phase.FAILED),
            ({"tags": {"acp_successor": []}}, Phase.FAILED),
            ({}, Phase.FAILED),
        ],
        ids=["completed", "replaced", "never completed", "no successor", "no trace"],
    )
    def test_a_batch_that_was_replaced_has_succeeded_if_it_was_promoted(
        self, status: str, record: dict[str, Any], phase: Phase
    ) -> None:
        assert batch(status=status, **record).phase is phase


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
FIELDS = st.sampled_from(
    ["status", "created", "completed", "metrics", "recordCount", "tags", "errors", "relatedObjects", "externalId", "name",
     "schemaRef", "id", "type", "code", "description", "inputRecordCount"]
)  # fmt: skip
OBJECTS = st.dictionaries(FIELDS, SCALARS | st.lists(SCALARS, max_size=2), max_size=4)
RECORDS = st.dictionaries(FIELDS, SCALARS | OBJECTS | st.lists(SCALARS | OBJECTS, max_size=3), max_size=6)


@given(RECORDS)
def test_no_record_is_an_error(record: dict[str, Any]) -> None:
    parsed = Batch.parse("B1", record)
    assert json.loads(json.dumps(parsed.summary, allow_nan=False))["id"] == "B1"
    assert isinstance(parsed.phase, Phase)
    assert isinstance(parsed.explanation, str)
    assert Dataset.parse("D1", record).id == "D1"


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ({"format": "JSON"}, {"format": "json"}),
        ({"format": "json", "isMultiLineJson": "true"}, {"format": "json", "isMultiLineJson": True}),
        ({"format": "csv", "header": "false"}, {"format": "csv", "header": False}),
        ({"format": "csv", "charset": "utf-8"}, {"format": "csv", "charset": "UTF-8"}),
        ({"format": "csv", "delimiter": ";"}, {"format": "csv", "delimiter": ";"}),
        ({"format": None}, None),
        ("json", None),
        (None, None),
    ],
    ids=str,
)
def test_a_batchs_format_is_read_however_it_is_spelt(shown: Any, read: Any) -> None:
    assert Batch.parse("B1", {"inputFormat": shown}).input_format == read
