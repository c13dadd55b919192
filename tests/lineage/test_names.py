"""Files, folders and datasets have the names that OpenLineage's rules give them."""

import os
from pathlib import Path

import pytest

from airflow_provider_catalog.lineage.names import (
    MOST_NAMES,
    Name,
    dataset_name,
    few,
    file_name,
    pattern_names,
)


@pytest.mark.parametrize(
    ("address", "namespace", "name"),
    [
        ("/data/rows.json", "file", "/data/rows.json"),
        ("/data/day=1/a b%.json", "file", "/data/day=1/a b%.json"),
        ("file:///data/rows.json", "file", "/data/rows.json"),
        ("s3://landing/day=1/rows.json", "s3://landing", "day=1/rows.json"),
        ("s3://my_connection@landing/rows.json", "s3://landing", "rows.json"),
        ("s3a://landing/rows.json", "s3://landing", "rows.json"),
        ("s3://landing", "s3://landing", "/"),
        ("gs://landing/rows.json", "gs://landing", "rows.json"),
        ("gcs://landing/rows.json", "gs://landing", "rows.json"),
        ("hdfs://node:8020/rows.json", "hdfs://node:8020", "/rows.json"),
        ("https://host:8443/a/rows.csv", "https://host:8443", "/a/rows.csv"),
        ("http://host/rows.csv?sig=abc#part", "http://host", "/rows.csv"),
        ("https://user:word@host/rows.csv", "https://host", "/rows.csv"),
        ("HTTPS://host/rows.csv?sig=abc", "https://host", "/rows.csv"),
        ("FILE:///data/rows.json", "file", "/data/rows.json"),
        ("S3A://landing/rows.json", "s3://landing", "rows.json"),
        ("hdfs://[::1]:8020/rows.json", "hdfs://[::1]:8020", "/rows.json"),
    ],
)
def test_a_file_is_called(address: str, namespace: str, name: str) -> None:
    assert file_name(address) == Name(namespace, name)


@pytest.mark.parametrize("scheme", ["abfs", "abfss", "az"])
def test_a_file_in_a_container_of_azure_is_called_after_the_storage_account_too(scheme: str) -> None:
    address = f"{scheme}://my_connection@container/day=1/rows.json"
    expected = Name("abfss://container@store.dfs.core.windows.net", "day=1/rows.json")
    assert file_name(address, account="store") == expected


def test_a_file_in_a_container_whose_account_is_not_known_has_no_name() -> None:
    assert file_name("abfss://container/rows.json") is None


def test_a_relative_path_is_made_whole() -> None:
    assert file_name("rows.json") == Name("file", os.path.join(os.getcwd(), "rows.json"))


@pytest.mark.parametrize("pattern", ["*.json", "file://*.json", "**/rows.json"])
def test_of_a_relative_glob_the_current_folder_is_named(pattern: str) -> None:
    assert pattern_names(pattern) == [("file", os.getcwd())]


def test_the_names_are_those_that_openlineage_gives() -> None:
    naming = pytest.importorskip("openlineage.client.naming.dataset", reason="needs a newer OpenLineage")
    for ours, theirs in [
        (file_name("/data/rows.json"), naming.LocalFileSystem("/data/rows.json")),
        (file_name("s3://bucket/a/rows.json"), naming.S3("bucket", "a/rows.json")),
        (file_name("gs://bucket/a/rows.json"), naming.GCS("bucket", "a/rows.json")),
        (file_name("abfs://box/a/rows.json", "store"), naming.ABFSS("box", "store", "a/rows.json")),
    ]:
        assert ours == (theirs.get_namespace(), theirs.get_name())


def test_a_dataset_is_called_like_the_uri_of_its_asset() -> None:
    expected = Name("aep://0123ABCD%40AdobeOrg", "dev/5c8c3c555033b814b69f947f")
    for spelling in ("0123ABCD@AdobeOrg", "0123abcd@adobeOrg"):
        assert dataset_name(spelling, "dev", "5c8c3c555033b814b69f947f") == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("/data/rows.json", [("file", "/data/rows.json")]),
        (Path("/data"), [("file", "/data")]),
        ("/data/day=*/a-?.json", [("file", "/data")]),
        ("/*.json", [("file", "/")]),
        ("s3://conn@landing/day=*/rows.json", [("s3://landing", "/")]),
        ("s3://landing/in/*.json", [("s3://landing", "in")]),
        ("s3://landing/*.json", [("s3://landing", "/")]),
        ("S3://landing/in/*.json", [("s3://landing", "in")]),
        ("file:///*.json", [("file", "/")]),
        ("FILE:///data/*.json", [("file", "/data")]),
        ("hdfs://[2001:db8:0:0:0:0:0:1]:8020/in/*", [("hdfs://[2001:db8:0:0:0:0:0:1]:8020", "/in")]),
        ("hdfs://[2001:db8:0:0:0:0:0:1]/in/a", [("hdfs://[2001:db8:0:0:0:0:0:1]", "/in/a")]),
        ("https://host/rows.csv?key=[secret]", [("https://host", "/rows.csv")]),
        ("HTTPS://host/rows.csv?key=[secret]", [("https://host", "/rows.csv")]),
        ("simplecache::https://host/rows.csv?key=secret", []),
        ("zip://a::https://host/rows.zip?key=secret", []),
        (" https://host/rows.csv?key=secret", [("file", os.path.abspath(" https:/host"))]),
        (["/a.json", "gs://b/c.json", 5, None], [("file", "/a.json"), ("gs://b", "c.json")]),
        ("abfs://box/rows.json", []),
        (None, []),
        (5, []),
    ],
)
def test_what_was_not_looked_for_is_called_as_its_user_calls_it(
    files: object, expected: list[tuple[str, str]]
) -> None:
    assert pattern_names(files) == expected


class TestOfVeryManyFiles:
    def test_so_many_are_named_one_by_one(self) -> None:
        names = [Name("s3://b", f"in/{number}.json") for number in range(MOST_NAMES)]
        assert few([*names, *names]) == names

    def test_of_more_the_folders_are_named_as_deep_ones_as_are_few(self) -> None:
        names = [Name("s3://b", f"in/{n % 5}/{n}/{part}.json") for n in range(300) for part in range(2)]
        assert few(names) == [Name("s3://b", f"in/{number}") for number in range(5)]

    def test_files_at_the_top_leave_their_store(self) -> None:
        names = [Name(f"s3://{bucket}", f"{n}.json") for bucket in "ab" for n in range(MOST_NAMES)]
        assert few(names) == [Name("s3://a", "/"), Name("s3://b", "/")]

    def test_more_stores_than_that_are_all_named(self) -> None:
        names = [Name(f"https://host{number}", "/rows.csv") for number in range(MOST_NAMES + 1)]
        assert len(few(names)) == MOST_NAMES + 1
