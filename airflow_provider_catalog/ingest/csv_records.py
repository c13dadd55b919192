r"""Where the records of a CSV file end.

Readers of CSV agree on most: a quote opens at the beginning of a field only; inside quotes a doubled quote and an escaped
character are data; a line feed outside quotes ends a record, and so does a carriage return with a line feed.
Where they differ, a record is said to end only if it ends for all of them, so that each reads parts as it would the whole:

- Outside quotes an escape is an ordinary character for Spark (univocity, ``escapeUnquotedValues=false``). For Python's ``csv``
  it makes data of a line break, a delimiter, and of the quote after that: in ``C:\,"a`` one sees a quoted field, the other
  does not. A file is followed as both do.
- A carriage return alone is the end of a record for most. No record is said to end there, but a quote after it opens.

Only bytes are looked at: all charsets that the platform takes contain US-ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_provider_catalog.api.errors import InvalidInputError

LINE_FEED = b"\n"
CHARSETS = ("US-ASCII", "UTF-8", "ISO-8859-1")
DEFAULT_MARKS = {"delimiter": ",", "quote": '"', "escape": "\\"}
DIALECT_ALLOWED = (
    f"for CSV files that must be cut a charset of {', '.join(CHARSETS)}, and a delimiter, quote and escape of one byte each, "
    "none of them a line break, the delimiter unlike the others"
)


@dataclass(frozen=True)
class CsvDialect:
    """How a CSV file is written; the defaults are the platform's.

    :param delimiter: one byte.
    :param quote: one byte.
    :param escape: one byte; if it is the quote, quotes are doubled and nothing else is escaped.
    :param header: whether the first record names the columns.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b"\\"
    header: bool = True

    @classmethod
    def of(cls, input_format: Mapping[str, Any]) -> CsvDialect:
        """Take it from an ``inputFormat`` in Adobe's names, in which a boolean may be a text.

        :raises InvalidInputError: records can't be found in files of this format.
        """
        charset = input_format.get("charset", "UTF-8")
        marks = {name: str(input_format.get(name, default)) for name, default in DEFAULT_MARKS.items()}
        delimiter, quote, escape = (_encoded(mark, charset) for mark in marks.values())
        usable = all(len(mark) == 1 and mark not in b"\r\n" for mark in (delimiter, quote, escape))
        if not usable or delimiter in (quote, escape):
            raise InvalidInputError("input_format", dict(input_format), DIALECT_ALLOWED)
        return cls(delimiter, quote, escape, str(input_format.get("header", True)).lower() == "true")


def _encoded(mark: str, charset: str) -> bytes:
    """Give a mark as it stands in a file; empty if it can't, or if its byte might be part of another character there."""
    return mark.encode(charset, errors="ignore") if charset in CHARSETS else b""


class CsvRecords:
    """Follows a CSV file from the beginning of a record on, block by block."""

    def __init__(self, dialect: CsvDialect) -> None:
        self._quote = dialect.quote
        self._escape = b"" if dialect.escape == dialect.quote else dialect.escape
        self._readers = [
            _Reader(dialect, everywhere) for everywhere in ([False, True] if self._escape else [False])
        ]
        self._states = [_State() for _ in self._readers]

    @property
    def quote_is_open(self) -> bool:
        """Whether some reader would be inside quotes if the file ended here."""
        return any(state.quoted and state.tail != self._quote for state in self._states)

    def first_end(self, text: bytes) -> int | None:
        """Look for the end of the first record of a text, apart from what else is read.

        :returns: how long it is; None if it does not end, or not at the same byte for all readers.
        """
        ends = {reader.first_end(text) for reader in self._readers}
        return ends.pop() if len(ends) == 1 else None

    def read(self, block: bytes) -> int:
        """Read on.

        :returns: how many of these bytes come before the last end of a record in them; 0 if there is none.
        """
        if self._escape not in block and len(set(self._states)) == 1:
            # All readers see the same: one reads for all.
            end, state = self._readers[0].read(self._states[0], block)
            self._states = [state] * len(self._readers)
            return end
        before = self._states
        ends, self._states = self._read_each(before, block)
        return ends[0] if len(set(ends)) == 1 else self._last_common_end(before, block)

    def _last_common_end(self, states: list[_State], block: bytes) -> int:
        ends, _ = self._read_each(states, block)
        if len(set(ends)) == 1 or 0 in ends:
            return min(ends)
        half = len(block) // 2
        _, between = self._read_each(states, block[:half])
        end = self._last_common_end(between, block[half:])
        return half + end if end else self._last_common_end(states, block[:half])

    def _read_each(self, states: list[_State], block: bytes) -> tuple[list[int], list[_State]]:
        results = [reader.read(state, block) for reader, state in zip(self._readers, states, strict=True)]
        return [end for end, _ in results], [state for _, state in results]


class _State(NamedTuple):
    """How far a reader has come.

    :param tail: bytes to look at again, since what they mean depends on those that follow.
    :param seen: how many of these were read, and only tell what stands before the others.
    :param quoted: whether it is inside quotes.
    """

    tail: bytes = b""
    seen: int = 0
    quoted: bool = False


class _Reader:
    """How one kind of reader sees the records of a file.

    :param escapes_everywhere: whether an escape is one outside quotes too.
    """

    def __init__(self, dialect: CsvDialect, escapes_everywhere: bool) -> None:
        delimiter, quote, escape = map(re.escape, (dialect.delimiter, dialect.quote, dialect.escape))
        # A group that is repeated possessively is atomic: before 3.11.5 Python loses its place where the last repetition fails
        # (https://github.com/python/cpython/issues/100061).
        if dialect.escape == dialect.quote:
            inside = rb"[^%b]*+(?>%b%b[^%b]*+)*+" % ((quote,) * 4)
        else:
            other = rb"[^%b%b]*+" % (quote, escape)
            inside = rb"%b(?>(?:%b%b|%b.)%b)*+" % (other, quote, quote, escape, other)
        closing = rb"%b(?=.)" % quote
        ordinary = rb"[^%b\n]++" % quote
        if escapes_everywhere:
            # Right after a closing quote an escape is an ordinary character; right after an escaped one a quote is.
            closing = rb"%b(?:%b|(?=.))" % (quote, escape)
            ordinary = rb"[^%b%b\n]++|%b.(?:%b|(?=.))" % (quote, escape, escape, quote)
        opening = rb"(?<![^%b\r\n])%b" % (delimiter, quote)
        stray = rb"(?<=[^%b\r\n])%b" % (delimiter, quote)
        rest = rb"(?>%b|%b%b%b|%b)*+" % (ordinary, opening, inside, closing, stray)
        self._quote = dialect.quote
        self._marks = [dialect.quote, *([dialect.escape] if escapes_everywhere else [])]
        self._inside = re.compile(inside, re.DOTALL)
        self._closing = re.compile(closing, re.DOTALL)
        self._rest = re.compile(rest, re.DOTALL)
        self._record = re.compile(rest + LINE_FEED, re.DOTALL)
        self._records = re.compile(rb"(?>%b\n)*+" % rest, re.DOTALL)

    def first_end(self, text: bytes) -> int | None:
        """Look for the end of the first record of a text."""
        found = self._record.match(text)
        return found.end() if found else None

    def read(self, state: _State, block: bytes) -> tuple[int, _State]:
        """Read on: how many bytes of the block come before the last end of a record in it, and the state after it."""
        text = state.tail + block
        if not state.quoted and not any(mark in text for mark in self._marks):
            return block.rfind(LINE_FEED) + 1, _State(text[-1:], len(text[-1:]))
        start = state.seen
        if state.quoted:
            start = _match_end(self._inside, text, 0)
            closing = self._closing.match(text, start)
            if not closing:
                return 0, _State(text[start:], quoted=True)
            start = closing.end()
        records = _match_end(self._records, text, start)
        end = records - len(state.tail) if records > start else 0
        stop = _match_end(self._rest, text, records)
        if text[stop : stop + 1] == self._quote:
            # It opens a field that is not closed here.
            return end, _State(text[_match_end(self._inside, text, stop + 1) :], quoted=True)
        seen = min(stop, 1)
        return end, _State(text[stop - seen :], seen)


def _match_end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """Give where the match of a pattern ends that matches everywhere, if only an empty text."""
    found = pattern.match(text, start)
    return found.end() if found else start
