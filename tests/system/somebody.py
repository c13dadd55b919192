"""Somebody else who loads batches, over plain HTTP: knows nothing of this package."""

from collections.abc import Iterable
from typing import Any

import requests
from desk import CRM_PROFILES, LOCAL_SECRET
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

IMPORT = "/data/foundation/import/batches"


class Somebody:
    """Loads batches, and asks again where the platform is in trouble."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        again = Retry(10, backoff_factor=0.1, status_forcelist=(429, 503), allowed_methods=None)
        self._session.mount(url, HTTPAdapter(max_retries=again))
        identity = {"client_id": "local-client", "client_secret": LOCAL_SECRET}
        form = {"grant_type": "client_credentials", "scope": "openid", **identity}
        token = self._call("POST", "/ims/token/v3", data=form).json()["access_token"]
        self._session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "x-api-key": "local-client",
                "x-gw-ims-org-id": "0123456789ABCDEF01234567@AdobeOrg",
                "x-sandbox-name": "dev",
            }
        )

    def open_batch(self, row: bytes) -> str:
        """Open a batch and put one file into it, with one row."""
        opening = {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}}
        batch_id = str(self._call("POST", IMPORT, json=opening).json()["id"])
        file = f"{IMPORT}/{batch_id}/datasets/{CRM_PROFILES}/files/rows.json"
        self._call("PUT", file, data=row, headers={"Content-Type": "application/octet-stream"})
        return batch_id

    def signal(self, action: str, batch_ids: Iterable[str]) -> None:
        """``COMPLETE`` or ``ABORT`` batches."""
        for batch_id in batch_ids:
            self._call("POST", f"{IMPORT}/{batch_id}?action={action}")

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Give a batch as the Catalog shows it."""
        answer = self._call("GET", f"/data/foundation/catalog/batches/{batch_id}")
        return dict(answer.json()[batch_id])

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._session.request(method, self._url + path, timeout=30, **options)
        answer.raise_for_status()
        return answer
