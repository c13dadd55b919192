"""What files are called in a batch, and which of them are taken for data; wherever they lie."""

from __future__ import annotations

import glob
import logging
import re
from pathlib import PurePath
from typing import TypeVar

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.validation import check_request

log = logging.getLogger(__name__)

ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
PARTITION_FOLDER = re.compile(r"[^=]+=[^=]*")

WEB = ("http://", "https://")
# A path object has taken one of the slashes away.
WEB_ANYWHERE = re.compile(r"(https?:/+[^?]*)\?.*", re.IGNORECASE | re.DOTALL)
LOCAL_SCHEME = "file://"

P = TypeVar("P", bound=PurePath)


def lower_scheme(text: str) -> str:
    """Write the scheme of an address in lower case, which is how everything else here knows it.

    >>> lower_scheme("HTTPS://Host/A"), lower_scheme("Data/A")
    ('https://Host/A', 'Data/A')
    """
    return ADDRESS.sub(lambda scheme: scheme[0].lower(), text)


def without_query(text: str) -> str:
    """Give a text as it may be shown: what follows a question mark on the web opens the file to everybody perhaps.

    >>> without_query("https://host/a?sig=secret"), without_query("zip://a::https://host/b?sig=secret"), without_query("a?.csv")
    ('https://host/a', 'zip://a::https://host/b', 'a?.csv')
    """
    return WEB_ANYWHERE.sub(r"\1", text)


def is_chain(text: str) -> bool:
    """Whether fsspec would take an address for a chain of file systems, such as ``simplecache::https://host/a``.

    >>> is_chain("zip://a::s3://bucket/b"), is_chain("s3://bucket/a::b"), is_chain("file:///a::b"), is_chain("a::b")
    (True, True, False, False)
    """
    text = text.removeprefix(LOCAL_SCHEME)
    return "::" in text and "://" in text


def shown_cause(address: str, error: Exception) -> Exception | None:
    """Give what an exception about a file may be raised from; errors of the web tell the whole address, and would be logged."""
    return None if address.startswith(WEB) else error


def fixed_part(pattern: P) -> P:
    """Give the folder above a glob's first wildcard."""
    first = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    return type(pattern)(*pattern.parts[:first])


def above_partitions(folder: P) -> P:
    """Give the folder below which a file's path in the batch begins: folders of the form ``key=value`` are kept."""
    while PARTITION_FOLDER.fullmatch(folder.name):
        folder = folder.parent
    return folder


def remote_name(name: str, address: str) -> str:
    """Check a file's path inside the batch, and give it.

    :param name: the path.
    :param address: the file, as users know it.
    :raises InvalidInputError: the platform would not take it.
    """
    try:
        check_request(name, "remoteName")
    except InvalidInputError as error:
        raise InvalidInputError("files", address, error.allowed) from None
    return name


def refuse_empty(size: int, address: str) -> None:
    """Refuse a file without any byte.

    :raises InvalidInputError: it is one.
    """
    if size == 0:
        allowed = "a file that is not empty (the platform fails batches with empty ones)"
        raise InvalidInputError("files", address, allowed)


def is_hidden(path: str) -> bool:
    """Whether a path below a folder is one of those that hold no data by convention, such as ``_SUCCESS`` and ``.crc``.

    >>> is_hidden("a/_SUCCESS"), is_hidden(".tmp/a"), is_hidden("_day=1/a")
    (True, True, False)
    """
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in path.split("/"))


def log_left_out(folder: str, count: int) -> None:
    """Say how many files of a folder are taken for no data, if any."""
    if count:
        log.info(
            "%d file(s) in %s are left out: their names, or their folders', begin with . or _.", count, folder
        )
