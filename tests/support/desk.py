"""The test's desk beside the emulator: what clients have sent, what goes wrong from now on, what batches look like."""

import dataclasses
import fnmatch
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import requests

CRM_PROFILES = "5c8c3c555033b814b69f947f"
PAGE_VIEWS = "5ea2b7c40f3d9118ab5c6e34"
BATCHES = "/data/foundation/catalog/batches"
EXPORT = "/data/foundation/export"
LOCAL_SECRET = "local-secret"

_AGENT = "desk"
_PAGE = 100
_SOMETHING = re.compile(r"\S")


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

    @property
    def is_from_desk(self) -> bool:
        return self.headers.get("User-Agent") == _AGENT


@dataclasses.dataclass(frozen=True)
class Stored:
    """One batch as the platform has it: its status, and the rows of all its files."""

    id: str
    status: str
    external_id: str
    rows: list[str]


class Desk:
    """Steers one emulator, beside the platform's own API, and starts by making it forget everything.

    :param emulator: a running one.
    """

    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.url: str = emulator.url
        self._session = requests.Session()
        # Tests steer from several threads, and pytest may change the environment while a proxy is looked for there.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = _AGENT
        self._steer("POST", "reset")
        self.set(catalog_lag=0)

    def set(self, **settings: Any) -> None:
        """Change settings of the emulator."""
        self._steer("POST", "settings", settings)

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock ahead."""
        self._steer("POST", "clock", {"advance": seconds})

    def freeze(self) -> None:
        """Stop the emulator's clock; it can still be moved ahead."""
        self._steer("POST", "clock", {"freeze": True})

    def expire_tokens(self) -> None:
        """End all tokens."""
        self._steer("POST", "tokens/expire", {})

    def break_next(
        self, effect: dict[str, Any], path: str = "*", times: int | None = 1, every: int = 1, **match: Any
    ) -> None:
        """Let the next requests to a path run into a fault, or each so-manieth; ``times=None`` means all from now on."""
        rule = {"match": {"path": path, **match}, "times": times, "every": every, "effect": effect}
        self._steer("POST", "faults", rule)

    def strikes(self) -> list[int]:
        """Count how often each of the faults has hit, in the order in which they were asked for."""
        return [fault["hits"] for fault in self._steer("GET", "faults")]

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

    def work_off(self, held: dict[str, Any], effect: dict[str, Any] | None = None) -> None:
        """Let a held request go on whose client is dead, and wait until the platform is done with it."""
        self.release(held["id"], effect)
        while self._steer("GET", f"requests?since={held['n'] - 1}")[0]["status"] is None:
            pass

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
        """Give the requests that have arrived, oldest first; the desk's own do not count."""
        others = [each for each in map(_sent, self._steer("GET", "requests")) if not each.is_from_desk]
        return [
            each
            for each in others
            if fnmatch.fnmatchcase(each.method, method) and fnmatch.fnmatchcase(each.path, path)
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
        """Give a batch as the Catalog has it. Faults strike this request too."""
        batch: dict[str, Any] = self._read(f"{BATCHES}/{batch_id}").json()[batch_id]
        return batch

    def promoted_rows(self, dataset_id: str = CRM_PROFILES) -> list[dict[str, Any]]:
        """Give all rows of a dataset: those of its JSON batches that the Catalog shows as active now, oldest first.

        Faults strike these requests too.
        """
        return [
            row
            for batch_id in self._active_batches(dataset_id)
            for file in self._listed(f"{EXPORT}/batches/{batch_id}/files")
            for row in self._rows_of(f"{EXPORT}/files/{file['dataSetFileId']}")
        ]

    def _active_batches(self, dataset_id: str) -> Iterator[str]:
        query = {"dataSet": dataset_id, "status": "success,active", "orderBy": "asc:created", "limit": _PAGE}
        for start in itertools.count(0, _PAGE):
            found = self._read(BATCHES, **query, start=start).json()
            yield from found
            if len(found) < _PAGE:
                return

    def _listed(self, path: str) -> Iterator[dict[str, Any]]:
        start, count = 0, 1
        while start < count:
            page = self._read(path, start=start, limit=_PAGE).json()
            yield from page["data"]
            start, count = start + _PAGE, page["_page"]["count"]

    def _rows_of(self, path: str) -> Iterator[dict[str, Any]]:
        for part in self._listed(path):
            yield from _rows(self._read(path, path=part["name"]).content.decode())

    def _read(self, path: str, /, **query: Any) -> requests.Response:
        identity = {"client_id": "local-client", "client_secret": LOCAL_SECRET}
        fields = {"grant_type": "client_credentials", "scope": "openid", **identity}
        token = self._session.post(f"{self.url}/ims/token/v3", data=fields, timeout=30).json()["access_token"]
        headers = {
            "Authorization": f"Bearer {token}",
            "x-api-key": "local-client",
            "x-gw-ims-org-id": "0123456789ABCDEF01234567@AdobeOrg",
            "x-sandbox-name": "dev",
        }
        answer = self._session.get(f"{self.url}{path}", params=query, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer

    def batches(self) -> list[Stored]:
        """Give all batches, oldest first, without asking the Catalog, which may lag."""
        platform = self.emulator.platform
        now = platform.clock.now()
        return [
            Stored(
                batch.id,
                str(platform.batches.status(batch, now)),
                batch.external_id,
                [
                    row
                    for file in batch.files.values()
                    for row in platform.store.file(file.stored_as).read_text().splitlines()
                ],
            )
            for batch in platform.batches.all()
        ]

    def _steer(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, f"{self.url}/__emulator__/{path}", json=body, timeout=90)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


def _rows(text: str) -> Iterator[dict[str, Any]]:
    """Give the objects in a text: one after the other, or in arrays."""
    decoder, at = json.JSONDecoder(), 0
    while start := _SOMETHING.search(text, at):
        value, at = decoder.raw_decode(text, start.start())
        yield from value if isinstance(value, list) else [value]


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
