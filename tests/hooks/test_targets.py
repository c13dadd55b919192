"""A file that a task writes is there whole or not at all, and for its owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem
from tasks import IS_AIRFLOW_2

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.hooks.targets import new_file

if IS_AIRFLOW_2:
    from airflow.io.store import attach
else:
    from airflow.sdk.io import attach

ROWS = b"row\n" * 100_000


@pytest.fixture
def memory() -> str:
    """The address of a folder in an object store that nothing else uses."""
    store = MemoryFileSystem()
    store.store.clear()
    attach("memory", fs=store)
    attach("memory", conn_id="store", fs=store)
    return "memory://bucket/folder"


@pytest.fixture(params=["path", "text", "address", "store", "store with a connection"])
def place(request: pytest.FixtureRequest, tmp_path: Path, memory: str) -> Any:
    """Where a file may be written."""
    local = tmp_path / "new" / "folder" / "rows.jsonl"
    return {
        "path": local,
        "text": str(local),
        "address": f"file://{local}",
        "store": f"{memory}/rows.jsonl",
        "store with a connection": "memory://store@bucket/folder/rows.jsonl",
    }[request.param]


def at(place: Any) -> Any:
    return ObjectStoragePath(str(place))


def test_it_holds_what_was_written(place: Any) -> None:
    with new_file("path", place) as file:
        file.write(ROWS)
    assert at(place).read_bytes() == ROWS


def test_it_replaces_an_older_one(place: Any) -> None:
    for rows in (ROWS, b"", b"new\n"):
        with new_file("path", place) as file:
            file.write(rows)
        assert at(place).read_bytes() == rows


def write_and_break_off(place: Any, error: BaseException) -> None:
    with new_file("path", place) as file:
        file.write(ROWS)
        raise error


class TestAfterAnException:
    @pytest.mark.parametrize("error", [OSError(), KeyboardInterrupt()], ids=repr)
    def test_it_is_not_there(self, error: BaseException, place: Any) -> None:
        with pytest.raises(type(error)):
            write_and_break_off(place, error)
        assert not at(place).exists()
        if at(place).parent.exists():
            assert list(at(place).parent.iterdir()) == []

    def test_an_older_one_is_as_it_was(self, place: Any) -> None:
        with new_file("path", place) as file:
            file.write(b"old\n")
        with pytest.raises(OSError, match="disk"):
            write_and_break_off(place, OSError("disk"))
        assert at(place).read_bytes() == b"old\n"

    def test_the_next_one_is_written_as_ever(self, place: Any) -> None:
        with pytest.raises(OSError, match="disk"):
            write_and_break_off(place, OSError("disk"))
        with new_file("path", place) as file:
            file.write(ROWS)
        assert at(place).read_bytes() == ROWS


def test_a_local_one_is_for_its_owner_only_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.touch(0o666)
    with new_file("path", path) as file:
        file.write(ROWS)
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()}
        del modes[path.name]
        assert list(modes.values()) == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_local_one_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with new_file("path", path) as file:
        file.write(ROWS)
        file.flush()
        assert not path.exists()
        [unfinished] = tmp_path.iterdir()
        written = unfinished.stat().st_ino
    assert [(entry, entry.stat().st_ino) for entry in tmp_path.iterdir()] == [(path, written)]


BAD: dict[str, tuple[Any, str]] = {
    "empty": ("", "not empty"),
    "blank": (" ", "not empty"),
    "line break": ("a\nb", "control characters"),
    "number": (5, "a path as text"),
    "None": (None, "a path as text"),
    "folder": (".", "of a file, not of a folder"),
    "folder that does not exist": ("new/", "of a file, not of a folder"),
    "folder of a store": ("memory://bucket/folder/", "of a file, not of a folder"),
    "below a file": ("file/rows.jsonl", "a place where this process may write"),
    "unknown store": ("nowhere://bucket/rows.jsonl", "an address that ObjectStoragePath knows"),
}


@pytest.mark.parametrize(("path", "allowed"), BAD.values(), ids=BAD)
def test_it_is_not_written_to(
    path: Any, allowed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=f"^path: got .*{allowed}"), new_file("path", path):
        pass
    assert os.listdir(tmp_path) == ["file"]


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInputError, match="a connection's id at most") as caught:
        new_file("path", "s3://key:hidden@bucket/rows.jsonl").__enter__()
    assert "hidden" not in str(caught.value)
