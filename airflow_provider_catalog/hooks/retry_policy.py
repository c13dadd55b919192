"""When Airflow 3.3 should try a task again that failed with an error of this package."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat import sdk

from airflow_provider_catalog.api.errors import (
    BatchLostError,
    CatalogError,
    FileSpoiledError,
    LostSightError,
    StoppedError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, RetryDecision, RetryPolicy
else:
    RetryPolicy = getattr(sdk, "RetryPolicy", object)  # so that it can be imported in any Airflow

# The trouble is over when these are raised, or was waited for long enough.
NOTHING_TO_WAIT_FOR = (BatchLostError, FileSpoiledError, LostSightError, StoppedError)


class CatalogRetryPolicy(RetryPolicy):
    """Try again never, now or later, as the error asks for; for ``retry_policy=`` of any task that uses this package.

    ==============================================================  ============================================
    the task failed with                                            it is tried again
    ==============================================================  ============================================
    an error that another try can't mend                            never
    an answer in which the platform says how long to wait           then
    an error after which there is nothing to wait for, such as a
    batch that somebody else has aborted                            now
    any other error of the platform, the network or a file store    after the task's ``retry_delay``
    an exception of somebody else                                   after the task's ``retry_delay``
    ==============================================================  ============================================

    An error of this package also counts if another exception was raised from it. The number of tries stays that of the task.

    :raises AirflowOptionalProviderFeatureException: this Airflow is older than 3.3.
    """

    def __init__(self) -> None:
        if not hasattr(sdk, "RetryPolicy"):
            raise sdk.AirflowOptionalProviderFeatureException(
                "CatalogRetryPolicy needs Airflow 3.3 or newer. Without it the operators of this package fail at once "
                "on errors that another try can't mend, as they always do."
            )

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide about one failure."""
        from airflow.providers.common.compat.sdk import RetryDecision

        from airflow_provider_catalog.api.retries import pause_after

        error = next((cause for cause in _causes(exception) if isinstance(cause, CatalogError)), None)
        if error is None:
            return RetryDecision.default()
        name = type(error).__name__
        if error.permanent:
            return RetryDecision.fail(f"{name}: another try would fail as well")
        if pause := pause_after(error):
            return RetryDecision.retry(
                timedelta(seconds=pause), f"{name}: the platform asks to wait {pause:.0f} s"
            )
        if isinstance(error, NOTHING_TO_WAIT_FOR):
            return RetryDecision.retry(timedelta(0), f"{name}: there is nothing to wait for")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Give what a copy is made of, which is nothing."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> CatalogRetryPolicy:
        """Make a copy."""
        return cls()


def _causes(exception: BaseException) -> Iterator[BaseException]:
    """Walk from an exception to those that it was raised from."""
    cause: BaseException | None = exception
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__
