"""Reading the records of a file of JSON, block by block.

What can't be read is a record with a flaw. NaN and Infinity, which Python would read, are not JSON; a number that no double
can hold is refused here as well, since no type of column takes it. Of a name that comes twice the last value counts.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple, NoReturn

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.ingest.guardrails import SMALL_FILE_LIMIT
from airflow_provider_catalog.ingest.preflight.flaws import Flaw
from airflow_provider_catalog.ingest.sources import SourceFile

BLOCK_BYTES = 1024 * 1024

# A line that is longer could not be sent, since files are split at line ends only.
LONGEST_RECORD = SMALL_FILE_LIMIT

# Characters that can complete a word or an escape that is cut in two.
LONGEST_TOKEN = 16

SPACE = re.compile(r"[ \t\r\n]*")

Wanted = Callable[[int], bool]
Tick = Callable[[int], None]


class Record(NamedTuple):
    """A record, and where it stands.

    :param line: the line on which it begins, from 1.
    :param value: what was read; None where nothing can be.
    :param flaw: why it can't be read.
    :param start: of JSON lines, the first byte of its line.
    :param end: the byte after its line end.
    :param raw: the bytes of its line.
    """

    line: int
    value: Any
    flaw: Flaw | None = None
    start: int = 0
    end: int = 0
    raw: bytes = b""


class Unreadable(Exception):
    """From here on nothing can be read; says why."""


def _no_constant(name: str) -> NoReturn:
    raise Unreadable("is not JSON (NaN and Infinity are no numbers)")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("has a number that is too large for a double")
    return number


DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def json_lines(source: SourceFile, tick: Tick, wanted: Wanted) -> Iterator[Record]:
    """Read a file that has one object on each line. Blank lines are no records.

    :param tick: called with the number of bytes before each block that is read.
    :param wanted: whether to give a record, by its number from 0.
    :raises InvalidInputError: a line is too long to be sent.
    :raises FileChangedError: the file is not what it was when it was looked at.
    """
    number = 0
    for line, start, raw in _lines(source, tick):
        if not raw or raw.isspace():
            continue
        if wanted(number):
            # The last line may lack its end.
            yield _record_of_line(line, start, min(start + len(raw) + 1, source.size), raw)
        number += 1


def _lines(source: SourceFile, tick: Tick) -> Iterator[tuple[int, int, bytes]]:
    """Give each line with its number from 1 and the place of its first byte, without its line end."""
    line, start, rest, length = 1, 0, [], 0
    for block in _blocks(source, tick):
        first, *others = block.split(b"\n")
        rest.append(first)
        length += len(first)
        if length > LONGEST_RECORD:
            raise _too_long(source, f"line {line}")
        if not others:
            continue
        for whole in (b"".join(rest), *others[:-1]):
            yield line, start, whole
            line, start = line + 1, start + len(whole) + 1
        rest, length = [others[-1]], len(others[-1])
    yield line, start, b"".join(rest)


def _record_of_line(line: int, start: int, end: int, raw: bytes) -> Record:
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        value = DECODER.decode(text)
    except (ValueError, RecursionError, Unreadable) as error:
        return Record(line, None, Flaw("json", _reason(error)), start, end, raw)
    return Record(line, value, None, start, end, raw)


def _reason(error: ValueError | RecursionError | Unreadable) -> str:
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        # Some of these end with a character of the text.
        return f"is not JSON ({error.msg.partition(': ')[0]})"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return "is not readable (too many levels, or a number with too many digits)"


def _blocks(source: SourceFile, tick: Tick) -> Iterator[bytes]:
    with closing(source.open()) as reader:
        while True:
            tick(BLOCK_BYTES)
            block = reader.read(BLOCK_BYTES)
            if not block:
                return
            yield block


def _too_long(source: SourceFile, place: str) -> InvalidInputError:
    allowed = (
        f"records of at most {LONGEST_RECORD:,} bytes ({place} is longer, or the file is of another format)"
    )
    return InvalidInputError("files", source.address, allowed)


def multiline_json(source: SourceFile, tick: Tick, wanted: Wanted) -> Iterator[Record]:
    """Read a file with one array of objects, or with objects that follow one another, over any number of lines.

    What comes after a syntax error can't be read: it is one record with a flaw.

    :param tick: called with the number of bytes before each block that is read.
    :param wanted: whether to give a record, by its number from 0.
    :raises InvalidInputError: an object is too long.
    :raises FileChangedError: the file is not what it was when it was looked at.
    """
    text = _Text(source, tick)
    number = 0
    try:
        for line, value in _values(text):
            if wanted(number):
                yield Record(line, value)
            number += 1
    except Unreadable as error:
        yield Record(text.line, None, Flaw("json", str(error)))
    for _ in text.blocks:  # to the end, where it is found out whether the file has changed
        pass


def _values(text: _Text) -> Iterator[tuple[int, Any]]:
    is_array = text.take("[")
    if is_array and text.take("]"):
        text.expect_end()
        return
    while text.peek() or is_array:
        line = text.line
        yield line, text.value()
        if is_array and not text.take(","):
            text.expect("]")
            text.expect_end()
            return


class _Text:
    """The text of a file, of which only what is not taken yet is kept.

    Everything raises Unreadable at what is no JSON. ``line`` is the number of the line, from 1, up to which all is taken.

    :param source: the file.
    :param tick: called before each block that is read.
    """

    def __init__(self, source: SourceFile, tick: Tick) -> None:
        self.blocks = _blocks(source, tick)
        self._source = source
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._buffer = ""
        self._at = 0
        self.line = 1
        self._ended = False

    def peek(self) -> str:
        """Give the next character that is not blank; "" at the end."""
        while True:
            space = SPACE.match(self._buffer, self._at)
            self._advance(space.end() if space else self._at)
            if self._at < len(self._buffer) or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._read(1)

    def take(self, character: str) -> bool:
        """Take the next character that is not blank if it is this one."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def expect(self, character: str) -> None:
        """Take the next character that is not blank, which must be this one."""
        if not self.take(character):
            raise Unreadable(f"is not JSON (Expecting '{character}')")

    def expect_end(self) -> None:
        """Make sure that nothing is left."""
        if self.peek():
            raise Unreadable("is not JSON (Extra data)")

    def value(self) -> Any:
        """Take the next value."""
        self.peek()
        complaint, more = None, max(BLOCK_BYTES, LONGEST_TOKEN)
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._at)
                # A number may go on in the next block.
                if end < len(self._buffer) or self._ended:
                    self._advance(end)
                    return value
            except json.JSONDecodeError as error:
                found = (error.msg, error.pos - self._at)
                # The same complaint at the same place with more text at hand: it is not because a value is cut in two.
                if self._ended or (found == complaint and not error.msg.startswith("Unterminated")):
                    raise Unreadable(_reason(error)) from None
                complaint = found
            except (ValueError, RecursionError) as error:
                raise Unreadable(_reason(error)) from None
            if len(self._buffer) - self._at > LONGEST_RECORD:
                raise _too_long(self._source, f"the one that begins on line {self.line}")
            self._read(more)
            more *= 2  # so that a long value is not read anew for each block of it

    def _advance(self, end: int) -> None:
        self.line += self._buffer.count("\n", self._at, end)
        self._at = end

    def _read(self, least: int) -> None:
        """Read so many characters, or up to the end."""
        parts, size = [self._buffer[self._at :]], 0
        while size < least and not self._ended:
            block = next(self.blocks, b"")
            try:
                part = self._decode(block, not block)
            except UnicodeDecodeError as error:
                raise Unreadable(_reason(error)) from None
            parts.append(part)
            size += len(part)
            self._ended = not block
        self._buffer, self._at = "".join(parts), 0
