"""Which files paths and globs name, under which names they go into a batch, and what is refused beforehand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.ingest.files import find_files


def make(folder: Path, *names: str, content: str = "{}\n") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def names(files: Any) -> list[str]:
    return [file.remote_name for file in find_files(files)]


FOUND: dict[str, tuple[list[str], Any, list[str]]] = {
    "one file": (["a.json"], "a.json", ["a.json"]),
    "a file further down": (["data/in/a.json"], "data/in/a.json", ["a.json"]),
    "a path object": (["a.json"], Path("a.json"), ["a.json"]),
    "several": (["a.json", "x/b.json"], ["x/b.json", "a.json"], ["b.json", "a.json"]),
    "a generator": (["a.json", "b.json"], (name for name in ("a.json", "b.json")), ["a.json", "b.json"]),
    "a glob, in order of names": (["d/b.json", "d/a.json", "d/c.csv"], "d/*.json", ["a.json", "b.json"]),
    "a glob that passes folders by": (["d/a", "d/sub/b"], "d/*", ["a"]),
    "a glob and a path": (["d/a.json", "b.json"], ["d/*.json", "b.json"], ["a.json", "b.json"]),
    "a question mark": (["d/a1", "d/a22"], "d/a?", ["a1"]),
    "a set of characters": (["d/a1", "d/a2", "d/a3"], "d/a[13]", ["a1", "a3"]),
    "folders under wildcards": (["d/x/a.json", "d/y/a.json"], "d/*/a.json", ["x/a.json", "y/a.json"]),
    "all folders": (["d/a.json", "d/x/b.json", "d/x/y/c.json"], "d/**/*.json", ["a.json", "x/b.json", "x/y/c.json"]),
    "everything below": (["d/a.json", "d/x/b.json"], "d/**", ["a.json", "x/b.json"]),
    "no hidden files": (["d/.hidden", "d/a"], "d/*", ["a"]),
    "a hidden file by its name": (["d/.hidden"], "d/.hidden", [".hidden"]),
    "a partition": (["d/day=1/a.json"], "d/day=1/a.json", ["day=1/a.json"]),
    "partitions in partitions": (["d/y=1/m=2/a.json"], "d/y=1/m=2/a.json", ["y=1/m=2/a.json"]),
    "partitions under wildcards": (["d/y=1/m=2/a", "d/y=1/m=3/a"], "d/y=1/*/a", ["y=1/m=2/a", "y=1/m=3/a"]),
    "partitions above other folders": (["y=1/d/a.json"], "y=1/d/a.json", ["a.json"]),
    "a partition without a value": (["d/day=/a.json"], "d/day=/a.json", ["day=/a.json"]),
    "no partition": (["d/=x/a.json"], "d/=x/a.json", ["a.json"]),
    "a partition at the top": (["day=1/a.json"], "day=1/a.json", ["day=1/a.json"]),
    "wildcards that are part of a name": (["d/a[1].json", "d/a1.json"], "d/a[1].json", ["a[1].json"]),
    "a star that is part of a name": (["d/*", "d/b"], "d/*", ["*"]),
    "blanks and other scripts": (["d/ü b 中.json"], "d/ü b 中.json", ["ü b 中.json"]),
    "dots that are no steps": (["d/..a..json"], "d/..a..json", ["..a..json"]),
    "a roundabout path": (["d/a.json"], "./d//./a.json", ["a.json"]),
    "one name in two folders": (["x/a.json", "y/a.json"], "*/a.json", ["x/a.json", "y/a.json"]),
    "a folder": (["d/b.json", "d/x/a.json"], "d", ["b.json", "x/a.json"]),
    "a folder with a slash": (["d/a.json"], "d/", ["a.json"]),
    "a folder of partitions": (["d/day=1/a", "d/day=2/a", "d/_day=3/a"], "d", ["_day=3/a", "day=1/a", "day=2/a"]),
    "a partition's folder": (["d/day=1/a", "d/day=1/hour=2/b"], "d/day=1", ["day=1/a", "day=1/hour=2/b"]),
    "a folder but for what holds no data": (["d/a", "d/_SUCCESS", "d/.a.crc", "d/_tmp/b", "d/.x/c"], "d", ["a"]),
    "a local address": (["d/a.json"], "file://d/a.json", ["a.json"]),
    "a local address in capitals": (["d/a.json"], "FILE://d/a.json", ["a.json"]),
    "colons that are part of a name": (["d/a::b", "d/c::d"], ["d/a::b", "file://d/c::d"], ["a::b", "c::d"]),
    "names that differ in case": (["d/a.json", "d/A.json"], "d/*", ["A.json", "a.json"]),
}  # fmt: skip


@pytest.mark.parametrize(("existing", "given", "remote"), FOUND.values(), ids=list(FOUND))
def test_files_are_found_and_named(folder: Path, existing: list[str], given: Any, remote: list[str]) -> None:
    make(folder, *existing)
    assert names(given) == remote


def test_absolute_paths_keep_nothing_of_their_folders(folder: Path) -> None:
    make(folder, "d/a.json", "d/day=1/b.json")
    assert names([str(folder / "d/a.json"), str(folder / "d/*/*.json")]) == ["a.json", "day=1/b.json"]


def test_sizes_are_noted(folder: Path) -> None:
    make(folder, "a", content="ä")
    (file,) = find_files("a")
    assert (file.path, file.address, file.size) == ("a", "a", 2)


def test_a_folder_tells_how_many_files_it_leaves_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "airflow_provider_catalog")
    make(folder, "d/a", "d/_SUCCESS", "d/_tmp/b")
    find_files("d")
    assert "2 file(s) in d are left out" in caplog.text


def test_links_to_files_are_files(folder: Path) -> None:
    make(folder, "a.json")
    (folder / "link.json").symlink_to("a.json")
    assert names("link.json") == ["link.json"]


def make_fifo(folder: Path) -> None:
    os.mkfifo(folder / "a")


def empty_in_folder(folder: Path) -> None:
    make(folder, "a/b")
    make(folder, "a/c", content="")


def files(*existing: str) -> Callable[[Path], None]:
    return lambda folder: make(folder, *existing)


REFUSED: dict[str, tuple[Callable[[Path], Any], Any, str]] = {
    "missing": (files(), "a", "'a', expected a file that exists"),
    "missing in a list": (files("b"), ["b", "a"], "'a', expected a file that exists"),
    "empty": (lambda folder: (folder / "a").touch(), "a", "'a', expected a file that is not empty"),
    "empty in a glob": (lambda folder: (folder / "a").touch(), "*", "'a', expected a file that is not empty"),
    "a folder without a file": (lambda folder: (folder / "a").mkdir(), "a", "'a', expected a folder with at least one file"),
    "a folder of files that are no data": (files("a/_SUCCESS", "a/.crc"), "a", "'a', expected a folder with at least one file"),
    "an empty file in a folder": (empty_in_folder, "a", "'a/c', expected a file that is"),
    "below a file": (files("a"), "a/b", "'a/b', expected a readable file (Not a directory)"),
    "a fifo": (make_fifo, "a", "'a', expected a regular file"),
    "a broken link": (lambda folder: (folder / "a").symlink_to("nowhere"), "a", "'a', expected a file that exists"),
    "a broken link in a glob": (lambda folder: (folder / "a").symlink_to("nowhere"), "*", "'a', expected a file that exists"),
    "a link to itself": (lambda folder: (folder / "a").symlink_to("a"), "a", "'a', expected a readable file"),
    "a name that is too long": (files(), "a" * 300, "expected a readable file (File name too long)"),
    "a glob without a match": (files("a.json"), "*.csv", "'*.csv', expected a glob that matches at least one file"),
    "a glob that matches folders only": (files("a/b"), "*", "'*', expected a glob that matches at least one file"),
    "one name twice": (files("x/a", "y/a"), ["x/a", "y/a"], "'y/a', expected files with different names in the batch; x/a is"),
    "one file twice": (files("a"), ["a", "*"], "'a', expected files with different names"),
    "a step up": (files("a"), "x/../a", "'x/../a', expected a path without .."),
    "a step up in a glob": (files("a"), "../*", "'../*', expected a path without .."),
    "a line break": (files("a\nb"), "a\nb", r"'a\nb', expected a path without control characters"),
    "a line break in a match": (files("a\nb"), "a*", r"'a\nb', expected a relative path"),
    "a null": (files(), "a\0", r"'a\x00', expected a path without control characters"),
    "a backslash": (files("a\\b"), "a\\b", "expected a relative path such as part=1/rows.json"),
    "no text in any alphabet": (files("a\udcff"), "a\udcff", "expected a relative path such as part=1/rows.json"),
    "nothing": (files(), [], "[], expected at least one path or glob"),
    "an empty text": (files("a"), "", "'', expected a path or a glob that is not empty"),
    "a blank text in a list": (files("a"), ["a", " "], "' ', expected a path or a glob that is not empty"),
    "None": (files(), None, "None, expected a path, a glob, or a list of these"),
    "a number": (files(), 5, "5, expected a path, a glob, or a list of these"),
    "a number in a list": (files("a"), ["a", 5], "5, expected paths and globs as texts"),
    "bytes": (files("a"), b"a", "expected paths and globs as texts"),
    "a chain": (files(), "simplecache::s3://bucket/a", "'simplecache::s3://bucket/a', expected an address without ::"),
    "a chain of addresses": (files(), "zip://a::s3://bucket/b", "'zip://a::s3://bucket/b', expected an address without ::"),
    "colons that a store's file system would read as a chain": (files(), "s3://bucket/a::b", "expected an address without ::"),
}  # fmt: skip

SIGNED = "https://host/f?sig=hidden"
SIGNED_AND_REFUSED: dict[str, tuple[Any, str]] = {
    "a chain": (f"simplecache::{SIGNED}", "got 'simplecache::https://host/f', expected an address without ::"),
    "a chain of addresses": (f"zip://a::{SIGNED}", "got 'zip://a::https://host/f', expected an address without ::"),
    "a chain in a local address": (f"file://a::{SIGNED}", "expected an address without ::"),
    "a chain in capitals": (f"SIMPLECACHE::{SIGNED.upper()}", "expected an address without ::"),
    "colons in the signature": (f"{SIGNED}::hidden", "got 'https://host/f', expected an address without ::"),
    "a line break": (f"{SIGNED}\nhidden", "got 'https://host/f', expected a path without control characters"),
    "a line break in capitals": ("HTTPS://host/f?sig=\nhidden", "got 'https://host/f', expected a path without control"),
    "a line break in a chain": (f"zip://a\n::{SIGNED}", r"got 'zip://a\n::https://host/f', expected a path without control"),
    "a step up in capitals": ("HTTPS://host/../f?sig=hidden", "got 'https://host/../f', expected a path without .."),
    "a blank before it": (f" {SIGNED}", "got ' https://host/f', expected a web address as a text that begins with http"),
    "a path object": (Path(SIGNED), "got 'https:/host/f', expected a web address as a text that begins with http"),
    "a list in a list": ([[SIGNED]], "got 'list with a web address in it', expected paths and globs as texts"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "complaint"), SIGNED_AND_REFUSED.values(), ids=list(SIGNED_AND_REFUSED))
def test_what_is_refused_of_the_web_is_named_without_its_signature(given: Any, complaint: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        find_files(given)
    assert complaint in str(caught.value)
    assert "hidden" not in str(caught.value).lower()


@pytest.mark.parametrize(("prepare", "given", "complaint"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_uploaded_is_refused_by_name(
    folder: Path, prepare: Callable[[Path], Any], given: Any, complaint: str
) -> None:
    prepare(folder)
    with pytest.raises(InvalidInputError) as caught:
        find_files(given)
    assert caught.value.argument == "files"
    assert complaint in str(caught.value)


@pytest.fixture
def public_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user may enter, which is the current one."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        monkeypatch.chdir(path)
        yield Path(path)


def as_ordinary_user(work: Callable[[], str]) -> str:
    """Do something in a process that is not the superuser's, who may read everything, and give what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        os.write(writing, work().encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, encoding="utf-8") as pipe:
        return pipe.read()


def store_of_this_machine(address: str) -> tuple[LocalFileSystem, str]:
    """Reach the files of this machine as those of a store are reached that lists folder by folder, such as SFTP."""
    return LocalFileSystem(), address.removeprefix("store://")


def complaint_about(given: Any) -> str:
    try:
        return str(find_files(given, store_of_this_machine))
    except InvalidInputError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestPermissions:
    def test_a_file_that_may_not_be_read_is_refused(self, public_folder: Path) -> None:
        make(public_folder, "a", "b")
        os.chmod("a", 0)
        assert "'a', expected a file that this process may read" in as_ordinary_user(
            lambda: complaint_about("a")
        )
        assert "'b'" in as_ordinary_user(lambda: complaint_about("b"))

    def test_a_file_in_a_folder_that_may_not_be_entered_is_refused(self, public_folder: Path) -> None:
        make(public_folder, "d/a")
        os.chmod("d", 0)
        try:
            assert "'d/a', expected a readable file (Permission denied)" in as_ordinary_user(
                lambda: complaint_about("d/a")
            )
        finally:
            os.chmod("d", 0o700)

    @pytest.mark.parametrize("pattern", ["**/*.json", "*/*.json", "d/*.json", "**", "."])
    def test_neither_a_glob_nor_a_folder_passes_over_no_folder_that_may_not_be_read(
        self, pattern: str, public_folder: Path
    ) -> None:
        make(public_folder, "c/a.json", "d/b.json")
        os.chmod("d", 0)
        try:
            assert "d', expected a readable folder (Permission denied)" in as_ordinary_user(
                lambda: complaint_about(pattern)
            )
        finally:
            os.chmod("d", 0o700)

    @pytest.mark.parametrize("pattern", ["**/*.json", "*/*.json", "d/*.json", "**", ""])
    def test_nor_do_they_in_a_store_that_lists_only_folder_by_folder(
        self, pattern: str, public_folder: Path
    ) -> None:
        make(public_folder, "c/a.json", "d/b.json")
        os.chmod("d", 0)
        try:
            assert "expected a file that the store's credentials may read" in as_ordinary_user(
                lambda: complaint_about(f"store://{public_folder}/{pattern}")
            )
        finally:
            os.chmod("d", 0o700)

    def test_a_glob_needs_to_read_only_the_folders_that_it_goes_through(self, public_folder: Path) -> None:
        make(public_folder, "c/a.json", "d/b.json")
        os.chmod("d", 0)
        try:
            assert "remote_name='a.json'" in as_ordinary_user(lambda: complaint_about("c/*.json"))
            in_a_store = f"store://{public_folder}/[c]/*.json"
            assert "remote_name='c/a.json'" in as_ordinary_user(lambda: complaint_about(in_a_store))
        finally:
            os.chmod("d", 0o700)
