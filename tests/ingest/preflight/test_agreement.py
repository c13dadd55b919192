"""What passes here is ingested by the platform, and what is refused here is rejected there: held against the emulator."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from desk import CRM_PROFILES, PAGE_VIEWS, Desk
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemas import ALTERNATIVES, ANYTHING, MIXTURE, PARTS, Schema, flaws_of, lines, records_for, source_of

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.emulator.seeds import LOYALTY_MEMBERS
from airflow_provider_catalog.ingest.preflight.inspection import OnInvalid, inspect

SEEDS = [CRM_PROFILES, PAGE_VIEWS, LOYALTY_MEMBERS]
# The Catalog lists at most a hundred ranges of rows for each kind of error.
ROWS = 100

Ingest = Callable[[str, bytes], set[int]]


@pytest.fixture
def rejected(client: CatalogClient, desk: Desk) -> Ingest:
    """``rejected(dataset_id, b"...")`` loads JSON lines, and gives the numbers of those that were rejected."""

    def load(dataset_id: str, content: bytes) -> set[int]:
        allowed = {"enableErrorDiagnostics": True, "partialIngestionPercent": 100}
        batch_id = client.create_batch(
            {"datasetId": dataset_id, "inputFormat": {"format": "json"}, **allowed}
        )
        client.put_file(batch_id, dataset_id, "a.json", lambda: Body(content))
        client.complete_batch(batch_id)
        desk.advance(60)
        batch = desk.batch(batch_id)
        assert batch["status"] == "success"
        texts = itertools.chain.from_iterable(each.get("rows", ()) for each in batch.get("errors", ()))
        bounds = [text.partition("-") for text in texts]
        return {row for first, _, last in bounds for row in range(int(first), int(last or first) + 1)}

    return load


class Body:
    """Bytes that know their length, as the client sends them."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def __len__(self) -> int:
        return len(self._content)

    def read(self, size: int = -1) -> bytes:
        end = len(self._content) if size < 0 else self._at + size
        block, self._at = self._content[self._at : end], min(end, len(self._content))
        return block

    def close(self) -> None:
        pass


@pytest.fixture
def add_dataset(client: CatalogClient, desk: Desk) -> Callable[[Schema], str]:
    """``add_dataset(schema)`` gives the id of a new dataset with this schema."""

    def post(path: str, body: Any) -> Any:
        headers = {
            "Authorization": f"Bearer {client.auth.token()}",
            "x-api-key": client.settings.client_id,
            "x-gw-ims-org-id": client.settings.ims_org_id,
            "x-sandbox-name": client.settings.sandbox_name,
        }
        answer = requests.post(f"{desk.url}/data/foundation/{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def add(schema: Schema) -> str:
        made = post("schemaregistry/tenant/schemas", {"title": "Things", **schema})
        reference = {"id": made["$id"], "contentType": "application/vnd.adobe.xed+json;version=1"}
        [path] = post("catalog/dataSets", {"name": "Things", "schemaRef": reference})
        return str(path.rpartition("/")[2])

    return add


def compare(client: CatalogClient, rejected: Ingest, dataset_id: str, records: list[Any]) -> list[bool]:
    """Load records; the same must be refused here and there."""
    dataset = client.get_dataset(dataset_id)
    schema = client.get_schema(str(dataset.schema_id), dataset.schema_version or 0)
    fits = [not flaws for flaws in flaws_of(dict(schema), *records)]
    refused = {number for number, each in enumerate(fits, 1) if not each}
    there = rejected(dataset_id, lines(*records))
    assert {n: records[n - 1] for n in refused ^ there} == {}
    return fits


@pytest.mark.parametrize("dataset", [*SEEDS, "mixture", "parts"])
def test_the_emulator_rejects_what_is_refused_here_and_nothing_else(
    dataset: str, client: CatalogClient, rejected: Ingest, add_dataset: Callable[[Schema], str]
) -> None:
    own = {"mixture": MIXTURE, "parts": PARTS}
    dataset_id = add_dataset(own[dataset]) if dataset in own else dataset
    schema = dict(client.get_schema(str(client.get_dataset(dataset_id).schema_id)))
    seen: list[bool] = []

    @settings(max_examples=8, phases=[Phase.generate])
    @given(st.lists(records_for(schema) | records_for(schema) | ANYTHING, min_size=ROWS // 2, max_size=ROWS))
    def load(records: list[Any]) -> None:
        seen.extend(compare(client, rejected, dataset_id, records))

    load()
    assert min(seen.count(True), seen.count(False)) > 20


def test_the_emulator_takes_what_fits_an_alternative(
    rejected: Ingest, add_dataset: Callable[[Schema], str]
) -> None:
    dataset_id = add_dataset(ALTERNATIVES)
    certain = [{"a": 1}, {"b": 1, "e": "2"}, {"a": "x", "c": {"d": 1}}]

    @settings(max_examples=4, phases=[Phase.generate])
    @given(st.lists(records_for(ALTERNATIVES), min_size=ROWS // 2, max_size=ROWS))
    def load(records: list[Any]) -> None:
        records = [*certain, *records]
        found = flaws_of(ALTERNATIVES, *records)
        fitting = [record for record, flaws in zip(records, found, strict=True) if not flaws]
        assert fitting[: len(certain)] == certain
        assert rejected(dataset_id, lines(*fitting)) == set()

    load()


def test_what_is_left_after_dropping_is_ingested(
    client: CatalogClient, rejected: Ingest, tmp_path: Any
) -> None:
    good = [{"_id": str(number), "person": {"birthYear": 1900 + number}} for number in range(50)]
    texts = [*map(json.dumps, good), '{"_id": []}', "{oops", "", '{"person": {"birthYear": "soon"}}'] * 2
    path = tmp_path / "a.json"
    path.write_text("\n".join(texts))
    schema = client.get_schema(str(client.get_dataset(CRM_PROFILES).schema_id))
    assert len(rejected(CRM_PROFILES, path.read_bytes())) == 6
    with (tmp_path / "dropped").open("wb") as kept:
        verdict = inspect([source_of(path)], "json", schema, on_invalid=OnInvalid.DROP, dropped=kept)
    content = path.read_bytes()
    bounds = iter(verdict.drops["a.json"])
    for start, end in reversed(list(zip(bounds, bounds, strict=True))):
        content = content[:start] + content[end:]
    assert rejected(CRM_PROFILES, content) == set()
    assert [json.loads(line) for line in content.splitlines() if line] == good * 2
