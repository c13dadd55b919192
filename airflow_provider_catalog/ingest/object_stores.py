"""Files that lie anywhere that fsspec reaches: S3, Google Cloud Storage, Azure, HTTP, and others."""

from __future__ import annotations

import errno
import io
import logging
import os
import tempfile
import threading
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import floor
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from weakref import WeakSet, finalize

from airflow_provider_catalog.ingest.sources import Look

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

BLOCK_BYTES = 8 * 1024 * 1024
"""How much is asked of a store at a time. Files that are open together share it: memory must not grow with their number."""

# Each store has words of its own for what it tells of a file.
WRITTEN_FIELDS = ("LastModified", "last_modified", "updated", "mtime", "modified", "Last-Modified", "created")
VERSION_FIELDS = ("ETag", "etag", "generation", "md5Hash", "content_md5")

NO_SUCH_FILE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class ObjectStore:
    """One file system of fsspec, with the credentials that it was made with.

    :param fs: the file system.
    """

    def __init__(self, fs: AbstractFileSystem) -> None:
        self._fs = fs
        self._lock = threading.Lock()
        self._opened: WeakSet[_Blocks] = WeakSet()

    @property
    def account(self) -> str | None:
        """The storage account that the credentials are for. Only file systems of Azure have one."""
        return getattr(self._fs, "account_name", None)

    def look(self, path: str) -> Look:
        """Look at a file as it is now.

        :raises OSError: it can't be looked at.
        """
        # What a file system remembers of an earlier look is not what is there now.
        self._fs.invalidate_cache(self._fs._parent(path))
        return self.seen(path, self._info(path))

    def _info(self, path: str) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self._fs.info(path)
        return info

    def seen(self, path: str, info: Mapping[str, Any]) -> Look:
        """Say what a file system's record of a file tells.

        :param path: the file.
        :param info: the record.
        """
        size = int(info["size"])
        written = _written(info)
        version = (size, _version(info, written))
        # Stores tell whole seconds: a file that was written to a moment later must not look older than a batch of that second.
        return Look(size, None if written is None else floor(written) + 1.0, version)

    def open(self, path: str, start: int) -> BinaryIO:
        """Open a file for reading from a byte on. Nothing of it is kept but the block that is being read.

        :raises OSError: it can't be opened.
        """
        file = self._fs.open(path, "rb", block_size=BLOCK_BYTES, cache_type="none")
        file.seek(start)
        with self._lock:
            others = sum(not each.closed for each in self._opened)
            blocks = _Blocks(file, BLOCK_BYTES // (others + 1))
            self._opened.add(blocks)
        return cast(BinaryIO, blocks)


class _Blocks(io.RawIOBase):
    """Reads a file from where it stands, and lets go of each block before it asks for the next one.

    :param file: the file; closed with this.
    :param size: bytes of a block.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say that it is."""
        return True

    def readinto(self, target: Any) -> int:
        """Read as much as the target takes, or as is left of a block; nothing at the end."""
        if not self._rest:
            self._rest = memoryview(b"")
            self._rest = memoryview(self._file.read(self._size))
        block, self._rest = self._rest[: len(target)], self._rest[len(target) :]
        target[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class WebStore(ObjectStore):
    """One file of a web server, of which some give a file from its beginning only, or do not say how long it is.

    Such a file is copied to this machine, once, if a part of it is needed.
    """

    def __init__(self, fs: AbstractFileSystem) -> None:
        super().__init__(fs)
        self._copying = threading.Lock()
        self._copy: _Copy | None = None
        self._gives_ranges = True

    def seen(self, path: str, info: Mapping[str, Any]) -> Look:
        """Say what a server tells of a file, or how long it turned out to be."""
        if info.get("size") is None:
            info = {**info, "size": self._copied(path).size}
        return super().seen(path, info)

    def _info(self, path: str) -> Mapping[str, Any]:
        try:
            return super()._info(path)
        except FileNotFoundError as error:
            cause = error.__cause__
            status = getattr(cause, "status", None)
            if status in NO_SUCH_FILE:
                raise
        # What it was raised from tells the address, which may open the file to everybody.
        told = f"status {status}" if status else type(cause).__name__
        raise OSError(errno.EACCES if status in REFUSED else errno.EIO, told)

    def open(self, path: str, start: int) -> BinaryIO:
        """Open a file for reading from a byte on.

        :raises OSError: it can't be opened.
        """
        if start == 0:
            return cast(BinaryIO, self._stream(path))
        if self._gives_ranges:
            file = self._stream(path, headers={"Range": f"bytes={start}-"})
            if file.r.status == HTTPStatus.PARTIAL_CONTENT:
                return cast(BinaryIO, file)
            # Nothing was read of it: it may be large.
            file.close()
            self._gives_ranges = False
        return cast(BinaryIO, _CopyReader(self._copied(path), start))

    def _stream(self, path: str, **options: Any) -> Any:
        """Read as it arrives. Without a size the file system would ask for one first."""
        return self._fs.open(path, "rb", block_size=0, size=1, **options)

    def _copied(self, path: str) -> _Copy:
        with self._copying:
            if self._copy is None:
                log.info(
                    "A file that can't be read in parts, or whose size is not told, is copied to this machine."
                )
                self._copy = _Copy(self._fs, path)
            return self._copy


class _Copy:
    """A file's copy on this machine. It has no name in any folder: however this process ends, nothing stays behind.

    :param fs: the file system that the file is copied from.
    :param path: the file.
    :raises OSError: it can't be copied.
    """

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        finalize(self, file.close)
        fs.get_file(path, file)
        self.size = file.seek(0, os.SEEK_END)
        self.descriptor = file.fileno()


class _CopyReader(io.RawIOBase):
    """Reads a copy from a position of its own, which other readers do not move.

    :param copy: the copy; stays open when this is closed.
    :param start: the first byte to read.
    """

    def __init__(self, copy: _Copy, start: int) -> None:
        self._copy = copy
        self._position = start

    def readable(self) -> bool:
        """Say that it is."""
        return True

    def seekable(self) -> bool:
        """Say that it is."""
        return True

    def readinto(self, target: Any) -> int:
        """Read as much as the target takes, or as is left; nothing at the end."""
        arrived = os.preadv(self._copy.descriptor, [target], self._position)
        self._position += arrived
        return arrived

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, counted from the beginning, from here or from the end."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._copy.size}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """Say which byte is the next."""
        return self._position


def _version(info: Mapping[str, Any], written: float | None) -> str | None:
    """Give what becomes another text when the content does. A list of files and a look at one may tell different things."""
    for name in VERSION_FIELDS:
        if info.get(name):
            return str(info[name]).strip('"')
    return None if written is None else f"{written:.0f}"


def _written(info: Mapping[str, Any]) -> float | None:
    for name in WRITTEN_FIELDS:
        moment = _moment(info.get(name))
        if moment is not None:
            return moment
    return None


def _moment(value: object) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        for parse in (datetime.fromisoformat, parsedate_to_datetime):
            try:
                return parse(value).timestamp()
            except ValueError:
                continue
    return None
