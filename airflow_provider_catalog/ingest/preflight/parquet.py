"""The columns of a Parquet file held against the schema of a dataset. Of the file only its footer is read."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.ingest.preflight.flaws import UNKNOWN, Flaw
from airflow_provider_catalog.ingest.preflight.xdm import ANYTHING, Field, Kind
from airflow_provider_catalog.ingest.sources import SourceFile

NUMBERS = frozenset({Kind.STRING, Kind.BYTE, Kind.SHORT, Kind.INT, Kind.LONG, Kind.NUMBER})
MOMENTS = frozenset({Kind.DATE, Kind.DATE_TIME})

# Into which columns each type can be brought, after the same table that the conversion of JSON follows.
CONVERTIBLE: dict[Kind, frozenset[Kind]] = {
    Kind.STRING: NUMBERS | MOMENTS,
    **dict.fromkeys((Kind.BYTE, Kind.SHORT, Kind.INT, Kind.NUMBER), NUMBERS),
    Kind.LONG: NUMBERS | MOMENTS,
    Kind.DATE: frozenset({Kind.DATE}),
    Kind.DATE_TIME: frozenset({Kind.DATE_TIME}),
    Kind.BOOLEAN: frozenset({Kind.BOOLEAN}),
    Kind.OBJECT: frozenset({Kind.OBJECT}),
    Kind.ARRAY: frozenset({Kind.ARRAY}),
}

# By pyarrow's test of a type. What is not here, such as a time of day or bytes without a charset, no column takes.
KINDS_OF_TYPES: tuple[tuple[str, Kind], ...] = (
    ("is_string", Kind.STRING),
    ("is_large_string", Kind.STRING),
    ("is_boolean", Kind.BOOLEAN),
    ("is_int8", Kind.BYTE),
    ("is_int16", Kind.SHORT),
    ("is_uint8", Kind.SHORT),
    ("is_int32", Kind.INT),
    ("is_uint16", Kind.INT),
    ("is_int64", Kind.LONG),
    ("is_uint32", Kind.LONG),
    ("is_floating", Kind.NUMBER),
    ("is_decimal", Kind.NUMBER),
    ("is_date", Kind.DATE),
    ("is_timestamp", Kind.DATE_TIME),
    ("is_struct", Kind.OBJECT),
    ("is_map", Kind.OBJECT),
    ("is_list", Kind.ARRAY),
    ("is_large_list", Kind.ARRAY),
    ("is_fixed_size_list", Kind.ARRAY),
)


def compare_columns(source: SourceFile, record: Field) -> tuple[Flaw, ...]:
    """Find the columns of a file that the dataset does not know or can't take, and those that are missing.

    :param source: a Parquet file.
    :param record: the schema of the dataset.
    :raises InvalidInputError: pyarrow is not installed, or the file is no Parquet.
    :raises FileChangedError: the file is not what it was when it was looked at.
    """
    parquet = _library("pyarrow.parquet")
    try:
        schema = parquet.read_schema(SeekableSource(source))
    except (ValueError, OSError) as error:
        # They are pyarrow's own: what is wrong with the source derives from neither.
        reason = "which it is not by its first or last bytes"
        raise InvalidInputError("files", source.address, f"a Parquet file ({reason})") from error
    children = ((column.name, column.type) for column in schema)
    return tuple(_compare_fields(record, children, ()))


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        allowed = "pyarrow, to look into Parquet files: pip install 'airflow-provider-catalog[parquet]'"
        raise InvalidInputError("validate", "schema", allowed) from None


def _compare_fields(
    field: Field, children: Iterator[tuple[str, Any]], path: tuple[str | int, ...]
) -> Iterator[Flaw]:
    present = set()
    for name, kind in children:
        if _is(kind, "is_null"):  # a column of nulls, which are absent values
            continue
        present.add(name)
        described = field.properties.get(name, field.others)
        if described is None:
            yield Flaw(UNKNOWN, "is not in the schema", (*path, name))
        else:
            yield from _compare(described, kind, (*path, name))
    for name in field.required:
        if name not in present:
            yield Flaw("required", "is required, but missing", (*path, name))


def _compare(field: Field, type_: Any, path: tuple[str | int, ...]) -> Iterator[Flaw]:
    if _is(type_, "is_dictionary"):
        type_ = type_.value_type
    kind = next((kind for test, kind in KINDS_OF_TYPES if _is(type_, test)), None)
    if field.kind is None:
        return
    if kind is None or field.kind not in CONVERTIBLE[kind]:
        given = str(type_) if kind not in (Kind.OBJECT, Kind.ARRAY) else str(kind)
        yield Flaw("type", f"has the type {given}, expected {field.kind}", path)
    elif _is(type_, "is_struct"):
        yield from _compare_fields(field, ((each.name, each.type) for each in type_), path)
    elif _is(type_, "is_map"):
        yield from _compare(field.others or ANYTHING, type_.item_type, (*path, "*"))
    elif kind is Kind.ARRAY:
        yield from _compare(field.items or ANYTHING, type_.value_type, (*path, "*"))


def _is(type_: Any, test: str) -> bool:
    passes: Callable[[Any], bool] = getattr(_library("pyarrow").types, test)
    return passes(type_)


class SeekableSource(io.RawIOBase):
    """A source as a file that can be read from any place.

    :param source: the file; it is opened anew for each read.
    """

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that one can go to any place."""
        return True

    def tell(self) -> int:
        """Give the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read as much as fits."""
        end = min(self._at + len(buffer), self._source.size)
        done = 0
        if self._at < end:
            with closing(self._source.open(self._at, end)) as reader:
                while block := reader.read():
                    buffer[done : done + len(block)] = block
                    done += len(block)
        self._at += done
        return done
