"""How the errors of :mod:`airflow_provider_catalog.api` end an Airflow task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_catalog.api.errors import CatalogError


@contextmanager
def failing_fast() -> Iterator[None]:
    """Fail the task at once, without retries, on errors that another try can't mend; let the others be retried.

    :raises AirflowFailException: instead of a permanent error.
    """
    try:
        yield
    except CatalogError as error:
        if error.permanent:
            raise AirflowFailException(str(error)) from error
        raise
