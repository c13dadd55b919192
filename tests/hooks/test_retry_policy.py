"""`CatalogRetryPolicy` tries again never, now or later, as the error asks for."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat import sdk

from airflow_provider_catalog.api import errors
from airflow_provider_catalog.api.errors import Failure
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.hooks.retry_policy import CatalogRetryPolicy

IS_THERE = hasattr(sdk, "RetryPolicy")
BATCH = Batch("B1", "aborted")


def answer(status: int, retry_after: float | None = None) -> errors.ApiError:
    return errors.ApiError(Failure("GET /batches", status, retry_after=retry_after))


NEVER = [
    answer(400),
    answer(403),
    answer(404),
    errors.InvalidInputError("files", "x", "y"),
    errors.BatchFailedError(BATCH),
    errors.RowsRejectedError(BATCH, "1%"),
    errors.UnreachableError("GET /", "untrusted certificate", lasting=True),
]
NOW = [
    errors.BatchLostError(BATCH),
    errors.FileSpoiledError("rows.json", "chunks overlap"),
    errors.LostSightError("nothing was heard"),
    errors.StoppedError("stopped"),
]
AS_THE_TASK_SAYS = [
    answer(500),
    answer(429),
    errors.UnreachableError("GET /", "reset"),
    errors.OutcomeUnknownError("lost", "run-1"),
    errors.SourceError("gone"),
    errors.FileChangedError("changed"),
    ValueError("not ours"),
]


def decide(error: BaseException) -> tuple[str, timedelta | None]:
    decision = CatalogRetryPolicy().evaluate(error, try_number=1, max_tries=3)
    return decision.action.value, decision.retry_delay


needs_policies = pytest.mark.skipif(not IS_THERE, reason="Airflow has retry policies since 3.3")


@needs_policies
@pytest.mark.parametrize("error", NEVER, ids=repr)
def test_what_another_try_can_not_mend_is_not_tried_again(error: Exception) -> None:
    assert decide(error) == ("fail", None)


@needs_policies
@pytest.mark.parametrize("error", NOW, ids=repr)
def test_what_is_over_is_tried_again_at_once(error: Exception) -> None:
    assert decide(error) == ("retry", timedelta(0))


@needs_policies
@pytest.mark.parametrize("error", AS_THE_TASK_SAYS, ids=repr)
def test_other_trouble_is_tried_again_after_the_tasks_own_delay(error: Exception) -> None:
    assert decide(error) == ("default", None)


@needs_policies
@pytest.mark.parametrize(("status", "asked", "waits"), [(429, 38, 38), (503, 1.5, 1.5), (503, 9999, 300)])
def test_a_platform_that_asks_for_time_gets_it_up_to_a_limit(status: int, asked: float, waits: float) -> None:
    assert decide(answer(status, asked)) == ("retry", timedelta(seconds=waits))


@needs_policies
def test_an_error_counts_through_the_exceptions_that_were_raised_from_it() -> None:
    theirs = RuntimeError("the user's own")
    theirs.__cause__ = answer(403)
    assert decide(theirs) == ("fail", None)


@needs_policies
def test_a_task_takes_it_and_airflow_asks_it() -> None:
    from airflow.providers.common.compat.sdk import BaseOperator, RetryPolicy

    policy = CatalogRetryPolicy()
    assert isinstance(policy, RetryPolicy)
    assert BaseOperator(task_id="t", retry_policy=policy).has_retry_policy
    assert isinstance(type(policy).deserialize(policy.serialize()), type(policy))


@pytest.mark.skipif(IS_THERE, reason="Airflow has retry policies")
def test_an_older_airflow_says_what_is_needed() -> None:
    with pytest.raises(sdk.AirflowOptionalProviderFeatureException, match=r"needs Airflow 3\.3"):
        CatalogRetryPolicy()
