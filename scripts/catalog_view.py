"""Looks at the emulator as a user of the platform would: with a token, through the Catalog."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_SECONDS = 30
PAGE = 100


class CatalogView:
    """What the Catalog and the emulator's request log say.

    :param connection: the fields of the Airflow connection that reaches the emulator
    """

    def __init__(self, connection: dict[str, Any]) -> None:
        self.url: str = connection["host"]
        self._session = requests.Session()
        self._sign_in(connection)

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return one batch as the Catalog has it."""
        batch: dict[str, Any] = self._get(f"/data/foundation/catalog/batches/{batch_id}")[batch_id]
        return batch

    def batches_of(self, dataset_id: str) -> dict[str, dict[str, Any]]:
        """Return the dataset's batches by id, the newest first."""
        newest_first = {"dataSet": dataset_id, "orderBy": "desc:created", "limit": PAGE}
        batches: dict[str, dict[str, Any]] = {}
        while len(batches) % PAGE == 0:
            page = self._get("/data/foundation/catalog/batches", **newest_first, start=len(batches))
            if not page:
                break
            batches |= page
        return batches

    def requests(self) -> list[dict[str, Any]]:
        """Return every request that the emulator has answered so far."""
        log: list[dict[str, Any]] = self._get("/__emulator__/requests")
        return log

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock ahead."""
        clock = f"{self.url}/__emulator__/clock"
        requests.post(clock, json={"advance": seconds}, timeout=TIMEOUT_SECONDS).raise_for_status()

    def _sign_in(self, connection: dict[str, Any]) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": connection["login"],
            "client_secret": connection["password"],
            "scope": "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext",
        }
        answer = requests.post(f"{self.url}/ims/token/v3", data=form, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        self._session.headers.update(
            {
                "Authorization": f"Bearer {answer.json()['access_token']}",
                "x-api-key": connection["login"],
                "x-gw-ims-org-id": connection["extra"]["ims_org_id"],
                "x-sandbox-name": connection["extra"]["sandbox_name"],
            }
        )

    def _get(self, path: str, **query: Any) -> Any:
        answer = self._session.get(self.url + path, params=query, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json()


def record_counts(batch: dict[str, Any]) -> dict[str, int | None]:
    """Return what a batch of the Catalog says about its records, under the names that the sensor uses."""
    metrics = batch.get("metrics", {})
    return {
        "records_read": metrics.get("inputRecordCount"),
        "records_written": metrics.get("outputRecordCount"),
        "records_failed": metrics.get("failedRecordCount"),
    }
