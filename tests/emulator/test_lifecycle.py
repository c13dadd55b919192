"""The life of a batch, as the Catalog shows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_catalog.emulator.clock import Clock
from airflow_provider_catalog.emulator.server import Emulator
from airflow_provider_catalog.emulator.tokens import Tokens

from .client import Client

ROW = b'{"_id": "1"}\n'
ACTIONS = ("COMPLETE", "ABORT", "FAIL", "REVERT")


def test_a_batch_passes_through_the_documented_statuses(api: Client) -> None:
    api.set(catalog_lag=0)
    batch_id = completed(api)
    seen = [api.status(batch_id)]
    for _ in range(31):
        api.advance(0.1)
        seen.append(api.status(batch_id))
    assert list(dict.fromkeys(seen)) == ["loaded", "queued", "staging", "processing", "staged", "success"]


def test_promotion_takes_as_long_as_it_is_set_to(api: Client) -> None:
    api.set(catalog_lag=0, promotion_seconds=600)
    batch_id = completed(api)
    api.advance(599)
    assert api.status(batch_id) == "staged"
    api.advance(2)
    assert api.status(batch_id) == "success"


def test_a_batch_says_when_it_was_processed(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, ROW)
    api.advance(5)
    assert not {"started", "completed"} & api.batch(batch_id).keys()
    api.signal(batch_id)
    assert "started" not in api.batch(batch_id)  # the Catalog does not know yet
    api.advance(1)
    assert "completed" not in api.batch(batch_id)
    api.advance(10)
    batch = api.batch(batch_id)
    assert batch["started"] - batch["created"] == pytest.approx(5000, abs=1)
    assert batch["completed"] - batch["started"] == pytest.approx(3000, abs=1)
    assert batch["updated"] == batch["completed"]


def test_the_version_grows_with_every_change(api: Client) -> None:
    batch_id = completed(api)
    versions = []
    for _ in range(3):
        api.advance(1)
        versions.append(api.batch(batch_id)["version"])
    assert versions == sorted(set(versions))


def test_nothing_happens_to_a_batch_that_is_never_completed_until_it_is_abandoned(api: Client) -> None:
    batch_id = api.open()
    api.advance(86_000)
    assert api.status(batch_id) == "loading"
    api.advance(1_000)
    renewed = Client.token(api).json()["access_token"]
    api.session.headers["Authorization"] = f"Bearer {renewed}"
    assert api.status(batch_id) == "abandoned"
    assert api.signal(batch_id).status_code == 400


@pytest.mark.parametrize(
    ("situation", "accepted"),
    [
        ("loading", {"COMPLETE", "ABORT", "FAIL"}),
        ("processing", {"COMPLETE"}),
        ("success", {"COMPLETE", "REVERT"}),
        ("failed", set()),
        ("aborted", set()),
        ("inactive", set()),
    ],
)
@pytest.mark.parametrize("action", ACTIONS)
def test_which_signal_is_accepted_depends_on_the_status(
    api: Client, situation: str, accepted: set[str], action: str
) -> None:
    batch_id = brought_to(api, situation)
    answer = api.signal(batch_id, action)
    assert answer.status_code == (200 if action in accepted else 400)
    if action not in accepted:
        assert situation in answer.json()["detail"]


@pytest.mark.parametrize(("action", "status"), [("ABORT", "aborted"), ("FAIL", "failed")])
def test_a_loading_batch_can_be_given_up(api: Client, action: str, status: str) -> None:
    batch_id = api.open()
    api.signal(batch_id, action)
    api.advance(1)
    assert api.status(batch_id) == status
    api.advance(80_000)
    assert api.status(batch_id) == status


def test_aborting_may_be_set_to_be_possible_until_the_end(api: Client) -> None:
    api.set(abort_until="finished")
    batch_id = brought_to(api, "processing")
    assert api.signal(batch_id, "ABORT").status_code == 200
    api.advance(10)
    assert api.status(batch_id) == "aborted"
    assert "metrics" not in api.batch(batch_id)


def test_a_batch_that_is_aborted_while_its_files_are_read_stays_aborted(
    api: Client, emulator: Emulator
) -> None:
    api.set(abort_until="finished", catalog_lag=0)
    batch_id = api.open()
    api.put(batch_id, ROW * 600_000)
    other = Client(emulator)
    with ThreadPoolExecutor() as pool:
        completion = pool.submit(other.signal, batch_id)
        while api.status(batch_id) == "loading":
            pass
        assert api.signal(batch_id, "ABORT").status_code == 200
        assert completion.result().status_code == 200
    api.advance(100)
    assert api.status(batch_id) == "aborted"


def test_a_reverted_batch_is_inactive_and_later_deleted(api: Client) -> None:
    batch_id = brought_to(api, "success")
    completed_at = api.batch(batch_id)["completed"]
    api.signal(batch_id, "REVERT")
    api.advance(1)
    assert api.status(batch_id) == "inactive"
    api.advance(60)
    assert api.status(batch_id) == "deleted"
    assert api.batch(batch_id)["completed"] == completed_at


@pytest.mark.parametrize("field", ["predecessors", "predecessorsByExternalId"])
def test_a_replayed_batch_becomes_inactive_when_its_successor_succeeds(api: Client, field: str) -> None:
    old = api.open(externalId="run-1")
    api.put(old, ROW)
    api.signal(old)
    api.advance(10)
    name = old if field == "predecessors" else "run-1"
    new = api.open(replay={"reason": "replace", field: [f"${name}"]})
    api.put(new, ROW)
    api.signal(new)
    api.advance(2)
    assert api.status(old) == "success"
    api.advance(10)
    assert (api.status(old), api.status(new)) == ("inactive", "success")
    assert api.batch(old)["tags"]["acp_successor"] == [new]
    assert api.batch(old)["completed"]
    assert api.batch(new)["replay"] == {"reason": "replace", field: [name]}


def test_every_batch_of_an_external_id_is_replaced_at_once(api: Client) -> None:
    old = [api.ingest(ROW, externalId="run-1", tags={"n": [str(n)]})["tags"]["n"] for n in range(2)]
    assert old == [["0"], ["1"]]
    api.ingest(ROW, externalId="run-2", replay={"predecessorsByExternalId": ["$run-1"]})
    found = api.get("catalog/batches?externalId=run-1").json().values()
    assert [batch["status"] for batch in found] == ["inactive", "inactive"]


@pytest.mark.parametrize("field", ["predecessors", "predecessorsByExternalId"])
def test_an_external_id_is_no_id(api: Client, field: str) -> None:
    old = api.ingest(ROW, externalId="run-1")
    [(old_id, _)] = api.get("catalog/batches?externalId=run-1").json().items()
    name = "run-1" if field == "predecessors" else old_id
    api.ingest(ROW, replay={field: [f"${name}"]})
    assert (old["status"], api.status(old_id)) == ("success", "success")


def test_a_batch_replaces_neither_itself_nor_what_comes_later(api: Client) -> None:
    replay = {"reason": "replace", "predecessorsByExternalId": ["$run-1"]}
    assert api.ingest(ROW, externalId="run-1", replay=replay)["status"] == "success"
    assert api.ingest(ROW, externalId="run-1")["status"] == "success"
    assert api.ingest(ROW, externalId="run-1")["status"] == "success"


def test_a_batch_of_another_sandbox_is_not_replaced(api: Client, emulator: Emulator) -> None:
    old = brought_to(api, "success")
    elsewhere = Client(emulator, "prod")
    assert elsewhere.ingest(ROW, replay={"predecessors": [f"${old}"]})["status"] == "success"
    assert api.status(old) == "success"


def test_a_failed_successor_replaces_nothing(api: Client) -> None:
    old = brought_to(api, "success")
    new = api.open(replay={"reason": "replace", "predecessors": [f"${old}"]})
    api.put(new, b"not json\n")
    api.signal(new)
    api.advance(10)
    assert (api.status(old), api.status(new)) == ("success", "failed")


@pytest.mark.parametrize(("setting", "row"), [("success_word", ROW), ("failure_word", b"not json")])
def test_the_other_words_for_success_and_failure_can_be_chosen(api: Client, setting: str, row: bytes) -> None:
    word = {"success_word": "active", "failure_word": "failure"}[setting]
    api.set(**{setting: word})
    assert api.ingest(row)["status"] == word


def test_a_batch_says_where_its_failed_rows_are_whoever_made_it_fail(api: Client) -> None:
    for forced in (False, True):
        batch_id = api.open()
        if forced:
            api.steer(f"batches/{batch_id}", {"status": "failure"})
        else:
            api.signal(batch_id, "FAIL")
        api.advance(1)
        assert api.batch(batch_id)["failedBatchLocation"].endswith(batch_id)
    assert "failedBatchLocation" not in api.batch(brought_to(api, "aborted"))


@pytest.mark.parametrize("action", ["upload", "large file", *ACTIONS])
def test_a_batch_whose_time_has_not_come_is_one_that_loads(
    api: Client, emulator: Emulator, action: str
) -> None:
    """As after somebody has put the computer's clock back."""
    batch_id = api.open()
    api.file_action(batch_id, "INITIALIZE", "begun.json")
    emulator.platform.clock = Clock(offset=-10_000)
    emulator.platform.tokens = Tokens(emulator.platform.clock)
    earlier = Client(emulator)
    answer = {
        "upload": lambda: earlier.put(batch_id, ROW),
        "large file": lambda: earlier.file_action(batch_id, "INITIALIZE"),
    }.get(action, lambda: earlier.signal(batch_id, action))()
    assert answer.status_code == {"REVERT": 400, "large file": 201}.get(action, 200)


def completed(api: Client) -> str:
    batch_id = api.open()
    api.put(batch_id, ROW)
    api.signal(batch_id)
    return batch_id


def brought_to(api: Client, situation: str) -> str:
    """Return a batch that is in a status by ordinary means."""
    batch_id = api.open()
    api.put(batch_id, ROW if situation != "failed" else b"not json")
    if situation == "aborted":
        api.signal(batch_id, "ABORT")
    elif situation != "loading":
        api.signal(batch_id)
    api.advance(1.5 if situation == "processing" else 10)
    if situation == "inactive":
        api.signal(batch_id, "REVERT")
        api.advance(1)
    assert api.status(batch_id) == situation
    return batch_id
