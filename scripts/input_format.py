"""Recognise what a file to ingest holds, from its suffix and its first bytes."""

from __future__ import annotations

import json
from pathlib import Path

FIRST_LINE_LIMIT = 1024 * 1024
PARQUET_MAGIC = b"PAR1"
JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}


class UnusableFileError(Exception):
    """The file cannot be ingested; the message says why."""


def recognise(path: Path) -> str:
    """Return the input format of a file: `json`, `multiline-json`, `parquet` or `csv`.

    :raises UnusableFileError: if there is no such file, or nothing in it that can be recognised.
    """
    start = first_line(path)
    suffix = path.suffix.lower()
    if start.startswith(PARQUET_MAGIC):
        return "parquet"
    if suffix == ".csv":
        return "csv"
    if suffix in JSON_SUFFIXES:
        return json_layout(path, start)
    if suffix == ".parquet":
        raise UnusableFileError(f"{path} is called .parquet but does not start like a Parquet file.")
    raise UnusableFileError(f"{path} is none of .json, .jsonl, .ndjson, .csv and .parquet.")


def first_line(path: Path) -> bytes:
    """Return the first line that is not blank, or its beginning where it is very long."""
    try:
        with path.open("rb") as file:
            while line := file.readline(FIRST_LINE_LIMIT):
                if line.strip():
                    return line.removeprefix(b"\xef\xbb\xbf").lstrip()
    except FileNotFoundError:
        raise UnusableFileError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise UnusableFileError(f"{path} is a folder. Name one file in it.") from None
    except OSError as error:
        raise UnusableFileError(f"{path} cannot be read: {error.strerror}.") from None
    raise UnusableFileError(f"{path} is empty.")


def json_layout(path: Path, start: bytes) -> str:
    """Tell one object per line (`json`) from an array or an object over several lines (`multiline-json`)."""
    if start.startswith(b"["):
        return "multiline-json"
    if not start.startswith(b"{"):
        raise UnusableFileError(f"{path} holds neither JSON objects nor an array of them.")
    if len(start) >= FIRST_LINE_LIMIT:
        return "json"
    try:
        json.loads(start)
    except ValueError:
        return "multiline-json"
    return "json"
