"""What the platform refuses for good fails a task at once; what may pass is survived, or left to Airflow's retries."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator
from desk import CRM_PROFILES, Desk
from tasks import dag, run_task

from airflow_provider_catalog.api.errors import CatalogError, OutcomeUnknownError
from airflow_provider_catalog.ingest.opening import POSTS
from airflow_provider_catalog.operators.batch import (
    CompleteBatchOperator,
    CreateBatchOperator,
    UploadFilesOperator,
)

IMPORT = "/data/foundation/import/*"
NO_WAIT = {"Retry-After": "0"}

PERMANENT: dict[str, tuple[dict[str, Any], str]] = {
    "400": (
        {"status": 400, "body": {"title": "BadRequestError", "detail": "no such thing"}},
        "no such thing",
    ),
    "403 without access": ({"status": 403, "body": {"title": "PDP-4041-403"}}, "role may use this dataset"),
    "403 unknown key": ({"status": 403, "body": {"error_code": "403003"}}, "client id (login)"),
    "403 not entitled": ({"status": 403, "body": {"error_code": "403025"}}, "ims_org_id"),
    "404": ({"status": 404}, "belongs to the sandbox"),
    "409": ({"status": 409}, "look at the batch"),
    "413": ({"status": 413}, "smaller files"),
    "414": ({"status": 414}, "remote name"),
    "415": ({"status": 415}, "input format"),
    "redirect": (
        {"status": 302, "headers": {"Location": "https://example.com/"}},
        "Redirects are not followed",
    ),
}
TRANSIENT: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "headers": NO_WAIT},
    "500": {"status": 500, "headers": NO_WAIT},
    "502 with a page": {
        "status": 502,
        "headers": {**NO_WAIT, "Content-Type": "text/html"},
        "body": "<h1>Bad</h1>",
    },
    "503": {"status": 503, "headers": NO_WAIT},
    "504": {"status": 504, "headers": NO_WAIT},
    "reset": {"drop": "before"},
    "lost answer": {"drop": "after"},
}


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.json"
    path.write_text('{"person": {"gender": "female"}}\n')
    return str(path)


@pytest.fixture(params=["upload", "complete"])
def task(request: pytest.FixtureRequest, desk: Desk, rows: str) -> BaseOperator:
    """A task whose one call may be repeated."""
    batch_id = desk.open_batch()
    if request.param == "complete":
        return CompleteBatchOperator(task_id="t", batch_id=batch_id)
    return UploadFilesOperator(task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=rows)


def create() -> CreateBatchOperator:
    return CreateBatchOperator(task_id="t", dataset_id=CRM_PROFILES, external_id="sales-1")


@pytest.mark.parametrize(("effect", "said"), PERMANENT.values(), ids=PERMANENT)
def test_a_permanent_error_fails_the_task_at_once(
    effect: dict[str, Any], said: str, task: BaseOperator, desk: Desk
) -> None:
    desk.break_next(effect, IMPORT, times=None)
    with pytest.raises(AirflowFailException) as error:
        run_task(task)
    assert f"was answered with {effect['status']}" in str(error.value)
    assert said in str(error.value)
    assert len(desk.sent(path=IMPORT)) == 1


@pytest.mark.parametrize("effect", TRANSIENT.values(), ids=TRANSIENT)
def test_a_transient_error_is_survived_twice(effect: dict[str, Any], task: BaseOperator, desk: Desk) -> None:
    desk.break_next(effect, IMPORT, times=2)
    run_task(task)
    assert len(desk.sent(path=IMPORT)) == 3


@pytest.mark.parametrize("effect", TRANSIENT.values(), ids=TRANSIENT)
def test_a_transient_error_that_lasts_is_left_to_the_retries_of_the_task(
    effect: dict[str, Any], task: BaseOperator, desk: Desk
) -> None:
    desk.break_next(effect, IMPORT, times=None)
    with pytest.raises(CatalogError) as error:
        run_task(task)
    assert not error.value.permanent


def test_an_expired_token_is_renewed(task: BaseOperator, desk: Desk) -> None:
    desk.expire_tokens()
    run_task(task)
    assert len(desk.sent(path="/ims/*")) == 1


def test_a_fresh_token_that_is_refused_fails_the_task(task: BaseOperator, desk: Desk) -> None:
    desk.break_next({"status": 401, "body": {"error_code": "401013"}}, IMPORT, times=None)
    with pytest.raises(AirflowFailException, match="401013"):
        run_task(task)
    assert (len(desk.sent(path="/ims/*")), len(desk.sent(path=IMPORT))) == (1, 2)


@pytest.mark.parametrize("name", ["429", "reset"])
def test_a_batch_is_opened_once_when(name: str, desk: Desk) -> None:
    desk.break_next(TRANSIENT[name], "/ims/*", times=2)
    run_task(create())
    assert [sent.status for sent in desk.sent(path=IMPORT)] == [201]


def test_opening_a_batch_waits_while_the_platform_asks_to_slow_down(desk: Desk) -> None:
    desk.break_next(TRANSIENT["429"], IMPORT, times=2)
    run_task(create())
    assert [sent.status for sent in desk.sent(path=IMPORT)] == [429, 429, 201]


@pytest.mark.parametrize(("name", "posts"), [("lost answer", 1), ("500", 2), ("503", 2), ("reset", 2)])
def test_a_batch_of_which_nothing_was_heard_is_looked_for_before_another_is_opened(
    name: str, posts: int, desk: Desk
) -> None:
    desk.break_next(TRANSIENT[name], IMPORT)
    batch_id = run_task(create()).xcoms["return_value"]
    assert desk.batch(batch_id)["externalId"] == "sales-1"
    assert len(desk.sent(path=IMPORT)) == posts


def test_opening_a_batch_is_left_to_the_retries_when_nothing_is_heard_again_and_again(desk: Desk) -> None:
    desk.break_next(TRANSIENT["500"], IMPORT, times=None)
    with pytest.raises(OutcomeUnknownError, match="externalId sales-1"):
        run_task(create())
    assert len(desk.sent(path=IMPORT)) == POSTS


RETRIES = {"retries": 2, "retry_delay": timedelta(0)}


@pytest.mark.parametrize(
    ("effect", "tries", "requests"),
    [(PERMANENT["403 without access"][0], 1, 1), (TRANSIENT["500"], 3, 3 * POSTS)],
    ids=["permanent", "transient"],
)
def test_airflow_tries_a_task_again_unless_that_is_in_vain(
    effect: dict[str, Any], tries: int, requests: int, desk: Desk, run_dag: Callable[..., Any]
) -> None:
    desk.break_next(effect, IMPORT, times=None)
    with dag(dag_id=f"fails_{tries}_times", default_args=RETRIES) as dag_of_one:
        create()
    run = run_dag(dag_of_one)
    assert run.state == "failed"
    assert run.get_task_instance("t").try_number == tries
    assert len(desk.sent(path=IMPORT)) == requests
