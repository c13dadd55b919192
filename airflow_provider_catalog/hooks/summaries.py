"""What a task leaves in XCom about its batch, also when the batch makes it fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

SUMMARY_KEY = "batch_summary"


def push_summary(context: Context, summary: Mapping[str, Any]) -> None:
    """Leave a batch's summary where other tasks find it."""
    task_instance: Any = context["ti"]
    task_instance.xcom_push(key=SUMMARY_KEY, value=summary)


@contextmanager
def leaving_summary(context: Context) -> Iterator[None]:
    """Leave what is known of a batch before an error about it ends the task."""
    from airflow_provider_catalog.api.errors import BatchError

    try:
        yield
    except BatchError as error:
        push_summary(context, error.batch.summary)
        raise
