"""What has to be true when a logical attempt is over, whatever has happened to it."""

from collections.abc import Collection

from desk import Desk, Stored
from tries import Report


def rows(*first_names: str) -> list[str]:
    return [f'{{"person": {{"name": {{"firstName": "{name}"}}}}}}' for name in first_names]


FILES = {"a.json": rows("Ada"), "b.json": rows("Ben", "Bo"), "c.json": rows("Cy", "Cleo", "Cas")}
ROWS = sorted(row for rows in FILES.values() for row in rows)


def assert_one_batch(desk: Desk, reports: Collection[Report], *, may_be_open: Collection[str] = ()) -> Stored:
    """All tries that came to an end report one promoted batch, with the input's rows; all others are aborted.

    :param desk: of the emulator.
    :param reports: how the tries have ended.
    :param may_be_open: ids of batches that nobody could know of; they must be empty.
    :return: the promoted batch.
    """
    batches = desk.batches()
    shown = [(batch.id, batch.status, len(batch.rows)) for batch in batches]
    assert reports
    assert [report.failure for report in reports] == [None] * len(reports)
    promoted = [batch for batch in batches if batch.status == "success"]
    assert len(promoted) == 1, shown
    [promoted_one] = promoted
    assert sorted(promoted_one.rows) == ROWS
    for report in reports:
        assert report.result is not None
        assert (report.batch_id, report.result["id"]) == (promoted_one.id, promoted_one.id)
        assert (report.result["status"], report.result["records_written"]) == ("success", len(ROWS))
    for other in batches:
        is_unknown = other.id in may_be_open and not other.rows
        assert other is promoted_one or other.status == "aborted" or is_unknown, shown
    return promoted_one
