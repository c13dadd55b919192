"""From paths and globs to the files of a batch, checked before the first byte moves."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from airflow_provider_catalog.api.errors import FileChangedError, InvalidInputError
from airflow_provider_catalog.api.validation import check_request

# Adobe's guides name 256 MB for one upload, and count in decimal elsewhere.
SMALL_FILE_LIMIT = 256_000_000

PARTITION_FOLDER = re.compile(r"[^=]+=[^=]*")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class SourceFile:
    """A local file and its place in the batch.

    :param path: where it lies.
    :param remote_name: its path inside the batch, partition folders included.
    :param size: its length in bytes when it was looked at.
    :param written: when it was last written to, in epoch seconds.
    """

    path: Path
    remote_name: str
    size: int
    written: float

    def open(self) -> FixedLengthReader:
        """Open its bytes for one sending.

        :raises FileChangedError: it can't be opened any more.
        """
        try:
            return FixedLengthReader(self.path, self.size)
        except OSError as error:
            raise FileChangedError(f"{self.path} can't be opened any more ({error.strerror}).") from error


class FixedLengthReader:
    """Reads exactly as many bytes as were announced, and notices a file that grows, shrinks or is written to meanwhile."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._left = size
        self._file = path.open("rb", buffering=0)
        self._written_at = self._last_write()

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes.

        :raises FileChangedError: the file is not what it was.
        """
        wanted = self._left if size < 0 else min(size, self._left)
        if wanted == 0:
            return b""
        block = self._file.read(wanted)
        if not block:
            raise FileChangedError(f"{self._path} shrank while it was being uploaded.")
        self._left -= len(block)
        if self._left == 0:
            # Before the last block goes out: the platform must not get a whole body of half a file.
            self._check_end()
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_end(self) -> None:
        if self._file.read(1):
            raise FileChangedError(f"{self._path} grew while it was being uploaded.")
        if self._last_write() != self._written_at:
            raise FileChangedError(f"{self._path} was written to while it was being uploaded.")

    def _last_write(self) -> int:
        return os.fstat(self._file.fileno()).st_mtime_ns


def find_files(files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[SourceFile, ...]:
    """Find the files that paths and globs name, and check them all.

    Folders of the form ``key=value`` right above a file, and all folders that a glob's wildcards went through, are kept in
    the remote name.

    :param files: one path or glob, or several; ``**`` goes through folders.
    :raises InvalidInputError: a file is missing, empty, unreadable, too large or no file, or two would get the same name.
    """
    patterns = [files] if isinstance(files, str | os.PathLike) else files
    if not isinstance(patterns, Iterable):
        raise InvalidInputError("files", files, "a path, a glob, or a list of these")
    found = tuple(file for pattern in patterns for file in _match(pattern))
    if not found:
        raise InvalidInputError("files", files, "at least one path or glob")
    _refuse_duplicates(found)
    return found


def _match(pattern: str | os.PathLike[str]) -> list[SourceFile]:
    text = _checked_pattern(pattern)
    # A file whose name happens to hold wildcard characters is meant by its name.
    if not glob.has_magic(text) or os.path.lexists(text):
        return [_source_file(Path(text), Path(text).parent)]
    base = _fixed_part(text)
    _refuse_unreadable_folders(base, text)
    paths = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
    matches = [_source_file(path, base) for path in paths if not path.is_dir()]
    if not matches:
        raise InvalidInputError("files", text, "a glob that matches at least one file")
    return matches


def _checked_pattern(pattern: object) -> str:
    if not isinstance(pattern, str | os.PathLike):
        raise InvalidInputError("files", pattern, "paths and globs as texts")
    text = os.fspath(pattern)
    if not text.strip():
        raise InvalidInputError("files", text, "a path or a glob that is not empty")
    if CONTROL_CHARACTERS.search(text):
        raise InvalidInputError("files", text, "a path without control characters")
    if ".." in PurePath(text).parts:
        raise InvalidInputError("files", text, "a path without ..")
    return text


def _fixed_part(pattern: str) -> Path:
    """Give the folder above the first wildcard."""
    parts = PurePath(pattern).parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _refuse_unreadable_folders(base: Path, pattern: str) -> None:
    """Refuse what a glob passes over in silence: a batch with a part of the files would look like a whole one."""
    parts = PurePath(pattern).parts
    deepest = len(parts) if parts[-1] == "**" else len(parts) - 1
    for depth in range(len(base.parts), deepest + 1):
        for folder in glob.iglob(str(Path(*parts[:depth])), recursive=True):
            if os.path.isdir(folder):
                _refuse_unreadable_folder(folder)


def _refuse_unreadable_folder(folder: str) -> None:
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise InvalidInputError("files", folder, f"a readable folder ({error.strerror})") from None


def _source_file(path: Path, base: Path) -> SourceFile:
    status = _checked_status(path)
    while PARTITION_FOLDER.fullmatch(base.name):
        base = base.parent
    remote_name = path.relative_to(base).as_posix()
    try:
        check_request(remote_name, "remoteName")
    except InvalidInputError as error:
        raise InvalidInputError("files", str(path), error.allowed) from None
    return SourceFile(path, remote_name, status.st_size, status.st_mtime)


def _checked_status(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InvalidInputError("files", str(path), "a file that exists") from None
    except OSError as error:
        raise InvalidInputError("files", str(path), f"a readable file ({error.strerror})") from None
    if stat.S_ISDIR(status.st_mode):
        raise InvalidInputError(
            "files", str(path), "a file; for a folder's files use a glob such as folder/*.json"
        )
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInputError("files", str(path), "a regular file")
    if not os.access(path, os.R_OK):
        raise InvalidInputError("files", str(path), "a file that this process may read")
    if status.st_size == 0:
        raise InvalidInputError(
            "files", str(path), "a file that is not empty (the platform fails batches with empty ones)"
        )
    if status.st_size > SMALL_FILE_LIMIT:
        allowed = (
            f"a file of at most {SMALL_FILE_LIMIT:,} bytes (it has {status.st_size:,}); split it into several"
        )
        raise InvalidInputError("files", str(path), allowed)
    return status


def _refuse_duplicates(files: Sequence[SourceFile]) -> None:
    first_by_name: dict[str, SourceFile] = {}
    for file in files:
        first = first_by_name.setdefault(file.remote_name, file)
        if first is not file:
            allowed = f"files with different names in the batch; {first.path} is {file.remote_name!r} already"
            raise InvalidInputError("files", str(file.path), allowed)
