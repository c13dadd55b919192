"""Where the bytes of a file come from, and how it is noticed that they are not those any more that were planned for."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from airflow_provider_catalog.api.errors import FileChangedError, SourceError
from airflow_provider_catalog.ingest.file_names import shown_cause


@dataclass(frozen=True)
class Look:
    """What a store tells of a file without reading it.

    :param size: its length in bytes.
    :param written: when it was last written to, in epoch seconds; None if the store does not tell.
    :param version: becomes another value when the file does.
    """

    size: int
    written: float | None
    version: Hashable


class Store(Protocol):
    """A place where files lie. Can be shared between threads."""

    def look(self, path: str) -> Look:
        """Look at a file as it is now.

        :raises OSError: it can't be looked at.
        """

    def open(self, path: str, start: int) -> BinaryIO:
        """Open a file for reading from a byte on.

        :raises OSError: it can't be opened.
        """


@dataclass(frozen=True)
class SourceFile:
    """A file to load, as it was when it was looked at.

    :param store: where it lies.
    :param path: its name there, with a signature perhaps.
    :param address: how users know it; holds no credential.
    :param remote_name: its path inside the batch, partition folders included.
    :param look: its size and version.
    :param account: the storage account, where it lies in a container of Azure.
    """

    store: Store = field(repr=False, compare=False)
    path: str = field(repr=False)
    address: str
    remote_name: str
    look: Look
    account: str | None = None

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.look.size

    def open(self, start: int = 0, end: int | None = None) -> SourceReader:
        """Open a range of its bytes for one reading.

        :param start: the first byte.
        :param end: the byte after the last one; the file's end unless given.
        :raises FileChangedError: it is not there any more.
        :raises SourceError: it can't be opened.
        """
        with self.naming_trouble():
            file = self.store.open(self.path, start)
        return SourceReader(self, file, (self.size if end is None else end) - start)

    def check(self) -> None:
        """Make sure that it still is what it was when it was looked at.

        :raises FileChangedError: it is not.
        :raises SourceError: it can't be looked at.
        """
        with self.naming_trouble():
            now = self.store.look(self.path)
        if now.version == self.look.version:
            return
        difference = now.size - self.size
        verb = "grew" if difference > 0 else "shrank" if difference < 0 else "was written to"
        raise FileChangedError(f"{self.address} {verb} while it was being uploaded.")

    @contextmanager
    def naming_trouble(self) -> Iterator[None]:
        """Say which file it was that could not be read.

        :raises FileChangedError: it is not there any more.
        :raises SourceError: it can't be read.
        """
        try:
            yield
        except FileNotFoundError as error:
            raise FileChangedError(f"{self.address} is not there any more.") from shown_cause(
                self.address, error
            )
        except Exception as error:  # noqa: BLE001 - each store has exceptions of its own
            raise SourceError(f"{self.address} can't be read ({reason(error)}).") from shown_cause(
                self.address, error
            )


def reason(error: Exception) -> str:
    """Say in short what kept a file from being read."""
    return getattr(error, "strerror", None) or type(error).__name__


class SourceReader:
    """Reads exactly as many bytes as were announced, and holds the last of them back unless the file is what it was.

    :param source: the file.
    :param file: open at the first byte to read; closed with this.
    :param size: how many bytes to read.
    """

    def __init__(self, source: SourceFile, file: BinaryIO, size: int) -> None:
        self._source = source
        self._file = file
        self._size = size
        self._left = size
        self._buffer = memoryview(b"")

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        :raises FileChangedError: the file is not what it was.
        :raises SourceError: it can't be read.
        """
        return bytes(self.lend(self._left if size < 0 else size))

    def lend(self, size: int) -> memoryview:
        """Read up to ``size`` bytes into memory that the next call uses again: an upload needs no new memory for each block.

        :raises FileChangedError: the file is not what it was.
        :raises SourceError: it can't be read.
        """
        wanted = min(size, self._left)
        if wanted == 0:
            return memoryview(b"")
        if len(self._buffer) < wanted:
            self._buffer = memoryview(bytearray(wanted))
        with self._source.naming_trouble():
            arrived = self._file.readinto(self._buffer[:wanted])  # type: ignore[attr-defined]
        if not arrived:
            self._source.check()
            raise FileChangedError(f"{self._source.address} ended before its last byte.")
        self._left -= arrived
        if self._left == 0:
            # Before the last block goes out: the platform must not get a whole body of half a file.
            self._source.check()
        return self._buffer[:arrived]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LocalStore:
    """The files of this machine."""

    def look(self, path: str) -> Look:
        """Look at a file as it is now.

        :raises OSError: it can't be looked at.
        """
        return look_at(os.stat(path))

    def open(self, path: str, start: int) -> BinaryIO:
        """Open a file for reading from a byte on.

        :raises OSError: it can't be opened.
        """
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
        file.seek(start)
        return file


def look_at(status: os.stat_result) -> Look:
    """Say what a file's status tells."""
    version = (status.st_size, status.st_mtime_ns, status.st_ino)
    return Look(status.st_size, status.st_mtime, version)


LOCAL = LocalStore()
