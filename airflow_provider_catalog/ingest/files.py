"""From what users name to the files of a batch, checked before the first byte moves."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.ingest.file_names import (
    ADDRESS,
    CONTROL_CHARACTERS,
    LOCAL_SCHEME,
    WEB_ANYWHERE,
    above_partitions,
    fixed_part,
    is_chain,
    is_hidden,
    log_left_out,
    lower_scheme,
    refuse_empty,
    remote_name,
    without_query,
)
from airflow_provider_catalog.ingest.sources import LOCAL, SourceFile, look_at
from airflow_provider_catalog.ingest.stored_files import (
    Connect,
    connect_without_credentials,
    find_in_store,
)

FilePattern = str | os.PathLike[str]


def find_files(
    files: FilePattern | Iterable[FilePattern], connect: Connect = connect_without_credentials
) -> tuple[SourceFile, ...]:
    """Find the files that paths, folders, globs and addresses of object stores name, and check them all.

    Folders of the form ``key=value`` right above a file, and all folders that a glob's wildcards went through or that lie below a
    folder, are kept in the remote name. Of a folder all files are taken, however deep, but those whose names, or whose folders'
    names, begin with ``.`` or ``_``: by convention they hold no data (``_SUCCESS``).

    :param files: one path, folder, glob or address, or several; ``**`` goes through folders.
    :param connect: reaches the store of an address.
    :raises InvalidInputError: a file is missing, empty, unreadable or no file, or two would get the same name.
    """
    patterns = [files] if isinstance(files, str | os.PathLike) else files
    if not isinstance(patterns, Iterable):
        raise InvalidInputError("files", files, "a path, a glob, or a list of these")
    found = tuple(file for pattern in patterns for file in _match(pattern, connect))
    if not found:
        raise InvalidInputError("files", files, "at least one path or glob")
    _refuse_duplicates(found)
    return found


def _match(pattern: FilePattern, connect: Connect) -> list[SourceFile]:
    text = _checked_pattern(pattern)
    if ADDRESS.match(text) and not text.startswith(LOCAL_SCHEME):
        return find_in_store(text, connect)
    return _match_local(text.removeprefix(LOCAL_SCHEME))


def _match_local(text: str) -> list[SourceFile]:
    # A file whose name happens to hold wildcard characters is meant by its name.
    if not glob.has_magic(text) or os.path.lexists(text):
        path = Path(text)
        return _files_below(path) if os.path.isdir(path) else [_source_file(path, path.parent)]
    base = fixed_part(Path(text))
    _refuse_unreadable_folders(base, text)
    paths = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
    matches = [_source_file(path, base) for path in paths if not path.is_dir()]
    if not matches:
        raise InvalidInputError("files", text, "a glob that matches at least one file")
    return matches


def _files_below(folder: Path) -> list[SourceFile]:
    paths = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=_refuse_unreadable, followlinks=True)
        for name in names
    ]
    taken = [path for path in sorted(paths) if not is_hidden(path.relative_to(folder).as_posix())]
    if not taken:
        raise InvalidInputError("files", str(folder), "a folder with at least one file")
    log_left_out(str(folder), len(paths) - len(taken))
    return [_source_file(path, folder) for path in taken]


def _refuse_unreadable(error: OSError) -> None:
    raise InvalidInputError("files", str(error.filename), f"a readable folder ({error.strerror})") from None


def _checked_pattern(pattern: object) -> str:
    if not isinstance(pattern, str | os.PathLike):
        raise InvalidInputError("files", _shown(pattern), "paths and globs as texts")
    text = lower_scheme(os.fspath(pattern))
    shown = without_query(text)
    if not text.strip():
        raise InvalidInputError("files", text, "a path or a glob that is not empty")
    if CONTROL_CHARACTERS.search(text):
        raise InvalidInputError("files", shown, "a path without control characters")
    if ".." in PurePath(text).parts:
        raise InvalidInputError("files", shown, "a path without ..")
    # fsspec would read what stands before the ::, which may be another file.
    if is_chain(text):
        allowed = "an address without ::, which chains file systems (on the web, %3A%3A means the same)"
        raise InvalidInputError("files", shown, allowed)
    is_local = not ADDRESS.match(text) or text.startswith(LOCAL_SCHEME)
    if is_local and WEB_ANYWHERE.search(text):
        allowed = "a web address as a text that begins with http:// or https://"
        raise InvalidInputError("files", shown, allowed)
    return text


def _shown(value: object) -> object:
    """Give a value that is no path as it may be shown."""
    holds_query = WEB_ANYWHERE.search(repr(value)) is not None
    return f"{type(value).__name__} with a web address in it" if holds_query else value


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
    name = remote_name(path.relative_to(above_partitions(base)).as_posix(), str(path))
    return SourceFile(LOCAL, str(path), str(path), name, look_at(status))


def _checked_status(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InvalidInputError("files", str(path), "a file that exists") from None
    except OSError as error:
        raise InvalidInputError("files", str(path), f"a readable file ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInputError("files", str(path), "a regular file")
    if not os.access(path, os.R_OK):
        raise InvalidInputError("files", str(path), "a file that this process may read")
    refuse_empty(status.st_size, str(path))
    return status


def _refuse_duplicates(files: Sequence[SourceFile]) -> None:
    first_by_name: dict[str, SourceFile] = {}
    for file in files:
        first = first_by_name.setdefault(file.remote_name, file)
        if first is not file:
            allowed = (
                f"files with different names in the batch; {first.address} is {file.remote_name!r} already"
            )
            raise InvalidInputError("files", file.address, allowed)
