"""Where the bytes of a file come from, and how it is noticed that they are not those any more that were planned for."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Protocol

from airflow_provider_catalog.api.errors import FileChangedError


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
    :param path: its name there.
    :param address: how users know it; holds no credential.
    :param remote_name: its path inside the batch, partition folders included.
    :param look: its size and version.
    """

    store: Store = field(repr=False, compare=False)
    path: str
    address: str
    remote_name: str
    look: Look

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.look.size

    def open(self, start: int = 0, end: int | None = None) -> SourceReader:
        """Open a range of its bytes for one reading.

        :param start: the first byte.
        :param end: the byte after the last one; the file's end unless given.
        :raises FileChangedError: it can't be opened any more.
        """
        try:
            file = self.store.open(self.path, start)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise FileChangedError(f"{self.address} can't be opened any more ({reason}).") from error
        return SourceReader(self, file, (self.size if end is None else end) - start)

    def check(self) -> None:
        """Make sure that it still is what it was when it was looked at.

        :raises FileChangedError: it is not.
        """
        try:
            now = self.store.look(self.path)
        except OSError as error:
            raise FileChangedError(f"{self.address} vanished while it was being uploaded.") from error
        if now.version == self.look.version:
            return
        difference = now.size - self.size
        verb = "grew" if difference > 0 else "shrank" if difference < 0 else "was written to"
        raise FileChangedError(f"{self.address} {verb} while it was being uploaded.")

    def renamed(self, remote_name: str) -> SourceFile:
        """Give the same file under another name in the batch."""
        return replace(self, remote_name=remote_name)


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

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes.

        :raises FileChangedError: the file is not what it was.
        """
        wanted = self._left if size < 0 else min(size, self._left)
        if wanted == 0:
            return b""
        try:
            block = self._file.read(wanted)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise FileChangedError(f"{self._source.address} can't be read any more ({reason}).") from error
        if not block:
            self._source.check()
            raise FileChangedError(f"{self._source.address} ended before its last byte.")
        self._left -= len(block)
        if self._left == 0:
            # Before the last block goes out: the platform must not get a whole body of half a file.
            self._source.check()
        return block

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
        return file  # type: ignore[return-value]  # of a raw file, nothing is used but read() and close()


def look_at(status: os.stat_result) -> Look:
    """Say what a file's status tells."""
    version = (status.st_size, status.st_mtime_ns, status.st_ino)
    return Look(status.st_size, status.st_mtime, version)


LOCAL = LocalStore()
