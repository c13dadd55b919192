"""Parquet: the columns of a file are compared with the dataset's, and no row is read."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from schemas import MakeSource, column, record_schema

from airflow_provider_catalog.api.errors import (
    FileChangedError,
    InvalidInputError,
    InvalidRecordsError,
    SourceError,
)
from airflow_provider_catalog.ingest.preflight.inspection import OnInvalid, inspect
from airflow_provider_catalog.ingest.preflight.parquet import SeekableSource, compare_columns
from airflow_provider_catalog.ingest.preflight.xdm import read_schema

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")

COLUMNS = {
    "String": column("string"),
    "Byte": column("byte"),
    "Short": column("short"),
    "Integer": column("int"),
    "Long": column("long"),
    "Double": column("number"),
    "Date": column("date"),
    "Date-Time": column("date-time"),
    "Object": record_schema(a=column("int")),
    "Map": column("map", additionalProperties=column("int")),
    "Boolean": column("boolean"),
    "Array": column("array", items=column("int")),
}
NUMBERS = ("String", "Byte", "Short", "Integer", "Long", "Double")
TABLE: list[tuple[str, Any, tuple[str, ...]]] = [
    ("String", pa.string(), (*NUMBERS, "Date", "Date-Time")),
    ("String", pa.large_string(), (*NUMBERS, "Date", "Date-Time")),
    ("String", pa.dictionary(pa.int32(), pa.string()), (*NUMBERS, "Date", "Date-Time")),
    ("Byte", pa.int8(), NUMBERS),
    ("Short", pa.int16(), NUMBERS),
    ("Short", pa.uint8(), NUMBERS),
    ("Integer", pa.int32(), NUMBERS),
    ("Integer", pa.uint16(), NUMBERS),
    ("Long", pa.int64(), (*NUMBERS, "Date", "Date-Time")),
    ("Long", pa.uint32(), (*NUMBERS, "Date", "Date-Time")),
    ("Double", pa.float64(), NUMBERS),
    ("Double", pa.float32(), NUMBERS),
    ("Double", pa.decimal128(10, 2), NUMBERS),
    ("Date", pa.date32(), ("Date",)),
    ("Date-Time", pa.timestamp("ms", tz="UTC"), ("Date-Time",)),
    ("Object", pa.struct([("a", pa.int32())]), ("Object", "Map")),
    ("Map", pa.map_(pa.string(), pa.int32()), ("Object", "Map")),
    ("Boolean", pa.bool_(), ("Boolean",)),
    ("Array", pa.list_(pa.int32()), ("Array",)),
    ("none", pa.binary(), ()),
    ("none", pa.time64("us"), ()),
]


def parquet_file(make_source: MakeSource, schema: Any, name: str = "a.parquet") -> Any:
    file = io.BytesIO()
    pq.write_table(schema.empty_table(), file)
    return make_source(file.getvalue(), name)


def flaws(make_source: MakeSource, fields: list[tuple[str, Any]], schema: Any) -> list[tuple[str, str]]:
    source = parquet_file(make_source, pa.schema(fields))
    return [(flaw.pointer, flaw.message) for flaw in compare_columns(source, read_schema(schema))]


@pytest.mark.parametrize(("row", "given", "targets"), TABLE, ids=[f"{row} {kind}" for row, kind, _ in TABLE])
def test_each_cell_of_the_table_of_conversions(
    make_source: MakeSource, row: str, given: Any, targets: tuple[str, ...]
) -> None:
    found = flaws(make_source, [(name, given) for name in COLUMNS], record_schema(**COLUMNS))
    assert {pointer[1:] for pointer, _ in found} == set(COLUMNS) - set(targets)
    assert all(" expected " in message for _, message in found)


def test_names_that_the_schema_lacks_and_that_the_file_lacks(make_source: MakeSource) -> None:
    schema = {
        **record_schema(
            id=column("string"),
            person={**record_schema(name=column("string"), age=column("int")), "required": ["age"]},
            addresses=column("array", items={**record_schema(city=column("string")), "required": ["city"]}),
            tags=column("map", additionalProperties=record_schema(n=column("int"))),
            born=column("date"),
            any={},
        ),
        "required": ["id", "gone"],
    }
    found = flaws(
        make_source,
        [
            ("id", pa.null()),
            ("person", pa.struct([("name", pa.int32()), ("nick", pa.string())])),
            ("addresses", pa.list_(pa.struct([("street", pa.string())]))),
            ("tags", pa.map_(pa.string(), pa.struct([("n", pa.bool_())]))),
            ("born", pa.int32()),
            ("any", pa.binary()),
            ("more", pa.int32()),
        ],
        schema,
    )
    assert found == [
        ("/person/nick", "is not in the schema"),
        ("/person/age", "is required, but missing"),
        ("/addresses/*/street", "is not in the schema"),
        ("/addresses/*/city", "is required, but missing"),
        ("/tags/*/n", "has the type bool, expected int"),
        ("/born", "has the type int32, expected date"),
        ("/more", "is not in the schema"),
        ("/id", "is required, but missing"),
        ("/gone", "is required, but missing"),
    ]


def test_columns_that_do_not_fit_are_reported_by_file(make_source: MakeSource) -> None:
    good = parquet_file(make_source, pa.schema([("a", pa.string())]), "good.parquet")
    bad = parquet_file(make_source, pa.schema([("a", pa.bool_()), ("b", pa.int8())]), "bad.parquet")
    schema = record_schema(a=column("int"))
    assert inspect([good], "parquet", schema, on_invalid=OnInvalid.FAIL).checked == 1
    with pytest.raises(InvalidRecordsError) as caught:
        inspect([good, bad], "parquet", schema, on_invalid=OnInvalid.FAIL)
    assert str(caught.value) == (
        "1 of 2 validated files do not fit the schema of the dataset. "
        f"The first: {bad.address}, /a: has the type bool, expected int; {bad.address}, /b: is not in the schema. "
        "All: 1 x /a has the type bool, expected int; 1 x /b is not in the schema."
    )
    assert inspect([bad], "parquet", schema, on_invalid=OnInvalid.WARN).invalid == 1


@pytest.mark.parametrize("content", [b"PAR1", b"x" * 100, b"PAR1" + b"\xff" * 50 + b"PAR1"])
def test_what_is_no_parquet_is_refused(make_source: MakeSource, content: bytes) -> None:
    with pytest.raises(InvalidInputError, match="expected a Parquet file"):
        inspect([make_source(content)], "parquet", record_schema(), on_invalid=OnInvalid.FAIL)


def test_a_file_whose_footer_is_garbage_is_refused_by_its_name(make_source: MakeSource) -> None:
    footer = b"\xff" * 40
    content = b"PAR1" + bytes(100) + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(InvalidInputError, match=r"broken\.parquet.*expected a Parquet file"):
        inspect(
            [make_source(content, "broken.parquet")], "parquet", record_schema(), on_invalid=OnInvalid.FAIL
        )


def test_a_file_that_can_not_be_read_is_not_taken_for_something_else(make_source: MakeSource) -> None:
    source = parquet_file(make_source, pa.schema([("a", pa.string())]))
    Path(source.path).unlink()
    Path(source.path).mkdir()
    with pytest.raises(SourceError, match="Is a directory") as caught:
        compare_columns(source, read_schema(record_schema(a=column("string"))))
    assert not caught.value.permanent


def test_a_file_that_changed_is_noticed(make_source: MakeSource) -> None:
    source = parquet_file(make_source, pa.schema([("a", pa.string())]))
    Path(source.path).write_bytes(Path(source.path).read_bytes() + b"x")
    with pytest.raises(FileChangedError):
        inspect([source], "parquet", record_schema(a=column("string")), on_invalid=OnInvalid.FAIL)


def test_without_pyarrow_the_extra_is_named(make_source: MakeSource, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parquet_file(make_source, pa.schema([("a", pa.string())]))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'airflow-provider-catalog\[parquet\]'"):
        inspect([source], "parquet", record_schema(), on_invalid=OnInvalid.FAIL)


def test_a_source_can_be_read_from_any_place(make_source: MakeSource) -> None:
    content = bytes(range(256)) * 20
    with SeekableSource(make_source(content)) as file:
        assert (file.seek(-4, io.SEEK_END), file.read(), file.read()) == (len(content) - 4, content[-4:], b"")
        assert (file.seek(10), file.read(5), file.tell()) == (10, content[10:15], 15)
        assert (file.seek(1, io.SEEK_CUR), file.read(2)) == (16, content[16:18])
        assert (file.seek(10**6), file.read(1)) == (10**6, b"")
        file.seek(0)
        assert file.readall() == content
