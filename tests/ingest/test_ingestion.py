"""From files to a batch whose completion is signalled, from wherever an earlier try has stopped."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from attempts import FIRST, attempt
from client_stage import JSON_LINES
from desk import BATCHES, Desk

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, BatchLostError, BatchStateError, InvalidInputError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.ingest.files import find_files
from airflow_provider_catalog.ingest.identity import LogicalAttempt
from airflow_provider_catalog.ingest.ingestion import ROUNDS, Ingestion, bring_in
from airflow_provider_catalog.ingest.opening import Opening
from airflow_provider_catalog.ingest.plan import LINES, UploadPlan, plan_upload
from airflow_provider_catalog.ingest.reruns import OnRerun
from airflow_provider_catalog.ingest.waiting import Patience

pytestmark = pytest.mark.usefixtures("patience", "sources")

IMPORT = "/data/foundation/import/batches"
OPEN, LOOK, COMPLETE = f"POST {IMPORT}", f"GET {BATCHES}", "COMPLETE"
NAMES = ["a.json", "b.json"]


@pytest.fixture
def sources(folder: Path) -> None:
    """Two files that are older than any batch."""
    for name in NAMES:
        (folder / name).write_text('{"person": {"gender": "female"}}\n')
        os.utime(name, (1_000_000_000, 1_000_000_000))


def planned() -> UploadPlan:
    return plan_upload(find_files("*.json"), LINES)


@dataclass
class Process:
    """One process that works on an attempt, and what it was told."""

    client: CatalogClient
    whose: LogicalAttempt = FIRST
    on_rerun: OnRerun = OnRerun.REPLACE
    on_batch: Callable[[Batch], None] = lambda _: None
    before_completion: Callable[[], None] = lambda: None
    plan: Callable[[], UploadPlan] = lambda: planned()
    told: list[str] = field(default_factory=list)

    def run(self) -> Batch:
        """Bring the files in."""
        ingestion = Ingestion(
            attempt=self.whose,
            payload=JSON_LINES,
            plan=self.plan,
            on_rerun=self.on_rerun,
            patience=Patience(poll_interval=10, timeout=600),
            parallel=1,
        )
        return bring_in(
            self.client,
            ingestion,
            on_batch=self._note,
            check_in=lambda: None,
            before_completion=self.before_completion,
        )

    def _note(self, batch: Batch) -> None:
        self.told.append(batch.id)
        self.on_batch(batch)

    def opening(self) -> Opening:
        """Give the opening of another process of the same attempt."""
        return Opening(self.client, self.whose, JSON_LINES, content=lambda: planned().identity)


class Killed(Exception):
    """Ends a process where a test wants it to end."""


def killed() -> None:
    raise Killed


def wire(desk: Desk) -> list[str]:
    """Give what was sent, in short: calls, and the names of files."""
    return [_short(sent) for sent in desk.sent(path="/data/*")]


def _short(sent: Any) -> str:
    if "/files/" in sent.path:
        return f"{sent.method} {sent.path.rpartition('/')[2]}"
    if "action" in sent.query:
        return str(sent.query["action"])
    return f"{sent.method} {sent.path}"


def statuses(client: CatalogClient, *batch_ids: str) -> list[str]:
    return [client.get_batch(batch_id).status for batch_id in batch_ids]


class TestAFirstTry:
    def test_costs_two_looks_one_post_the_files_and_the_signal(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        process = Process(client)
        batch = process.run()
        assert wire(desk) == [LOOK, OPEN, "PUT a.json", "PUT b.json", LOOK, COMPLETE]
        assert process.told == [batch.id]

    def test_tells_of_the_batch_before_the_first_file(self, client: CatalogClient, desk: Desk) -> None:
        seen: list[list[str]] = []
        Process(client, on_batch=lambda _: seen.append(wire(desk))).run()
        assert seen == [[LOOK, OPEN]]

    def test_asks_once_more_right_before_the_signal(self, client: CatalogClient, desk: Desk) -> None:
        with pytest.raises(Killed):
            Process(client, before_completion=killed).run()
        assert wire(desk) == [LOOK, OPEN, "PUT a.json", "PUT b.json", LOOK]

    def test_that_may_not_write_fails_at_once(self, client: CatalogClient, desk: Desk) -> None:
        desk.break_next({"status": 403}, "*/files/*")
        with pytest.raises(ApiError, match="403"):
            Process(client).run()
        assert wire(desk) == [LOOK, OPEN, "PUT a.json"]


class TestALaterTry:
    @pytest.fixture
    def left(self, client: CatalogClient, desk: Desk) -> Callable[..., str]:
        """``left()`` leaves a batch behind like a process that died right before the signal."""

        def leave(**changes: Any) -> str:
            process = Process(client, before_completion=killed, **changes)
            with pytest.raises(Killed):
                process.run()
            desk.forget()
            return process.told[-1]

        return leave

    def test_uploads_nothing_that_is_there(
        self, client: CatalogClient, desk: Desk, left: Callable[..., str]
    ) -> None:
        batch_id = left()
        assert Process(client).run().id == batch_id
        assert wire(desk) == [LOOK, "HEAD a.json", "HEAD b.json", LOOK, COMPLETE]

    def test_uploads_what_is_missing(self, client: CatalogClient, desk: Desk) -> None:
        desk.break_next({"status": 403}, "*/files/b.json")
        with pytest.raises(ApiError):
            Process(client).run()
        desk.forget()
        Process(client).run()
        assert wire(desk) == [LOOK, "HEAD a.json", "HEAD b.json", "PUT b.json", LOOK, COMPLETE]

    def test_uploads_all_where_the_platform_does_not_tell(
        self, client: CatalogClient, desk: Desk, left: Callable[..., str]
    ) -> None:
        left()
        desk.set(head_of_small_files=False)
        Process(client).run()
        assert [each for each in wire(desk) if each.startswith("PUT")] == ["PUT a.json", "PUT b.json"]

    @pytest.mark.parametrize("status", ["loaded", "staging", "success"])
    def test_leaves_a_batch_alone_that_was_signalled(
        self, client: CatalogClient, desk: Desk, left: Callable[..., str], status: str
    ) -> None:
        batch_id = left()
        desk.hold(batch_id, status)
        for name in NAMES:
            Path(name).unlink()
        process = Process(client)
        assert process.run().id == batch_id
        assert wire(desk) == [LOOK]
        assert process.told == [batch_id]

    def test_needs_the_files_as_long_as_the_batch_is_open(
        self, client: CatalogClient, desk: Desk, left: Callable[..., str]
    ) -> None:
        left()
        for name in NAMES:
            Path(name).unlink()
        with pytest.raises(InvalidInputError, match="files"):
            Process(client).run()
        assert wire(desk) == [LOOK]

    def test_opens_another_batch_for_other_files(
        self, client: CatalogClient, desk: Desk, left: Callable[..., str], folder: Path
    ) -> None:
        old = left()
        (folder / "b.json").rename("c.json")
        batch = Process(client).run()
        assert batch.external_id == FIRST.external_id(2)
        assert statuses(client, old) == ["aborted"]
        assert [each for each in wire(desk) if each.startswith("PUT")] == ["PUT a.json", "PUT c.json"]

    def test_opens_another_batch_when_the_first_has_failed(
        self, client: CatalogClient, desk: Desk, left: Callable[..., str]
    ) -> None:
        desk.hold(left(), "failed")
        assert Process(client).run().external_id == FIRST.external_id(2)


class TestSomebodyElseAtWork:
    def test_who_has_completed_the_batch_is_relied_on(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(promotion_seconds=600)
        completed: list[str] = []

        def complete_once(batch: Batch) -> None:
            if not completed:
                client.complete_batch(batch.id)
                completed.append(batch.id)

        batch = Process(client, on_batch=complete_once).run()
        assert (batch.id, batch.status) == (completed[0], "loaded")
        assert wire(desk) == [LOOK, OPEN, COMPLETE, "PUT a.json", LOOK]

    def test_who_has_aborted_the_batch_ends_the_try(self, client: CatalogClient, desk: Desk) -> None:
        with pytest.raises(BatchLostError) as caught:
            Process(client, on_batch=lambda batch: client.abort_batch(batch.id)).run()
        assert not caught.value.permanent
        assert COMPLETE not in wire(desk)

    def test_who_has_aborted_the_batch_right_before_the_signal_ends_the_try(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        process = Process(client)
        process.before_completion = lambda: client.abort_batch(process.told[-1])
        with pytest.raises(BatchLostError):
            process.run()

    def test_who_opened_an_older_batch_gets_the_files(self, client: CatalogClient, desk: Desk) -> None:
        desk.set(catalog_lag=3, promotion_seconds=600)
        older: list[str] = []

        def planned_meanwhile() -> UploadPlan:
            if not older:
                older.append(process.opening().create().id)
                desk.advance(0.1)
            return planned()

        process = Process(client, plan=planned_meanwhile)
        assert process.run().id == older[0]
        younger, chosen = process.told
        assert chosen == older[0]
        desk.advance(3)
        assert statuses(client, younger, chosen) == ["aborted", "loaded"]

    def test_who_goes_on_ending_batches_ends_the_try_at_last(self, client: CatalogClient, desk: Desk) -> None:
        process = Process(client)

        def end_and_open_another(batch: Batch) -> None:
            client.abort_batch(batch.id)
            process.opening().open()

        process.on_batch = end_and_open_another
        with pytest.raises(BatchLostError):
            process.run()
        assert len(process.told) == ROUNDS

    def test_has_nothing_to_do_with_a_refusal_while_the_batch_is_open(
        self, client: CatalogClient, desk: Desk
    ) -> None:
        desk.break_next({"status": 400, "body": {"title": "no such thing"}}, "*/files/b.json")
        with pytest.raises(ApiError, match="no such thing"):
            Process(client).run()
        assert COMPLETE not in wire(desk)


CLEARED = attempt(clears=1)


class TestAfterAClear:
    @pytest.fixture
    def old(self, client: CatalogClient, desk: Desk) -> str:
        """The promoted batch from before the clear."""
        batch_id = Process(client).run().id
        desk.advance(60)
        assert statuses(client, batch_id) == ["success"]
        desk.forget()
        return batch_id

    def replay(self, desk: Desk) -> Any:
        [sent] = desk.sent("POST", IMPORT)
        return sent.body.get("replay")

    def test_the_new_batch_takes_the_place_of_the_old_one(
        self, client: CatalogClient, desk: Desk, old: str
    ) -> None:
        new = Process(client, CLEARED).run().id
        assert self.replay(desk) == {"reason": "replace", "predecessors": [f"${old}"]}
        desk.advance(60)
        assert statuses(client, old, new) == ["inactive", "success"]

    def test_the_new_batch_is_added_to_the_old_one(self, client: CatalogClient, desk: Desk, old: str) -> None:
        new = Process(client, CLEARED, OnRerun.APPEND).run().id
        assert self.replay(desk) is None
        desk.advance(60)
        assert statuses(client, old, new) == ["success", "success"]

    def test_the_old_batch_counts_and_nothing_is_sent(
        self, client: CatalogClient, desk: Desk, old: str
    ) -> None:
        assert Process(client, CLEARED, OnRerun.SKIP).run().id == old
        assert {sent.method for sent in desk.sent()} == {"GET"}

    def test_a_new_batch_is_opened_when_none_counts(
        self, client: CatalogClient, desk: Desk, old: str
    ) -> None:
        desk.hold(old, "failed")
        assert Process(client, CLEARED, OnRerun.SKIP).run().id != old
        assert self.replay(desk) is None

    @pytest.mark.parametrize("on_rerun", OnRerun)
    def test_what_was_left_open_is_aborted(
        self, client: CatalogClient, desk: Desk, on_rerun: OnRerun
    ) -> None:
        left = Process(client).opening().open().id
        new = Process(client, CLEARED, on_rerun).run().id
        assert new != left
        assert statuses(client, left) == ["aborted"]
        [replay] = [sent.body.get("replay") for sent in desk.sent("POST", IMPORT)[1:]]
        assert replay is None

    def test_a_retry_does_not_look_at_what_was_before_the_clear(
        self, client: CatalogClient, desk: Desk, old: str
    ) -> None:
        new = Process(client, CLEARED).run().id
        desk.forget()
        assert Process(client, CLEARED).run().id == new
        assert wire(desk) == [LOOK]

    def test_a_batch_that_was_merged_into_another_is_not_replaced(
        self, client: CatalogClient, desk: Desk, old: str
    ) -> None:
        desk.hold(old, "inactive", tags={**FIRST.tags, "acp_successor": ["COMPACTED"]})
        with pytest.raises(BatchStateError, match="COMPACTED"):
            Process(client, CLEARED).run()
        assert desk.sent("POST", "/data/*") == []

    def test_another_clear_replaces_the_newest_only(
        self, client: CatalogClient, desk: Desk, old: str
    ) -> None:
        second = Process(client, CLEARED).run().id
        desk.advance(60)
        desk.forget()
        Process(client, attempt(clears=2)).run()
        assert self.replay(desk)["predecessors"] == [f"${second}"]
