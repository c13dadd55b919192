"""Batch ingestion: opening batches, uploading files, signals."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, PAGE_VIEWS
from airflow_provider_catalog.emulator.server import Emulator

from .client import JSON_LINES, MULTI_LINE, ORG, Client

DESCRIPTION = b'{"datasetId": "5c8c3c555033b814b69f947f", "inputFormat": {"format": "json"}}'


def test_a_new_batch_is_answered_as_the_documentation_shows(api: Client) -> None:
    answer = api.create(inputFormat=MULTI_LINE)
    assert answer.status_code == 201
    body = answer.json()
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", body.pop("id"))
    assert body.pop("createdUser")
    assert body.pop("updatedUser")
    assert body == {
        "imsOrg": ORG,
        "status": "loading",
        "created": 0,
        "updated": 0,
        "relatedObjects": [{"type": "dataSet", "id": CRM_PROFILES}],
        "version": "1.0.0",
        "tags": {},
        "inputFormat": MULTI_LINE,
    }


def test_what_the_client_says_about_a_batch_comes_back(api: Client) -> None:
    body = api.create(
        externalId="run-1",
        tags={"owner": ["orders"]},
        replay={"reason": "replace", "predecessors": ["$01A"], "predecessorsByExternalId": ["$run-0"]},
    ).json()
    assert body["externalId"] == "run-1"
    assert body["tags"] == {"owner": ["orders"]}
    assert body["replay"] == {
        "reason": "replace",
        "predecessors": ["01A"],
        "predecessorsByExternalId": ["run-0"],
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"datasetId": None},
        {"datasetId": ""},
        {"datasetId": "0" * 24},
        {"inputFormat": None},
        {"inputFormat": {}},
        {"inputFormat": {"format": "xml"}},
        {"inputFormat": {"format": "json", "isMultiLineJson": "yes"}},
        {"inputFormat": {"format": "csv", "delimiter": ";;"}},
        {"inputFormat": {"format": "csv", "charset": "EBCDIC"}},
        {"tags": {"owner": "orders"}},
        {"replay": {"predecessors": ["01A"]}},
        {"partialIngestionPercent": 101},
        {"enableErrorDiagnostics": "yes"},
        {"externalId": ""},
    ],
    ids=str,
)
def test_a_malformed_batch_is_refused(api: Client, fields: dict[str, Any]) -> None:
    body = {"datasetId": CRM_PROFILES, "inputFormat": JSON_LINES, **fields}
    answer = api.call("POST", "import/batches", json={k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(api: Client, data: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.call("POST", "import/batches", data=data, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "value",
    [
        b"NaN",
        b"-Infinity",
        b"1e999",
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b'"\xed\xa0\x80"',
        b"[" * 900 + b"1" + b"]" * 900,
        b"[" * 100_000,
    ],
    ids=["NaN", "infinity", "infinite", "half a character", "in a name", "raw", "deep", "very deep"],
)
def test_a_value_that_no_answer_can_repeat_is_refused(api: Client, value: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    body = b'{"datasetId": "%s", "inputFormat": {"format": "json", "nullMarker": %s}}'
    answer = api.call("POST", "import/batches", data=body % (CRM_PROFILES.encode(), value), headers=headers)
    assert answer.status_code == 400
    assert api.get("catalog/batches").json() == {}
    assert api.requests("?path=/data/")[0]["request_body"] is None


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/octet-stream", "multipart/form-data", None]
)
def test_a_batch_is_described_in_json(api: Client, content_type: str | None) -> None:
    answer = api.call("POST", "import/batches", data=b"{}", headers={"Content-Type": content_type})
    assert answer.status_code == 415


def test_the_format_may_be_spelt_as_in_the_specification(api: Client) -> None:
    assert api.create(inputFormat={"format": "Parquet"}).status_code == 201


def test_unknown_fields_are_ignored(api: Client) -> None:
    batch_id = api.open(partialIngestionPercentage=5)
    api.advance(1)
    assert api.batch(batch_id)["tags"] == {}


def test_diagnostics_and_percentage_become_tags(api: Client) -> None:
    batch_id = api.open(enableErrorDiagnostics=True, partialIngestionPercent=5, tags={"owner": ["orders"]})
    api.advance(1)
    assert api.batch(batch_id)["tags"] == {
        "owner": ["orders"],
        "acp_enableErrorDiagnostics": True,
        "acp_partialIngestionPercent": 5,
    }


def test_the_external_id_is_not_unique_unless_set_so(api: Client) -> None:
    assert api.open(externalId="run-1") != api.open(externalId="run-1")
    api.set(external_id_unique=True)
    assert api.create(externalId="run-1").status_code == 409
    assert api.create(externalId="run-2").status_code == 201
    assert api.create().status_code == 201
    assert api.create().status_code == 201


def test_an_upload_is_answered_with_nothing_and_may_be_repeated(api: Client) -> None:
    batch_id = api.open()
    for content in (b'{"_id": "1"}\n', b'{"_id": "1"}\n{"_id": "2"}\n'):
        answer = api.put(batch_id, content)
        assert (answer.status_code, answer.content) == (200, b"")
    api.signal(batch_id)
    api.advance(10)
    assert api.batch(batch_id)["metrics"]["inputFileCount"] == 1
    assert api.batch(batch_id)["recordCount"] == 2


def test_a_replaced_file_leaves_nothing_on_disk(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    for _ in range(3):
        api.put(batch_id, b"{}")
    assert len(stored_files(emulator)) == 1


def test_head_tells_which_bytes_of_a_file_have_arrived(api: Client) -> None:
    batch_id = api.open()
    for content, arrived in ((b"x" * 1234, "bytes=0-1233"), (b"x", "bytes=0-0"), (b"", None)):
        api.put(batch_id, content, "day=1/part.json")
        answer = api.head(batch_id, "day=1/part.json")
        assert (answer.status_code, answer.headers.get("Range")) == (200, arrived)
    api.signal(batch_id)
    api.advance(10)
    assert api.head(batch_id, "day=1/part.json").status_code == 200


def test_head_does_not_find_what_is_not_there(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}")
    assert api.head(batch_id, "other.json").status_code == 404
    assert api.head(batch_id, "part.json", PAGE_VIEWS).status_code == 404
    assert api.head("none", "part.json").status_code == 404
    assert Client(emulator, "prod").head(batch_id, "part.json").status_code == 404
    api.set(head_of_small_files=False)
    assert api.head(batch_id, "part.json").status_code == 404


def test_partition_folders_are_kept(api: Client) -> None:
    batch_id = api.open()
    for name in ("day=1/a.json", "day=2/a.json", "day=1/b%20c.json"):
        api.put(batch_id, b"{}", name)
    api.signal(batch_id)
    api.advance(10)
    parts = api.get(f"export/files/{batch_id}-1").json()["data"]
    assert {part["name"] for part in parts} == {"day=1/a.json", "day=2/a.json", "day=1/b c.json"}


@pytest.mark.parametrize("name", ["a/%2E%2E/b", "a//b", "/a", "a/", "%2E", "a%00b", "a%09b", "a%7Fb"])
def test_an_unclean_path_is_refused(emulator: Emulator, api: Client, name: str) -> None:
    batch_id = api.open()
    path = f"/data/foundation/import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/{name}"
    headers = {**api.session.headers, "Content-Type": "application/octet-stream"}
    assert raw_request(emulator, "PUT", path, headers, b"{}").startswith(b"HTTP/1.1 400")
    assert not stored_files(emulator)


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"]
)
def test_a_file_is_octets(api: Client, content_type: str) -> None:
    assert api.put(api.open(), b"{}", **{"Content-Type": content_type}).status_code == 415


def test_a_file_needs_a_batch_and_its_dataset(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    assert api.put("01HXXXXXXXXXXXXXXXXXXXXXXX", b"{}").status_code == 404
    assert api.put(batch_id, b"{}", dataset_id=PAGE_VIEWS).status_code == 404
    assert Client(emulator, "prod").put(batch_id, b"{}").status_code == 404


def test_a_file_over_the_limit_is_refused_announced_or_not(api: Client, emulator: Emulator) -> None:
    api.set(small_file_limit=10)
    batch_id = api.open()
    assert api.put(batch_id, b"x" * 10).status_code == 200
    assert api.put(batch_id, b"x" * 11, "announced").status_code == 413
    assert api.put(batch_id, iter([b"x" * 6, b"x" * 5]), "chunked").status_code == 413
    assert len(stored_files(emulator)) == 1


@pytest.mark.parametrize("announced", [True, False])
def test_a_description_of_more_than_a_mebibyte_is_refused(api: Client, announced: bool) -> None:
    padding = b" " * (1_048_576 - len(DESCRIPTION))
    headers = {"Content-Type": "application/json"}
    for more, status in ((b"", 201), (b" ", 413), (b" " * 9_000_000, 413)):
        body = DESCRIPTION + padding + more
        answer = api.call("POST", "import/batches", data=body if announced else iter([body]), headers=headers)
        assert answer.status_code == status, len(body)


def test_the_limit_is_256_million_bytes(api: Client, emulator: Emulator) -> None:
    path = f"/data/foundation/import/batches/{api.open()}/datasets/{CRM_PROFILES}/files/big"
    headers = {**api.session.headers, "Content-Type": "application/octet-stream"}
    answer = raw_request(emulator, "PUT", path, {**headers, "Content-Length": "256000001"}, b"")
    assert answer.startswith(b"HTTP/1.1 413")


def test_an_upload_that_breaks_off_leaves_nothing(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()

    def broken() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        api.put(batch_id, broken())
    api.put(batch_id, b"{}", "next")
    assert len(stored_files(emulator)) == 1
    assert api.requests("?method=PUT")[0]["status"] == "dropped"


def test_bodies_can_be_switched_to_those_of_the_specification(api: Client) -> None:
    api.set(bodies="json", created_status=201)
    batch_id = api.open()
    created, replaced = (api.put(batch_id, b"{}", "a.json") for _ in range(2))
    assert (created.status_code, replaced.status_code) == (201, 200)
    assert created.json() == {"name": "a.json", "sizeInBytes": 2}
    assert api.signal(batch_id).json()["id"] == batch_id


def test_a_batch_that_is_not_loading_takes_no_files(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}")
    api.signal(batch_id)
    answer = api.put(batch_id, b"{}", "late.json")
    assert answer.status_code == 400
    assert "loaded" in answer.json()["detail"]


def test_a_file_that_arrives_after_completion_is_refused_and_not_kept(
    api: Client, emulator: Emulator
) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}", "in-time.json")
    other = Client(emulator)

    def slow() -> Iterator[bytes]:
        yield b"{"
        assert other.signal(batch_id).status_code == 200
        yield b"}"

    assert api.put(batch_id, slow(), "late.json").status_code == 400
    assert len(stored_files(emulator)) == 1


def test_a_file_that_arrives_after_a_reset_has_no_batch(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()

    def slow() -> Iterator[bytes]:
        yield b"{"
        api.steer("reset")
        yield b"}"

    assert api.put(batch_id, slow()).status_code == 404
    assert not stored_files(emulator)
    assert not list(emulator.platform.store.load("file"))


def test_completing_is_answered_with_nothing_and_may_be_repeated(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, b"{}")
    for _ in range(2):
        assert (api.signal(batch_id).status_code, api.signal(batch_id).content) == (200, b"")
    api.advance(10)
    assert api.signal(batch_id).status_code == 200
    assert api.status(batch_id) == "success"


@pytest.mark.parametrize("action", ["", "complete", "REPLAY", "CLOSE"])
def test_an_unknown_action_is_refused(api: Client, action: str) -> None:
    assert api.signal(api.open(), action).status_code == 400


@pytest.mark.parametrize("action", ["COMPLETE", "ABORT", "FAIL", "REVERT"])
def test_a_signal_needs_a_batch(api: Client, action: str) -> None:
    assert api.signal("01HXXXXXXXXXXXXXXXXXXXXXXX", action).status_code == 404


def test_without_an_input_format_parquet_is_meant_if_it_may_be_left_out(api: Client) -> None:
    api.set(input_format_required=False)
    assert api.create(inputFormat=None).json()["inputFormat"] == {"format": "parquet"}


def test_an_upload_that_cannot_be_taken_is_refused_before_its_body_has_arrived(
    api: Client, emulator: Emulator
) -> None:
    batch_id = api.open()
    api.signal(batch_id, "ABORT")
    path = f"/data/foundation/import/batches/{batch_id}/datasets/{CRM_PROFILES}/files/a.json"
    headers = {**api.session.headers, "Content-Type": "application/octet-stream", "Content-Length": "100"}
    assert raw_request(emulator, "PUT", path, headers, b"").startswith(b"HTTP/1.1 400")


def test_after_a_refused_upload_the_connection_can_be_used_again(api: Client) -> None:
    batch_id = api.open()
    api.signal(batch_id, "ABORT")
    assert api.put(batch_id, b"x" * 5_000_000).status_code == 400
    assert api.get("catalog/batches").status_code == 200
    assert len({entry["connection"] for entry in api.requests("?path=/data/")}) == 1


def stored_files(emulator: Emulator) -> list[Any]:
    return list(emulator.platform.store.new_file().parent.iterdir())


def raw_request(emulator: Emulator, method: str, path: str, headers: Any, body: bytes) -> bytes:
    """Send a request that an HTTP library would tidy up first; return the beginning of the answer."""
    where = urlsplit(emulator.url)
    lines = {"Host": where.netloc, "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return connection.recv(4096)


def test_curl_and_friends_can_create_without_our_client(api: Client) -> None:
    """The request is the one of Adobe's tutorial, sent with another library's defaults."""
    answer = requests.request(
        "POST",
        f"{api.url}/data/foundation/import/batches",
        data=DESCRIPTION,
        headers={**api.session.headers, "Content-Type": "application/json; charset=utf-8"},
        timeout=10,
    )
    assert answer.status_code == 201
