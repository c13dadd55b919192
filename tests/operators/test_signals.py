"""`CompleteBatchOperator`, `AbortBatchOperator` and `RevertBatchOperator` each send one signal, and are safe to run again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from desk import CRM_PROFILES, Desk
from tasks import dag, run_task

from airflow_provider_catalog.operators.batch import (
    AbortBatchOperator,
    CompleteBatchOperator,
    RevertBatchOperator,
    UploadFilesOperator,
)

SIGNALS = {
    "COMPLETE": (CompleteBatchOperator, "loading"),
    "ABORT": (AbortBatchOperator, "loading"),
    "REVERT": (RevertBatchOperator, "success"),
}


def signals_sent(desk: Desk) -> list[str]:
    return [sent.query["action"] for sent in desk.sent("POST", "/data/foundation/import/batches/*")]


@pytest.mark.parametrize(("signal", "operator", "status"), [(s, *rest) for s, rest in SIGNALS.items()])
def test_one_signal_is_sent_and_the_batch_is_named(
    signal: str, operator: Callable[..., CompleteBatchOperator], status: str, desk: Desk
) -> None:
    batch_id = desk.open_batch(status)
    with dag():
        task = operator(task_id="signal", batch_id="{{ params.batch }}")
    visit = run_task(task, batch=batch_id)
    assert visit.xcoms == {"return_value": batch_id}
    assert signals_sent(desk) == [signal]


def test_a_completed_batch_is_promoted_with_its_rows(desk: Desk, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text('{"person": {"gender": "female"}}\n{"person": {"gender": "male"}}\n')
    batch_id = desk.open_batch()
    run_task(UploadFilesOperator(task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=str(rows)))
    run_task(CompleteBatchOperator(task_id="t", batch_id=batch_id))
    desk.advance(60)
    batch = desk.batch(batch_id)
    assert (batch["status"], batch["metrics"]["outputRecordCount"]) == ("success", 2)


def test_completion_may_be_signalled_twice(desk: Desk) -> None:
    batch_id = desk.open_batch()
    for _ in range(2):
        run_task(CompleteBatchOperator(task_id="t", batch_id=batch_id))
    assert signals_sent(desk) == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize(
    ("operator", "status"), [(AbortBatchOperator, "aborted"), (RevertBatchOperator, "inactive")]
)
def test_a_batch_that_is_given_up_already_needs_no_signal(
    operator: Callable[..., AbortBatchOperator], status: str, desk: Desk
) -> None:
    batch_id = desk.open_batch(status, metrics={})
    assert run_task(operator(task_id="t", batch_id=batch_id)).xcoms["return_value"] == batch_id
    assert signals_sent(desk) == []


@pytest.mark.parametrize("word", ["success", "active"])
def test_a_promoted_batch_is_not_aborted_but_the_way_to_revert_it_is_named(word: str, desk: Desk) -> None:
    batch_id = desk.open_batch(word)
    with pytest.raises(AirflowFailException, match=f"is '{word}' and can't be aborted.*it can be reverted"):
        run_task(AbortBatchOperator(task_id="t", batch_id=batch_id))
    assert signals_sent(desk) == []


@pytest.mark.parametrize("word", ["inactive", "archived"])
def test_a_batch_whose_data_are_gone_again_is_not_aborted(word: str, desk: Desk) -> None:
    batch_id = desk.open_batch(word)
    with pytest.raises(AirflowFailException, match=f"is '{word}' and can't be aborted. It had been promoted"):
        run_task(AbortBatchOperator(task_id="t", batch_id=batch_id))
    assert signals_sent(desk) == []


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("loading", "It is not promoted yet: abort it"),
        ("staging", "It is not promoted yet: wait for its end"),
        ("failed", "It was never promoted, so none of its data are in the dataset"),
        ("aborted", "It was never promoted"),
    ],
)
def test_a_batch_that_is_not_promoted_is_not_reverted_and_the_way_on_is_named(
    word: str, advice: str, desk: Desk
) -> None:
    batch_id = desk.open_batch(word)
    with pytest.raises(AirflowFailException, match=f"is '{word}' and can't be reverted. {advice}"):
        run_task(RevertBatchOperator(task_id="t", batch_id=batch_id))
    assert signals_sent(desk) == []


@pytest.mark.parametrize("signal", ["abort", "revert"])
def test_a_lost_answer_does_not_lead_to_a_second_signal(signal: str, desk: Desk) -> None:
    operator, status = SIGNALS[signal.upper()]
    batch_id = desk.open_batch() if status == "loading" else promoted(desk)
    desk.break_next({"drop": "after"}, "/data/foundation/import/*")
    run_task(operator(task_id="t", batch_id=batch_id))
    assert signals_sent(desk) == [signal.upper()]


def promoted(desk: Desk) -> str:
    """Give a batch that the platform has promoted by itself, so that a signal can change it."""
    desk.set(empty_batch="success")
    batch_id = desk.open_batch()
    run_task(CompleteBatchOperator(task_id="t", batch_id=batch_id))
    desk.advance(60)
    assert desk.batch(batch_id)["status"] == "success"
    desk.forget()
    return batch_id
