"""What can be read about the rows that were rejected."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_catalog.emulator.seeds import PAGE_VIEWS
from airflow_provider_catalog.emulator.server import Emulator, running

from .client import MULTI_LINE, Client

DAY = 86_400
ROWS = (
    b'{"_id": "1", "timestamp": "2019-05-15T10:30:00Z"}\n'
    b"{missingQuotes: 'v1'}\n"
    b'{"_id": [], "timestamp": 1}\n'
    b'{"_id": "4", "eventType": "view"}\n'
    b'{"_id": "5", "timestamp": "yesterday"}\n'
)
PARTIAL = {"enableErrorDiagnostics": True, "partialIngestionPercent": 100}


def names(listing: requests.Response) -> list[str]:
    assert listing.status_code == 200, listing.text
    return [each["name"] for each in listing.json()["data"]]


def ingest(api: Client, *files: bytes, **fields: Any) -> str:
    """Take files through a batch of page views; return its id."""
    return str(api.ingest(*files, dataset_id=PAGE_VIEWS, **fields)["externalId"])


def files_on_disk(emulator: Emulator) -> int:
    return len(list(emulator.platform.store.file("any").parent.iterdir()))


def authorize(api: Client) -> None:
    api.session.headers["Authorization"] = f"Bearer {api.token().json()['access_token']}"


@pytest.fixture
def batch_id(api: Client) -> str:
    """A batch in which one of five rows was good, with diagnostics."""
    return ingest(api, ROWS, **PARTIAL)


def test_the_files_with_row_errors_are_listed(api: Client, batch_id: str) -> None:
    listing = api.meta(batch_id, "row_errors").json()
    assert [each["name"] for each in listing["data"]] == [
        "conversion_errors_0.json",
        "parsing_errors_0.json",
        "validation_errors_0.json",
    ]
    here = f"{api.url}/data/foundation/export/batches/{batch_id}/meta"
    assert (
        listing["data"][0]["_links"]["self"]["href"] == f"{here}?path=row_errors%2Fconversion_errors_0.json"
    )
    assert listing["_page"] == {"limit": 100, "count": 3}
    for each in listing["data"]:
        content = api.session.get(each["_links"]["self"]["href"], timeout=10).content
        assert each["length"] == str(len(content))


def test_a_corrupt_row_is_told_as_it_stood_in_the_file(api: Client, batch_id: str) -> None:
    [line] = api.report(batch_id, "row_errors/parsing_errors_0.json")
    assert line == {
        "_corrupt_record": "{missingQuotes: 'v1'}",
        "_errors": [{"code": "1401", "message": "The row is corrupt and cannot be parsed."}],
        "_filename": "parsing_errors_0.json",
    }


def test_other_rows_are_told_with_their_fields(api: Client, batch_id: str) -> None:
    assert api.report(batch_id, "row_errors/conversion_errors_0.json") == [
        {
            "_id": [],
            "timestamp": 1,
            "_errors": [{"code": "EMU-CONVERSION-400", "message": "_id cannot be converted to string"}],
            "_filename": "conversion_errors_0.json",
        }
    ]
    missing, invalid = api.report(batch_id, "row_errors/validation_errors_0.json")
    assert missing["eventType"] == "view"
    assert missing["_errors"] == [{"code": "1555", "message": "timestamp is required"}]
    assert invalid["_errors"] == [
        {"code": "EMU-CONSTRAINT-400", "message": 'timestamp violates format "date-time"'}
    ]


def test_all_errors_of_a_row_stand_in_one_line(api: Client) -> None:
    batch_id = ingest(api, b'{"web": {"webPageDetails": {"pageViews": "x"}, "a": 1}}\n', **PARTIAL)
    [line] = api.report(batch_id, "row_errors/conversion_errors_0.json")
    assert [error["message"] for error in line["_errors"]] == [
        "web.webPageDetails.pageViews cannot be converted to number",
        "web.a is not in the schema",
    ]


def test_the_input_files_are_told(api: Client) -> None:
    batch_id = api.open(**PARTIAL)
    for name in ("F1.json", "etc/F2.json"):
        api.put(batch_id, b"{}", name)
    api.signal(batch_id)
    api.advance(10)
    assert names(api.meta(batch_id, "input_files")) == ["fileMetaData1.json"]
    assert api.report(batch_id, "input_files/fileMetaData1.json") == [
        {"path": "F1.json"},
        {"path": "etc/F2.json"},
    ]


def test_a_batch_without_bad_rows_has_an_empty_folder_for_them(api: Client) -> None:
    batch_id = ingest(api, ROWS[:50], **PARTIAL)
    assert names(api.meta(batch_id, "row_errors")) == []
    assert api.report(batch_id, "row_errors_sample.json") == []


def test_without_a_path_everything_is_listed(api: Client, batch_id: str) -> None:
    listing = api.get(f"export/batches/{batch_id}/meta").json()["data"]
    assert [each["name"] for each in listing] == ["input_files", "row_errors", "row_errors_sample.json"]
    assert listing[0]["length"] == "0"
    assert names(api.session.get(listing[1]["_links"]["self"]["href"], timeout=10))


@pytest.mark.parametrize("name", ["row_errors_sample.json", "row_error_samples.json"])
def test_the_sample_has_one_of_two_names_and_up_to_a_hundred_rows(api: Client, name: str) -> None:
    api.set(sample_file=name)
    batch_id = ingest(api, b"broken\n" * 60 + b"{}\n" * 60, **PARTIAL)
    sample = api.report(batch_id, name)
    assert [line["_filename"] for line in sample] == (
        ["parsing_errors_0.json"] * 60 + ["validation_errors_0.json"] * 40
    )
    other = {"row_errors_sample.json", "row_error_samples.json"} - {name}
    assert api.meta(batch_id, other.pop()).status_code == 404


def test_many_rows_fill_several_files(api: Client) -> None:
    api.set(diagnostics_rows=2)
    batch_id = ingest(api, b"broken\n" * 5, **PARTIAL)
    listing = api.meta(batch_id, "row_errors")
    listed = names(listing)
    assert listed == [f"parsing_errors_{n}.json" for n in range(3)]
    first, second, third = (int(each["length"]) for each in listing.json()["data"])
    assert first == second == 2 * third
    reports = [api.report(batch_id, f"row_errors/{name}") for name in listed]
    assert [len(report) for report in reports] == [2, 2, 1]
    assert [{line["_filename"] for line in report} for report in reports] == [{name} for name in listed]


def test_long_lists_come_in_pages(api: Client) -> None:
    api.set(diagnostics_rows=1)
    batch_id = ingest(api, b"broken\n" * 250, **PARTIAL)
    seen, href = [], f"{api.url}/data/foundation/export/batches/{batch_id}/meta?path=row_errors"
    lengths = []
    while href:
        page = api.session.get(href, timeout=10).json()
        assert page["_page"] == {"limit": 100, "count": 250}
        lengths.append(len(page["data"]))
        seen += [each["name"] for each in page["data"]]
        href = page["_links"].get("next", {}).get("href")
    assert lengths == [100, 100, 50]
    assert len(set(seen)) == 250
    last = api.get(f"export/batches/{batch_id}/meta?path=row_errors&start=249&limit=2")
    assert names(last) == [seen[249]]


def test_links_may_name_another_host(api: Client, batch_id: str) -> None:
    api.set(link_base="https://platform.adobe.io:443")
    [first, *_] = api.meta(batch_id, "row_errors").json()["data"]
    assert first["_links"]["self"]["href"].startswith(
        "https://platform.adobe.io:443/data/foundation/export/batches/"
    )


def test_a_range_of_a_file_can_be_read(api: Client, batch_id: str) -> None:
    whole = api.meta(batch_id, "row_errors/parsing_errors_0.json").content
    part = api.meta(batch_id, "row_errors/parsing_errors_0.json", headers={"Range": "bytes=2-11"})
    assert (part.status_code, part.content) == (206, whole[2:12])
    assert part.headers["Content-Range"] == f"bytes 2-11/{len(whole)}"


@pytest.mark.parametrize(
    ("wanted", "got"), [("0-99", (0, 10)), ("5-", (5, 15)), ("3-4", (3, 5)), ("-3", (-3, None))]
)
def test_a_range_may_be_shorter_than_asked_for(
    api: Client, batch_id: str, wanted: str, got: tuple[int, int | None]
) -> None:
    whole = api.meta(batch_id, "row_errors/parsing_errors_0.json").content
    api.set(range_limit=10)
    part = api.meta(batch_id, "row_errors/parsing_errors_0.json", headers={"Range": f"bytes={wanted}"})
    assert (part.status_code, part.content) == (206, whole[slice(*got)])
    assert api.meta(batch_id, "row_errors/parsing_errors_0.json").content == whole


@pytest.mark.parametrize("path", ["nope", "row_errors/nope.json", "row_errors/../input_files", "failed"])
def test_a_path_that_is_not_there_is_not_found(api: Client, batch_id: str, path: str) -> None:
    assert api.meta(batch_id, path).status_code == 404


def test_a_batch_that_is_not_there_has_no_diagnostics(emulator: Emulator, batch_id: str) -> None:
    elsewhere = Client(emulator, "prod")
    assert elsewhere.meta(batch_id, "row_errors").status_code == 404
    assert elsewhere.get(f"export/batches/{batch_id}/failed").status_code == 404


def test_there_are_no_diagnostics_unless_asked_for(api: Client) -> None:
    batch_id = ingest(api, ROWS, partialIngestionPercent=100)
    for path in ("", "row_errors", "input_files", "row_errors_sample.json"):
        assert api.meta(batch_id, path).status_code == 404


def test_diagnostics_are_there_from_the_end_of_the_batch_for_thirty_days(api: Client) -> None:
    batch_id = api.open(PAGE_VIEWS, **PARTIAL)
    api.put(batch_id, ROWS, dataset_id=PAGE_VIEWS)
    assert api.meta(batch_id, "row_errors").status_code == 404
    api.signal(batch_id)
    seen = []
    for seconds in (2.9, 0.1, 30 * DAY, 1):
        api.advance(seconds)
        authorize(api)
        seen.append(api.meta(batch_id, "row_errors").status_code)
    assert seen == [404, 200, 200, 404]


def test_a_failed_batch_shows_the_rows_that_made_it_fail(api: Client) -> None:
    batch_id = ingest(api, ROWS)
    success, part = api.get(f"export/batches/{batch_id}/failed").json()["data"]
    assert (success["name"], success["length"]) == ("_SUCCESS", "0")
    assert re.fullmatch(r"part-00000-[0-9a-f-]{36}-c000\.json", part["name"])
    assert api.session.get(success["_links"]["self"]["href"], timeout=10).content == b""
    content = api.session.get(part["_links"]["self"]["href"], timeout=10)
    assert part["length"] == str(len(content.content))
    rows = [json.loads(line) for line in content.text.splitlines()]
    assert len(rows) == 4
    assert rows[0]["_corrupt_record"] == "{missingQuotes: 'v1'}"
    assert rows[3] == {
        "_id": "5",
        "timestamp": "yesterday",
        "_validationErrors": [
            {
                "schemaLocation": "#/properties/timestamp",
                "pointerToViolation": "#/timestamp",
                "causingExceptions": [],
                "keyword": "format",
                "message": 'violates format "date-time"',
            }
        ],
    }
    assert api.get(f"export/batches/{batch_id}/failed?path=nope").status_code == 404


def test_a_batch_that_succeeded_has_no_failed_rows(api: Client, batch_id: str, emulator: Emulator) -> None:
    assert names(api.get(f"export/batches/{batch_id}/failed")) == []
    # The upload, its good rows, and about it: the input files, the row errors of three stages, the sample.
    assert files_on_disk(emulator) == 2 + 5


def test_a_batch_given_up_explains_nothing(api: Client, emulator: Emulator) -> None:
    api.set(abort_until="finished", catalog_lag=0)
    batch_id = api.open(**PARTIAL)
    api.put(batch_id, b"broken\n" * 40_000)
    other = Client(emulator)
    with ThreadPoolExecutor() as pool:
        completion = pool.submit(other.signal, batch_id)
        while api.status(batch_id) == "loading":
            pass
        assert api.signal(batch_id, "ABORT").status_code == 200
        assert completion.result().status_code == 200
    deadline = time.monotonic() + 60
    while files_on_disk(emulator) > 1:  # a slow machine reads on after COMPLETE was answered
        assert time.monotonic() < deadline
    assert api.meta(batch_id, "row_errors").status_code == 404


def test_diagnostics_survive_a_restart(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        client = Client(emulator)
        batch_id = ingest(client, ROWS, **PARTIAL)
    with running(data_dir=tmp_path) as emulator:
        [line] = Client(emulator).report(batch_id, "row_errors/parsing_errors_0.json")
    assert line["_corrupt_record"] == "{missingQuotes: 'v1'}"


BAD_ROWS = b'{"_id": [], "eventType": "' + b"x" * 4_000 + b'"}\n'
GOOD_ROWS = b'{"_id": "1", "timestamp": "2024-01-01T00:00:00Z", "eventType": "' + b"x" * 4_000 + b'"}\n'


@pytest.mark.parametrize(
    ("content", "input_format"),
    [
        pytest.param(BAD_ROWS * 2_000, {"format": "json"}, id="many bad rows"),
        pytest.param(GOOD_ROWS * 2_000 + BAD_ROWS, {"format": "json"}, id="many good rows beside a bad one"),
        pytest.param(b'[{"_id": oops},' + b'{"_id": 2},' * 1_000_000, MULTI_LINE, id="no way to read on"),
    ],
)
def test_rows_take_no_memory(
    api: Client, emulator: Emulator, content: bytes, input_format: dict[str, Any]
) -> None:
    batch_id = api.open(PAGE_VIEWS, inputFormat=input_format, **PARTIAL)
    api.put(batch_id, content, dataset_id=PAGE_VIEWS)
    tracemalloc.start()
    try:
        api.signal(batch_id)
        while emulator.platform.batches.get("dev", batch_id).outcome is None:  # type: ignore[union-attr]
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000 < len(content)
