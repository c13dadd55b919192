"""The pages for people."""

from __future__ import annotations

import re

import pytest
import requests

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, PAGE_VIEWS
from airflow_provider_catalog.emulator.server import Emulator

from .client import Client

HOSTILE = "<script>alert(1)</script>"


def page(api: Client, path: str) -> str:
    answer = requests.get(f"{api.url}{path}", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    return answer.text


def test_the_front_page_shows_datasets_and_newest_batches(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, b'{"_id": "1"}\n' * 1234)
    api.signal(batch_id)
    api.advance(10)
    shown = page(api, "/")
    assert "CRM profiles" in shown
    assert batch_id in shown
    assert "success" in shown
    assert "1,234" in shown


def test_links_lead_from_page_to_page(api: Client) -> None:
    api.open()
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        waiting += [link for link in re.findall('href="([^"]+)"', page(api, path)) if link not in seen]
    assert f"/ui/dev/datasets/{CRM_PROFILES}" in seen
    assert f"/ui/prod/datasets/{PAGE_VIEWS}" in seen
    assert any(path.startswith("/ui/dev/batches/") for path in seen)


def test_the_page_of_a_dataset_shows_its_batches_only(api: Client) -> None:
    mine, other = api.open(), api.open(PAGE_VIEWS)
    shown = page(api, f"/ui/dev/datasets/{CRM_PROFILES}")
    assert mine in shown
    assert other not in shown


def test_the_page_of_a_batch_shows_files_and_errors(api: Client) -> None:
    batch_id = api.open(enableErrorDiagnostics=True)
    api.put(batch_id, b"broken\n" * 4321, "day=1/part.json")
    api.signal(batch_id)
    api.advance(10)
    shown = page(api, f"/ui/dev/batches/{batch_id}")
    assert "day=1/part.json" in shown
    assert "INGEST-1401-400" in shown
    assert "4,321" in shown
    assert "meta/row_errors/parsing_errors_4.json" in shown
    assert "failed/_SUCCESS" in shown
    assert "broken" not in shown


def test_nothing_from_a_client_is_markup(api: Client) -> None:
    batch_id = api.open(externalId=HOSTILE)
    api.put(batch_id, b"{}", "%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    errors = [{"code": HOSTILE, "description": HOSTILE}]
    api.steer(
        f"batches/{batch_id}",
        {"status": f'"{HOSTILE}', "errors": errors, "metrics": {"inputRecordCount": HOSTILE, HOSTILE: 1}},
    )
    for path in ("/", f"/ui/dev/batches/{batch_id}", f"/ui/dev/datasets/{CRM_PROFILES}"):
        assert "<script" not in page(api, path)


def test_no_secret_is_shown(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    for path in ("/", f"/ui/dev/batches/{batch_id}"):
        assert not any(secret in page(api, path) for secret in ("local-secret", *emulator.issued_tokens))


@pytest.mark.parametrize("path", ["/ui/dev/datasets/none", "/ui/none/datasets/x", "/ui/dev/batches/none"])
def test_what_is_not_there_is_not_found(api: Client, path: str) -> None:
    assert requests.get(f"{api.url}{path}", timeout=10).status_code == 404
