"""The files that the platform keeps about a batch: lists of them, and their bytes.

See https://experienceleague.adobe.com/en/docs/experience-platform/data-access/api and
https://developer.adobe.com/experience-platform-apis/references/data-access/.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.api.errors import ApiError, UnreachableError
from airflow_provider_catalog.api.retries import Repeat
from airflow_provider_catalog.api.transport import Body, Call, Transport
from airflow_provider_catalog.api.validation import check_request

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

EXPORT = "/data/foundation/export"

PAGE_SIZE = 100
READ_BYTES = 128 * 1024
CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/(?:([0-9]+)|\*)")
PARTIAL = 206
BEYOND_THE_END = 416


@dataclass(frozen=True)
class ListedFile:
    """An entry of a list.

    :param name: the file's name, without its folder.
    :param size: its length in bytes; folders have none or zero.
    """

    name: str
    size: int | None


class DataAccess:
    """The part of the Data Access API that explains batches. Raises what :class:`.CatalogClient` raises.

    Files are given as readers, which fetch while they are read, take up again where a connection broke, and raise
    :class:`~airflow_provider_catalog.api.errors.NotFoundError` at the first reading if there is no such file.

    :param host: the API's base.
    :param transport: the conversation with it.
    """

    def __init__(self, host: str, transport: Transport) -> None:
        self._host = host
        self._transport = transport

    def list_failed(self, batch_id: str) -> Iterator[ListedFile]:
        """Go through the files with the rows of a batch that failed; there are none for others."""
        return self._list(batch_id, "failed", None)

    def open_failed(self, batch_id: str, name: str) -> io.BufferedReader:
        """Open one of these files."""
        return self._open(batch_id, "failed", name)

    def list_meta(self, batch_id: str, folder: str) -> Iterator[ListedFile]:
        """Go through a folder of a batch's diagnostics.

        :param batch_id: the batch.
        :param folder: ``row_errors`` or ``input_files``.
        :raises NotFoundError: the batch has no diagnostics.
        """
        return self._list(batch_id, "meta", folder)

    def open_meta(self, batch_id: str, path: str) -> io.BufferedReader:
        """Open a file of a batch's diagnostics.

        :param batch_id: the batch.
        :param path: the name, after the folder and a slash if it lies in one.
        """
        return self._open(batch_id, "meta", path)

    def _list(self, batch_id: str, kind: str, folder: str | None) -> Iterator[ListedFile]:
        url = self._url(batch_id, kind)
        params = {"path": folder} if folder else {}
        seen: set[str] = set()
        start = 0
        while True:
            # Links in an answer are not followed: they name hosts, and the token is for one only.
            query = {**params, "limit": str(PAGE_SIZE), "start": str(start)}
            answer = self._transport.send(Call("GET", url, Repeat.SAFE, params=query, answer="files"))
            page = answer if isinstance(answer, list) else answer["data"]
            # A service that ignores `start` would give the same page for ever.
            new = [item for item in page if item["name"] not in seen]
            yield from (_listed(item, folder) for item in new)
            seen.update(item["name"] for item in new)
            start += len(page)
            if not new or not _has_more(answer, start, len(page)):
                return

    def _open(self, batch_id: str, kind: str, path: str) -> io.BufferedReader:
        call = Call(
            "GET",
            self._url(batch_id, kind),
            Repeat.SAFE,
            params={"path": path},
            # Were it compressed, a part of it could not be read by itself.
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
        )
        return io.BufferedReader(_Download(self._transport, call), READ_BYTES)

    def _url(self, batch_id: str, kind: str) -> str:
        check_request(batch_id, "batchId")
        return f"{self._host}{EXPORT}/batches/{batch_id}/{kind}"


class _Download(io.RawIOBase):
    """The bytes of one file. When a connection breaks, the rest is asked for with ``Range``.

    Each reading has the client's whole patience, so that a long file may break as often as it gets on.
    """

    def __init__(self, transport: Transport, call: Call) -> None:
        super().__init__()
        self._transport = transport
        self._call = call
        self._patiently = transport.patience(call.repeat)
        self._body: Body | None = None
        self._position = 0
        self._length: int | None = None

    def readable(self) -> bool:
        """Say that it is for reading."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes into a buffer, and give their number; zero at the end.

        :raises CatalogError: they can't be had.
        """
        view = memoryview(buffer).cast("B")
        data: bytes = self._patiently(self._read_once, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Let go of the connection."""
        self._hang_up()
        super().close()

    def _read_once(self, size: int) -> bytes:
        try:
            return self._read(size)
        except UnreachableError:
            self._hang_up()
            raise

    def _read(self, size: int) -> bytes:
        data = self._take(size)
        if not data and not self._is_over:
            # Nothing was asked for yet, or the answer held only a part of the file.
            self._hang_up()
            self._ask()
            data = self._take(size)
            if not data and not self._is_over:
                raise UnreachableError(str(self._call), "no byte of a file that has more")
        return data

    def _take(self, size: int) -> bytes:
        if self._body is None:
            return b""
        data = self._body.read(size)
        if not data and self._length is None and self._body.status != PARTIAL:
            self._length = self._position
        return data

    @property
    def _is_over(self) -> bool:
        return self._length is not None and self._position >= self._length

    def _ask(self) -> None:
        """Ask for what is missing."""
        try:
            body = self._body = self._transport.open(self._call_for_the_rest())
        except ApiError as error:
            if error.failure.status != BEYOND_THE_END or not self._position:
                raise
            self._length = self._position
            return
        if body.headers.get("Content-Encoding", "identity") != "identity":
            raise UnreachableError(str(self._call), "a compressed file, which was not asked for")
        first, self._length = self._extent(body)
        self._skip(body, self._position - first)

    def _call_for_the_rest(self) -> Call:
        if not self._position:
            return self._call
        return replace(self._call, headers={**self._call.headers, "Range": f"bytes={self._position}-"})

    def _extent(self, body: Body) -> tuple[int, int | None]:
        """Give where an answer begins, which may not be where it was asked to, and how long the whole file is."""
        if body.status != PARTIAL:
            return 0, _number(body.headers.get("Content-Length"))
        match = CONTENT_RANGE.fullmatch(body.headers.get("Content-Range", ""))
        if match is None:
            raise UnreachableError(str(self._call), f"{PARTIAL} without a Content-Range that makes sense")
        return int(match[1]), _number(match[2])

    def _skip(self, body: Body, size: int) -> None:
        """Pass over what is there already."""
        while size > 0 and (data := body.read(min(size, READ_BYTES))):
            size -= len(data)
        if size:
            raise UnreachableError(str(self._call), "not the part of the file that was asked for")

    def _hang_up(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


def _has_more(answer: Any, seen: int, page_length: int) -> bool:
    if isinstance(answer, list):
        return page_length >= PAGE_SIZE
    if answer.get("_links", {}).get("next"):
        return True
    total = _number(answer.get("_page", {}).get("count"))
    return page_length >= PAGE_SIZE if total is None else total > seen


def _listed(item: Mapping[str, Any], folder: str | None) -> ListedFile:
    return ListedFile(item["name"].removeprefix(f"{folder}/"), _number(item.get("length")))


def _number(value: object) -> int | None:
    """Read a number of bytes or files; the API writes some as texts."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else None
