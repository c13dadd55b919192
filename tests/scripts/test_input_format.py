"""`make demo FILE=path` recognises what the file holds before anything is started."""

from pathlib import Path

import pytest
from input_format import FIRST_LINE_LIMIT, UnusableFileError, recognise


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.json", b'{"a": 1}\n{"a": 2}\n', "json"),
        ("rows.jsonl", b'{"a": 1}', "json"),
        ("rows.NDJSON", b'\r\n  {"a": 1}\r\n', "json"),
        ("array.json", b'[{"a": 1}]', "multiline-json"),
        ("array.json", b'\n\n[\n  {"a": 1}\n]\n', "multiline-json"),
        ("array.json", b'\xef\xbb\xbf[{"a": 1}]', "multiline-json"),
        ("object.json", b'{\n  "a": 1\n}\n', "multiline-json"),
        ("long.json", b'{"a": "' + b"x" * FIRST_LINE_LIMIT + b'"}\n', "json"),
        ("table.csv", b"a,b\n1,2\n", "csv"),
        ("[odd] name.csv", b"a,b\n1,2\n", "csv"),
        ("table.parquet", b"PAR1\x15\x04...PAR1", "parquet"),
        ("no-suffix", b"PAR1\x15\x04...PAR1", "parquet"),
    ],
)
def test_the_format_is_read_off_suffix_and_first_bytes(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert recognise(path) == expected


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.json", b"", "is empty"),
        ("blank.json", b"\n \n", "is empty"),
        ("text.json", b"hello", "neither JSON objects nor an array"),
        ("number.json", b"42", "neither JSON objects nor an array"),
        ("wrong.parquet", b"a,b\n1,2\n", "does not start like a Parquet file"),
        ("rows.json.gz", b"\x1f\x8b\x08", "is none of .json"),
        ("notes.txt", b"hello", "is none of .json"),
    ],
)
def test_a_file_that_cannot_be_ingested_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=reason):
        recognise(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match="does not exist"):
        recognise(tmp_path / "missing.json")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match="is a folder"):
        recognise(tmp_path)


def test_a_name_that_is_no_path_is_refused() -> None:
    with pytest.raises(UnusableFileError, match="cannot be read"):
        recognise(Path("x" * 5000 + ".json"))
