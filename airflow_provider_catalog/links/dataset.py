"""The link from a task to its dataset.

Adobe's pages for datasets have an address that can be put together; those for batches have none that is documented.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_catalog.api.settings import PlatformSettings

log = logging.getLogger(__name__)

ADOBE_PAGES = "https://experience.adobe.com"
DATASET_URL_KEY = "adobe_dataset_url"


class DatasetLink(BaseOperatorLink):
    """Opens the dataset in Experience Platform; with the emulator, the emulator's page of it."""

    name = "Dataset in Experience Platform"

    @property
    def xcom_key(self) -> str:
        """Where the address lies. Airflow 3 reads it there without loading this class."""
        return DATASET_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Give the address, or nothing while there is none."""
        try:
            url = XCom.get_value(ti_key=ti_key, key=DATASET_URL_KEY)
        except Exception:
            # Some versions of Airflow leave out the task's callbacks when a link raises.
            log.warning("The address of the dataset could not be read.", exc_info=True)
            return ""
        return str(url) if url else ""

    @staticmethod
    def push(context: Context, settings: PlatformSettings, dataset_id: str) -> None:
        """Leave the address for the link to find, so that it shows while the task is running."""
        task_instance: Any = context["ti"]
        task_instance.xcom_push(key=DATASET_URL_KEY, value=dataset_url(settings, dataset_id))


def dataset_url(settings: PlatformSettings, dataset_id: str) -> str:
    """Give the address of a dataset's page; without the tenant, that of the list of datasets."""
    dataset_id = quote(dataset_id, safe="")
    if settings.is_local:
        return f"{settings.host}/ui/{settings.sandbox_name}/datasets/{dataset_id}"
    if settings.tenant is None:
        return f"{ADOBE_PAGES}/platform/dataset/browse"
    place = f"@{settings.tenant}/sname:{settings.sandbox_name}"
    return f"{ADOBE_PAGES}/#/{place}/platform/dataset/browse/{dataset_id}"
