"""Which files an address of an object store names."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_provider_catalog.api.errors import CatalogError, InvalidInputError, SourceError
from airflow_provider_catalog.ingest.file_names import (
    WEB,
    above_partitions,
    fixed_part,
    is_hidden,
    log_left_out,
    refuse_empty,
    remote_name,
    shown_cause,
    without_query,
)
from airflow_provider_catalog.ingest.object_stores import ObjectStore, WebStore
from airflow_provider_catalog.ingest.sources import Look, SourceFile, reason
from airflow_provider_catalog.ingest.store_folders import Infos, files_below, matching_files

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Connect = Callable[[str], tuple[Any, str]]
"""Reaches the store of an address: gives its file system, and the path in it."""

SILENCE_SECONDS = 60.0


def connect_without_credentials(address: str) -> tuple[AbstractFileSystem, str]:
    """Reach a store that asks for no credentials, or finds them by itself.

    :param address: a file or folder in it.
    :return: the file system, and the path in it.
    """
    from fsspec.core import url_to_fs

    options = {"client_kwargs": {"timeout": _web_timeout()}} if address.startswith(WEB) else {}
    fs, path = url_to_fs(address, **options)
    return fs, path


def _web_timeout() -> Any:
    """Give up on silence only: by default five minutes are all that a file may take, however large it is."""
    from aiohttp import ClientTimeout

    return ClientTimeout(total=None, sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS)


def find_in_store(address: str, connect: Connect) -> list[SourceFile]:
    """Find the files that an address names: a file, all files of a folder, or, but on the web, those that a glob matches.

    :param address: with the scheme of a store.
    :param connect: reaches it.
    :raises InvalidInputError: the address is not usable, or there is no such file.
    :raises SourceError: the store can't be read now.
    """
    shown = without_query(address)
    try:
        fs, path = connect(address)
        return list(_found(fs, path, shown))
    except CatalogError:
        raise
    except FileNotFoundError:
        raise InvalidInputError("files", shown, "a file that exists") from None
    except PermissionError as error:
        allowed = "a file that the store's credentials may read"
        raise InvalidInputError("files", shown, allowed) from shown_cause(shown, error)
    except Exception as error:  # noqa: BLE001 - each store has exceptions of its own
        raise SourceError(f"{shown} can't be looked at ({reason(error)}).") from shown_cause(shown, error)


def _found(fs: AbstractFileSystem, path: str, address: str) -> Iterator[SourceFile]:
    if address.startswith(WEB):
        name = unquote(PurePosixPath(urlsplit(address).path).name)
        web = WebStore(fs)
        yield _source_file(web, path, web.look(path), address, name)
        return
    store = ObjectStore(fs)
    base, infos = _listed(fs, path, address)
    for each, info in sorted(infos.items()):
        name = str(PurePosixPath(each).relative_to(above_partitions(base)))
        yield _source_file(store, each, store.seen(each, info), str(fs.unstrip_protocol(each)), name)


def _listed(fs: AbstractFileSystem, path: str, address: str) -> tuple[PurePosixPath, Infos]:
    """Give the folder below which names count, and what the store tells of each file."""
    fs.invalidate_cache()
    if glob.has_magic(path) and not fs.exists(path):
        base = fixed_part(PurePosixPath(path))
        matches = {
            each: info
            for each, info in _matching_files(fs, path).items()
            if not PurePosixPath(each).name.startswith(".")
        }
        if not matches:
            raise InvalidInputError("files", address, "a glob that matches at least one file")
        return base, matches
    if not fs.isdir(path):
        return PurePosixPath(path).parent, {path: fs.info(path)}
    base = PurePosixPath(path)
    files = {each: info for each, info in files_below(fs, path).items() if not each.endswith("/")}
    taken = {
        each: info
        for each, info in files.items()
        if not is_hidden(str(PurePosixPath(each).relative_to(base)))
    }
    if not taken:
        raise InvalidInputError("files", address, "a folder with at least one file")
    log_left_out(address, len(files) - len(taken))
    return base, taken


def _matching_files(fs: AbstractFileSystem, pattern: str) -> Infos:
    try:
        return matching_files(fs, pattern)
    except FileNotFoundError:
        # The folder above the first wildcard, as a rule.
        return {}


def _source_file(store: ObjectStore, path: str, look: Look, address: str, name: str) -> SourceFile:
    name = remote_name(name, address)
    refuse_empty(look.size, address)
    return SourceFile(store, path, address, name, look, store.account)
