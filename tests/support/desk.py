"""The test's desk beside the emulator: what clients have sent, what goes wrong from now on, what batches look like."""

import dataclasses
import fnmatch
from typing import Any

import requests

CRM_PROFILES = "5c8c3c555033b814b69f947f"
BATCHES = "/data/foundation/catalog/batches"
LOCAL_SECRET = "local-secret"


@dataclasses.dataclass(frozen=True)
class Sent:
    """One request as the emulator has seen it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    status: int | str
    connection: int


class Desk:
    """Steers one emulator, beside the platform's own API, and starts by making it forget everything.

    :param emulator: a running one.
    """

    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.url: str = emulator.url
        self._session = requests.Session()
        self._steer("POST", "reset")
        self.set(catalog_lag=0)

    def set(self, **settings: Any) -> None:
        """Change settings of the emulator."""
        self._steer("POST", "settings", settings)

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock ahead."""
        self._steer("POST", "clock", {"advance": seconds})

    def expire_tokens(self) -> None:
        """End all tokens."""
        self._steer("POST", "tokens/expire", {})

    def break_next(
        self, effect: dict[str, Any], path: str = "*", times: int | None = 1, **match: Any
    ) -> None:
        """Let the next requests to a path run into a fault; ``times=None`` means all from now on."""
        self._steer("POST", "faults", {"match": {"path": path, **match}, "times": times, "effect": effect})

    def hold_requests(self, stage: str, path: str = "*", times: int | None = 1, **match: Any) -> None:
        """Hold the next requests to a path back, ``"before"`` their work or with the answer ready (``"after"``)."""
        self.break_next({"hold": stage}, path, times, **match)

    def held(self, wait: float = 20, count: int = 1) -> list[dict[str, Any]]:
        """Give the requests that are held back, in order of arrival, as soon as there are so many or the time is up."""
        found: list[dict[str, Any]] = self._steer("GET", f"holds?wait={wait}&count={count}")
        return found

    def release(self, hold_id: str, effect: dict[str, Any] | None = None) -> None:
        """Let a held request go on, as if nothing had happened or with an effect, and wait until its work is done."""
        self._steer("POST", f"holds/{hold_id}", {"effect": effect} if effect else None)

    def release_all(self) -> None:
        """Let all held requests go on as if nothing had happened, and wait until their work is done."""
        self._steer("DELETE", "holds")

    def reset(self) -> None:
        """Make the emulator forget everything, as if just started."""
        self._steer("POST", "reset")

    def mend(self) -> None:
        """End all faults."""
        self._steer("DELETE", "faults")

    def hold(self, batch_id: str, status: str, **parts: Any) -> None:
        """Keep a batch in a status, with ``errors``, ``metrics`` or ``tags``."""
        self._steer("POST", f"batches/{batch_id}", {"status": status, **parts})

    def show(self, batch_id: str, **record: Any) -> None:
        """Let the next look at a batch find this record; several calls make a sequence, after which the truth is shown."""
        self.break_next({"status": 200, "body": {batch_id: record}}, f"{BATCHES}/{batch_id}", method="GET")

    def looks(self) -> int:
        """Count the looks at single batches."""
        return len(self.sent("GET", f"{BATCHES}/*"))

    def sent(self, method: str = "*", path: str = "*") -> list[Sent]:
        """Give the requests that have arrived, oldest first."""
        entries = self._steer("GET", "requests")
        return [
            _sent(entry)
            for entry in entries
            if fnmatch.fnmatchcase(entry["method"], method) and fnmatch.fnmatchcase(entry["path"], path)
        ]

    def forget(self) -> None:
        """Empty the request log."""
        self._steer("DELETE", "requests")

    def open_batch(self, status: str = "loading", **parts: Any) -> str:
        """Open a batch on the CRM dataset, hold it in a status, and leave no trace of that in the request log."""
        from airflow_provider_catalog.hooks.catalog import CatalogHook

        payload = {"datasetId": CRM_PROFILES, "inputFormat": {"format": "json"}}
        batch_id = CatalogHook().client.create_batch(payload)
        if status != "loading":
            self.hold(batch_id, status, **parts)
        self.forget()
        return batch_id

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Give a batch as the Catalog has it, without a trace in the request log."""
        from airflow_provider_catalog.hooks.catalog import CatalogHook

        client = CatalogHook().client
        headers = {
            "Authorization": f"Bearer {client.auth.token()}",
            "x-api-key": client.settings.client_id,
            "x-gw-ims-org-id": client.settings.ims_org_id,
            "x-sandbox-name": client.settings.sandbox_name,
        }
        address = f"{self.url}{BATCHES}/{batch_id}"
        answer = self._session.get(address, headers=headers, timeout=30)
        answer.raise_for_status()
        batch: dict[str, Any] = answer.json()[batch_id]
        return batch

    def _steer(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, f"{self.url}/__emulator__/{path}", json=body, timeout=90)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


def _sent(entry: dict[str, Any]) -> Sent:
    return Sent(
        method=entry["method"],
        path=entry["path"],
        query=dict(entry["query"]),
        headers=dict(entry["headers"]),
        body=entry["request_body"],
        status=entry["status"],
        connection=entry["connection"],
    )
