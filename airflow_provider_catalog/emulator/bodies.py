"""Request bodies: their media types, JSON that must look a certain way, and bodies that outlive their clients."""

from __future__ import annotations

import json
import tempfile
from typing import IO, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from starlette.requests import Request
from starlette.types import Message, Receive

from .problems import generic, problem

JSON = "application/json"
BYTES = "application/octet-stream"

LIMIT = 1024 * 1024
"""How many bytes a body may have that is not written to a file."""

_CHUNK = 64 * 1024
_IN_MEMORY = 1024 * 1024
_DEEPEST = 100  # objects and lists within one another
_TOO_DEEP = "The value is nested too deeply."


def media_type(request: Request) -> str:
    """Return the media type of a request's body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_media_type(request: Request, expected: str) -> None:
    """Refuse a body of another media type with 415."""
    if media_type(request) != expected:
        raise problem(415, f"The Content-Type must be {expected}.")


def require_catalog_json(request: Request) -> None:
    """Refuse a body that is not JSON the way that the Catalog does: with 400."""
    if media_type(request) != JSON:
        raise generic(400, "A valid content-type must be specified")


async def short_body(request: Request) -> bytes:
    """Return the body of a request; refuse one of more than `LIMIT` bytes with 413, without taking it in."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise problem(413, f"The body has more than {LIMIT} bytes.")
    return bytes(body)


def parsed_json(body: bytes) -> Any:
    """Return the JSON value in a body. Raises ValueError where there is none, or one that no answer can repeat.

    Python reads more than JSON allows, such as NaN and numbers that become infinite, and halves of characters
    (lone surrogates), which JSON allows and UTF-8 does not. What is nested very deeply it reads, but does not write.
    """
    try:
        value = json.loads(body)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if _is_deeper(value, _DEEPEST):
        raise ValueError(_TOO_DEEP)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


def _is_deeper(value: Any, most: int) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(members) and (most == 0 or any(_is_deeper(each, most - 1) for each in members))


async def json_object(request: Request, validator: Draft202012Validator) -> dict[str, Any]:
    """Return the JSON object in a request's body; refuse with 400 what is none, or not as the schema says.

    A long one is refused with 413.
    """
    try:
        body = parsed_json(await short_body(request))
    except ValueError:
        raise problem(400, "The request body is not JSON.") from None
    error = best_match(validator.iter_errors(body))
    if error:
        raise problem(400, f"{error.json_path}: {error.message}")
    return dict(body)


class WholeBody:
    """A request's body, taken in whole, so that it is there even if the client is not. To be closed."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - see close
        self._end_is_due = False

    async def take_in(self) -> None:
        """Read the body, up to its end or to where the client breaks off."""
        more = True
        while more:
            message = await self._receive()
            self._file.write(message.get("body", b""))
            more = message.get("more_body", False)
            self._end_is_due = message["type"] == "http.request"
        self._file.seek(0)

    async def receive(self) -> Message:
        """Give the body again, and then whatever comes from the client."""
        if chunk := self._file.read(_CHUNK):
            return {"type": "http.request", "body": chunk, "more_body": True}
        if self._end_is_due:
            self._end_is_due = False
            return {"type": "http.request", "body": b"", "more_body": False}
        return await self._receive()

    def close(self) -> None:
        """Forget the body."""
        self._file.close()
