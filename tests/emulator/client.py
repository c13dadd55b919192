"""A client of the platform that knows nothing of ours: plain HTTP, as the documentation shows it."""

from __future__ import annotations

import json
from typing import Any

import requests

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES
from airflow_provider_catalog.emulator.server import Emulator

SCOPES = "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext"
ORG = "0123456789ABCDEF01234567@AdobeOrg"
JSON_LINES = {"format": "json"}
MULTI_LINE = {"format": "json", "isMultiLineJson": True}
SENSELESS = {"name": {"type": "string", "maxLength": "ten"}}
"""Fields of a schema that the registry takes, and on which the emulator stumbles when it holds a row with a name to them."""


class Client:
    """Talks to one sandbox, with a token of its own, over one connection."""

    def __init__(self, emulator: Emulator, sandbox: str = "dev") -> None:
        self.url = emulator.url
        self.session = requests.Session()
        self.session.headers.update(
            {
                "Authorization": f"Bearer {self.token().json()['access_token']}",
                "x-api-key": "local-client",
                "x-gw-ims-org-id": ORG,
                "x-sandbox-name": sandbox,
            }
        )

    def token(self, **changes: str | None) -> requests.Response:
        fields = {
            "grant_type": "client_credentials",
            "client_id": "local-client",
            "client_secret": "local-secret",
            "scope": SCOPES,
        }
        return requests.post(f"{self.url}/ims/token/v3", data={**fields, **changes}, timeout=10)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call a platform service; `path` is what follows ``/data/foundation/``."""
        return self.session.request(method, f"{self.url}/data/foundation/{path}", timeout=10, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def create(self, dataset_id: str = CRM_PROFILES, **fields: Any) -> requests.Response:
        body = {"datasetId": dataset_id, "inputFormat": JSON_LINES, **fields}
        return self.call("POST", "import/batches", json={k: v for k, v in body.items() if v is not None})

    def open(self, dataset_id: str = CRM_PROFILES, **fields: Any) -> str:
        """Open a batch and return its id."""
        answer = self.create(dataset_id, **fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def put(
        self,
        batch_id: str,
        data: Any,
        name: str = "part.json",
        dataset_id: str = CRM_PROFILES,
        **headers: str,
    ) -> requests.Response:
        path = f"import/batches/{batch_id}/datasets/{dataset_id}/files/{name}"
        return self.call(
            "PUT", path, data=data, headers={"Content-Type": "application/octet-stream", **headers}
        )

    def file_action(
        self,
        batch_id: str,
        action: str,
        name: str = "large.json",
        dataset_id: str = CRM_PROFILES,
        **headers: str,
    ) -> requests.Response:
        """INITIALIZE or COMPLETE a large file."""
        path = f"import/batches/{batch_id}/datasets/{dataset_id}/files/{name}"
        sent = {"Content-Type": "application/json", **headers}
        return self.call("POST", path, params={"action": action}, headers=sent)

    def patch(
        self, batch_id: str, data: Any, content_range: str | None, name: str = "large.json", **headers: str
    ) -> requests.Response:
        """Send a chunk of a large file."""
        path = f"import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/{name}"
        sent = {"Content-Type": "application/octet-stream", "Content-Range": content_range, **headers}
        return self.call("PATCH", path, data=data, headers=sent)

    def head(
        self, batch_id: str, name: str = "large.json", dataset_id: str = CRM_PROFILES
    ) -> requests.Response:
        return self.call("HEAD", f"import/batches/{batch_id}/datasets/{dataset_id}/files/{name}")

    def add_dataset(self, fields: dict[str, Any], **more: Any) -> str:
        """Add a dataset whose schema has these fields; return its id."""
        schema = {"title": "Things", "type": "object", "properties": fields, **more}
        schema_id = self.call("POST", "schemaregistry/tenant/schemas", json=schema).json()["$id"]
        reference = {"id": schema_id, "contentType": "application/vnd.adobe.xed+json;version=1"}
        answer = self.call("POST", "catalog/dataSets", json={"name": "Things", "schemaRef": reference})
        return str(answer.json()[0].rpartition("/")[2])

    def meta(self, batch_id: str, path: str, **options: Any) -> requests.Response:
        return self.get(f"export/batches/{batch_id}/meta", params={"path": path}, **options)

    def report(self, batch_id: str, path: str) -> list[Any]:
        """Return the lines of a diagnostics file."""
        answer = self.meta(batch_id, path)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def signal(self, batch_id: str, action: str = "COMPLETE") -> requests.Response:
        return self.call("POST", f"import/batches/{batch_id}", params={"action": action})

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch as the Catalog shows it."""
        answer = self.get(f"catalog/batches/{batch_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()[batch_id])

    def status(self, batch_id: str) -> str:
        return str(self.batch(batch_id)["status"])

    def ingest(
        self, data: bytes, *more: bytes, dataset_id: str = CRM_PROFILES, **fields: Any
    ) -> dict[str, Any]:
        """Take files through a whole batch, and return how the Catalog shows it at the end."""
        batch_id = self.open(dataset_id, **fields)
        for number, content in enumerate((data, *more)):
            assert self.put(batch_id, content, f"part-{number}", dataset_id).status_code == 200
        assert self.signal(batch_id).status_code == 200
        self.advance(10)
        return self.batch(batch_id)

    def steer(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """Call the emulator's own API; return its JSON answer."""
        answer = requests.request(method, f"{self.url}/__emulator__/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def advance(self, seconds: float) -> None:
        self.steer("clock", {"advance": seconds})

    def set(self, **settings: Any) -> None:
        self.steer("settings", settings)

    def fault(self, effect: dict[str, Any], match: dict[str, Any] | None = None, **rule: Any) -> str:
        """Ask for a fault; return its id."""
        return str(self.steer("faults", {"effect": effect, "match": match or {}, **rule})["id"])

    def held(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the requests that are held back, once there are so many."""
        held = self.steer(f"holds?wait=9&count={count}", method="GET")
        assert len(held) >= count, held
        return list(held)

    def release(self, effect: dict[str, Any] | None = None) -> None:
        """Let the one request that is held back go on."""
        [held] = self.held()
        self.steer(f"holds/{held['id']}", {"effect": effect} if effect else None)

    def requests(self, query: str = "") -> list[dict[str, Any]]:
        """Return the emulator's request log."""
        return list(self.steer(f"requests{query}", method="GET"))
