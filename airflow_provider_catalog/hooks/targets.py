"""Files that a task writes, on this machine or in an object store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any
from urllib.parse import urlsplit

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.ingest.file_names import ADDRESS, CONTROL_CHARACTERS


@contextmanager
def new_file(argument: str, path: object) -> Iterator[IO[bytes]]:
    """Give a file to write to. It appears under its name at the end of the ``with`` block, and not at all after an exception.

    A local one can be read by its owner only. In an object store it takes an fsspec file system with transactions (S3 and others)
    to keep a part of a file from staying behind.

    :param argument: how the user knows the path.
    :param path: a local path, or an address for Airflow's ``ObjectStoragePath``.
    :raises InvalidInputError: the path is not usable.
    """
    text = _checked(argument, path)
    if ADDRESS.match(text) and not text.startswith("file://"):
        with _new_object(argument, text) as file:
            yield file
    else:
        with _new_local_file(argument, Path(text.removeprefix("file://"))) as file:
            yield file


def _checked(argument: str, path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise InvalidInputError(argument, path, "a path as text")
    text = os.fspath(path)
    if not isinstance(text, str) or not text.strip() or CONTROL_CHARACTERS.search(text):
        raise InvalidInputError(argument, text, "a path that is not empty and has no control characters")
    if text.endswith("/") or os.path.isdir(text):
        raise InvalidInputError(argument, text, "the path of a file, not of a folder")
    if urlsplit(text).password is not None:
        allowed = "an address with a connection's id at most before the @"
        raise InvalidInputError(argument, "an address with a password in it", allowed)
    return text


@contextmanager
def _new_local_file(argument: str, path: Path) -> Iterator[IO[bytes]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Such a file can be read and written by its owner only.
        descriptor, unfinished = mkstemp(dir=path.parent, prefix=".unfinished-")
    except OSError as error:
        allowed = f"a place where this process may write ({error.strerror})"
        raise InvalidInputError(argument, str(path), allowed) from error
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


@contextmanager
def _new_object(argument: str, address: str) -> Iterator[IO[bytes]]:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        target: Any = ObjectStoragePath(address)
        transaction = target.fs.transaction
    except ValueError as error:
        allowed = f"a local path, or an address that ObjectStoragePath knows ({error})"
        raise InvalidInputError(argument, address, allowed) from error
    with transaction, target.open("wb") as file:
        yield file
