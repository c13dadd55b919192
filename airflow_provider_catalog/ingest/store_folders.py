"""Which files lie in the folders of an object store. A folder that can't be listed is an error, not an empty folder.

fsspec's own ``glob`` and ``find`` pass such a folder over in silence wherever they walk from folder to folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.ingest.file_names import fixed_part

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Infos = dict[str, Mapping[str, Any]]
"""What a store tells of each of its files, by path."""

Parts = tuple[str, ...]
"""A glob below some folder, cut at its slashes."""

ANY_FOLDERS = "**"


def matching_files(fs: AbstractFileSystem, pattern: str) -> Infos:
    """Find the files that a glob matches, as ``fs.glob`` does.

    :param fs: the store's file system.
    :param pattern: the glob.
    :raises OSError: a folder that it goes through can't be listed.
    """
    path = PurePosixPath(pattern)
    if ANY_FOLDERS in path.parts and _lists_all_at_once(fs):
        found: Infos = fs.glob(pattern, detail=True)
    else:
        base = fixed_part(path)
        found = _walk(fs, str(base), path.relative_to(base).parts)
    return {each: info for each, info in found.items() if info["type"] == "file"}


def files_below(fs: AbstractFileSystem, folder: str) -> Infos:
    """Find all files of a folder, however deep, as ``fs.find`` does.

    :param fs: the store's file system.
    :param folder: the folder.
    :raises OSError: it, or one in it, can't be listed.
    """
    if _lists_all_at_once(fs):
        found: Infos = fs.find(folder, detail=True)
        return found
    return _walk(fs, folder, (ANY_FOLDERS,))


def _lists_all_at_once(fs: AbstractFileSystem) -> bool:
    """Whether a file system has a way of its own to list all that is below a folder: few requests, of which none may fail."""
    from fsspec import AbstractFileSystem
    from fsspec.asyn import AsyncFileSystem

    if isinstance(fs, AsyncFileSystem):
        return type(fs)._find is not AsyncFileSystem._find
    return type(fs).find is not AbstractFileSystem.find


def _walk(fs: AbstractFileSystem, folder: str, parts: Parts) -> Infos:
    return {info["name"]: info for info in _matches(fs, folder, _ways({parts}))}


def _matches(fs: AbstractFileSystem, folder: str, ways: set[Parts]) -> Iterator[Mapping[str, Any]]:
    for name, info in _entries(fs, folder):
        left = _after(name, ways)
        if info["type"] != "directory":
            if () in left:
                yield info
        elif deeper := left - {()}:
            yield from _matches(fs, info["name"], deeper)


def _entries(fs: AbstractFileSystem, folder: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for info in fs.ls(folder, detail=True):
        path = info["name"].rstrip("/")
        # In a store without folders, a file of the folder's own name may stand for it.
        if path != folder.rstrip("/"):
            yield path.rpartition("/")[2], info


def _after(name: str, ways: Iterable[Parts]) -> set[Parts]:
    """Give what is left of globs once a name is taken away that their first parts match."""
    return _ways(
        way if way[0] == ANY_FOLDERS else way[1:]
        for way in ways
        if way and (way[0] == ANY_FOLDERS or fnmatchcase(name, way[0]))
    )


def _ways(globs: Iterable[Parts]) -> set[Parts]:
    """Give globs in all the ways in which they can be read: their first ``**`` may mean no folder at all.

    >>> sorted(_ways([("**", "*.json")]))
    [('**', '*.json'), ('*.json',)]
    """
    ways = set()
    for parts in globs:
        ways.add(parts)
        while parts[:1] == (ANY_FOLDERS,):
            parts = parts[1:]
            ways.add(parts)
    return ways
