"""Whole files, and what becomes of records that do not fit."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from schemas import MakeSource, column, lines, record_schema

from airflow_provider_catalog.api.errors import FileChangedError, InvalidInputError, InvalidRecordsError
from airflow_provider_catalog.ingest.preflight import inspection
from airflow_provider_catalog.ingest.preflight.inspection import OnInvalid, Verdict, inspect

SCHEMA = {**record_schema(id=column("string"), age=column("int", maximum=150)), "required": ["id"]}
MARKER = "somebody@example.com"


def without(source: Any, verdict: Verdict) -> bytes:
    """The bytes of a file that are left."""
    content = Path(source.path).read_bytes()
    bounds = iter(verdict.drops[source.remote_name])
    for start, end in reversed(list(zip(bounds, bounds, strict=True))):
        content = content[:start] + content[end:]
    return content


def test_files_that_fit_pass(make_source: MakeSource, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sources = [
        make_source(lines({"id": "a", "age": "42"}, {"id": 1}), "a.json"),
        make_source(b'{"id": "b"}', "b.json"),
    ]
    verdict = inspect(sources, "json", SCHEMA, on_invalid=OnInvalid.FAIL)
    assert verdict == Verdict(3, 0, (), (), {}, ())
    assert caplog.messages == ["Validated 3 records: all fit the schema of the dataset."]


def test_errors_name_file_line_and_pointer_and_are_counted_by_kind(make_source: MakeSource) -> None:
    first = make_source(lines({"id": "a"}, {"age": "x"}) + b"{oops\n", "a.json")
    second = make_source(lines({"id": "a", "age": 151}), "b.json")
    with pytest.raises(InvalidRecordsError) as caught:
        inspect([first, second], "json", SCHEMA, on_invalid=OnInvalid.FAIL)
    number = "expected a whole number from -2147483648 to 150, or a text of one"
    assert caught.value.summary == "3 of 4 validated records do not fit the schema of the dataset."
    assert sorted(caught.value.examples) == [
        f"{first.address} line 2, /age: {number}",
        f"{first.address} line 2, /id: is required, but missing",
        f"{first.address} line 3: is not JSON (Expecting property name enclosed in double quotes)",
        f"{second.address} line 1, /age: {number}",
    ]
    assert caught.value.counts[0] == (f"/age {number}", 2)
    assert f"2 x /age {number}" in str(caught.value)
    assert caught.value.permanent


def test_only_the_first_errors_are_listed_and_all_counted(make_source: MakeSource) -> None:
    with pytest.raises(InvalidRecordsError) as caught:
        inspect([make_source(lines(*[{"id": []}] * 1_000))], "json", SCHEMA, on_invalid=OnInvalid.FAIL)
    assert len(caught.value.examples) == inspection.ERRORS_SHOWN
    assert caught.value.counts == (("/id expected a text or a number", 1_000),)
    assert len(str(caught.value)) < 10_000


def test_a_warning_lets_the_files_pass(make_source: MakeSource, caplog: pytest.LogCaptureFixture) -> None:
    verdict = inspect([make_source(lines({"id": "a"}, {}))], "json", SCHEMA, on_invalid=OnInvalid.WARN)
    assert (verdict.checked, verdict.invalid, verdict.drops) == (2, 1, {})
    [record] = caplog.records
    assert (record.levelname, "1 of 2 validated records" in record.message) == ("WARNING", True)


def test_multi_line_json_names_the_line_on_which_a_record_begins(make_source: MakeSource) -> None:
    source = make_source(b'[\n{"id":\n"a"},\n{"id":\n[]}]')
    verdict = inspect([source], "multiline-json", SCHEMA, on_invalid=OnInvalid.WARN)
    assert verdict.examples == (f"{source.address} line 4, /id: expected a text or a number",)


class TestDropping:
    def test_leaves_out_whole_lines_and_keeps_them_with_the_reasons(self, make_source: MakeSource) -> None:
        bad = [b'{"age": 1.50,  "age": [1]}', b"{oops \xff"]
        source = make_source(b'{"id": 1}\n\n' + b"\r\n".join(bad) + b'\n{"id": 2}\n{"id": {"a": 1}}')
        kept = io.BytesIO()
        verdict = inspect([source], "json", SCHEMA, on_invalid=OnInvalid.DROP, dropped=kept)
        assert without(source, verdict) == b'{"id": 1}\n\n{"id": 2}\n'
        assert (len(verdict.drops["a.json"]), verdict.emptied) == (4, ())  # lines that meet are one range
        written = [json.loads(line) for line in kept.getvalue().splitlines()]
        assert [(each["_file"], each["_line"]) for each in written] == [
            (source.address, n) for n in (3, 4, 6)
        ]
        assert [each["record"] for each in written] == [{"age": [1]}, "{oops �", {"id": {"a": 1}}]
        assert bad[0] in kept.getvalue()
        assert written[2]["_errors"] == [{"pointer": "/id", "message": "expected a text or a number"}]
        assert sorted(each["pointer"] for each in written[0]["_errors"]) == ["/age", "/id"]

    def test_names_the_files_of_which_nothing_is_left(self, make_source: MakeSource) -> None:
        sources = [make_source(lines({}) + b"\n", "a.json"), make_source(lines({"id": 1}), "b.json")]
        verdict = inspect(sources, "json", SCHEMA, on_invalid=OnInvalid.DROP, dropped=io.BytesIO())
        assert (verdict.emptied, list(verdict.drops)) == (("a.json",), ["a.json"])

    def test_fails_if_nothing_is_left_at_all(self, make_source: MakeSource) -> None:
        with pytest.raises(InvalidRecordsError, match="Without them nothing is left to load"):
            inspect(
                [make_source(lines({}, {}))], "json", SCHEMA, on_invalid=OnInvalid.DROP, dropped=io.BytesIO()
            )

    def test_keeps_the_mark_at_the_beginning_of_a_file_out_of_the_record(
        self, make_source: MakeSource
    ) -> None:
        source, kept = make_source(b'\xef\xbb\xbf{"age": 1}\n{"id": 1}\n'), io.BytesIO()
        inspect([source], "json", SCHEMA, on_invalid=OnInvalid.DROP, dropped=kept)
        assert json.loads(kept.getvalue())["record"] == {"age": 1}


class TestSampling:
    @pytest.mark.parametrize(
        ("sample", "chosen"), [(1.0, list(range(1, 11))), (0.5, [1, 3, 5, 7, 9]), (0.25, [1, 5, 9]), (1e-9, [1])]
    )  # fmt: skip
    def test_takes_an_even_share_beginning_with_the_first(
        self, make_source: MakeSource, sample: float, chosen: list[int]
    ) -> None:
        source = make_source(lines(*[{}] * 10))
        verdict = inspect([source], "json", SCHEMA, on_invalid=OnInvalid.WARN, sample=sample)
        shown = [int(text.split("line ")[1].split(",")[0]) for text in verdict.examples]
        assert (shown[:1], len(shown), verdict.checked) == (chosen[:1], len(chosen), len(chosen))
        again = inspect([source], "json", SCHEMA, on_invalid=OnInvalid.WARN, sample=sample)
        assert again == verdict

    def test_goes_for_multi_line_json_too(self, make_source: MakeSource) -> None:
        source = make_source(json.dumps([{}] * 10).encode())
        verdict = inspect([source], "multiline-json", SCHEMA, on_invalid=OnInvalid.WARN, sample=0.5)
        assert verdict.checked == 5

    def test_still_notices_that_a_file_changes(self, make_source: MakeSource) -> None:
        source = make_source(lines(*[{"id": 1}] * 10))
        Path(source.path).write_bytes(lines(*[{"id": 1}] * 9))
        with pytest.raises(FileChangedError):
            inspect([source], "json", SCHEMA, on_invalid=OnInvalid.WARN, sample=0.1)


@pytest.mark.parametrize(
    ("input_format", "options", "message"),
    [
        ("csv", {}, r"validate: got 'schema', .*\(the platform validates no rows of CSV either"),
        ({"format": "CSV", "delimiter": ";"}, {}, "no rows of CSV"),
        ("json", {"sample": 0.0}, "validate_share: got 0.0, expected a number"),
        ("json", {"sample": 1.1}, "validate_share: got 1.1"),
        ("json", {"sample": float("nan")}, "validate_share: got nan"),
        ("json", {"on_invalid": OnInvalid.DROP, "sample": 0.5}, "invalid records would slip through"),
        ("json", {"on_invalid": OnInvalid.DROP}, "invalid_records_path: got None"),
        ("multiline-json", {"on_invalid": OnInvalid.DROP}, "on_invalid: got 'drop', expected fail or warn"),
        ("parquet", {"on_invalid": OnInvalid.DROP}, "on_invalid: got 'drop', expected fail or warn"),
        ("xml", {}, "input_format: got 'xml'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_read(
    make_source: MakeSource, input_format: Any, options: dict[str, Any], message: str
) -> None:
    source = make_source(b"x")
    Path(source.path).unlink()
    with pytest.raises(InvalidInputError, match=message):
        inspect([source], input_format, SCHEMA, **{"on_invalid": OnInvalid.FAIL, **options})


@pytest.mark.parametrize("input_format", ["json", "multiline-json"])
@pytest.mark.parametrize("on_invalid", [OnInvalid.FAIL, OnInvalid.WARN])
def test_no_value_gets_into_a_log_or_an_exception(
    make_source: MakeSource, caplog: pytest.LogCaptureFixture, input_format: str, on_invalid: OnInvalid
) -> None:
    caplog.set_level(logging.DEBUG)
    schema = record_schema(
        level=column("string", enum=["low"], maxLength=3, pattern="^l", format="email"),
        day=column("date"),
        n=column("int", enum=[1]),
        flag=column("boolean"),
        list=column("array", items=column("int"), maxItems=1, uniqueItems=True),
        map=column("map", additionalProperties=column("int")),
        any={"oneOf": [column("int")]},
    )
    names = [*schema["properties"], MARKER]
    records: list[Any] = [dict.fromkeys(names, value) for value in (MARKER, [MARKER] * 2, {MARKER: MARKER})]
    content = lines(*records, MARKER) + b'{"' + MARKER.encode() + b"\\" + MARKER.encode()
    source = make_source(content)
    try:
        told = repr(inspect([source], input_format, schema, on_invalid=on_invalid)) + caplog.text
    except InvalidRecordsError as error:
        told = (
            "".join(traceback.format_exception(error)) + repr(error) + str(pickle.loads(pickle.dumps(error)))
        )
    assert "do not fit" in told
    assert "somebody" not in told + caplog.text


def test_progress_is_told_and_can_be_stopped(
    make_source: MakeSource, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(inspection, "PROGRESS_PAUSE", 0)
    source = make_source(lines({"id": "x" * 100}) * 20_000)
    inspect([source], "json", SCHEMA, on_invalid=OnInvalid.FAIL)
    assert f" of {source.size:,} bytes; 0 do not fit the schema." in caplog.messages[1]
    assert "Validated 0 records in 0 of" in caplog.messages[0]

    class Killed(BaseException):
        pass

    def stop() -> None:
        raise Killed

    with pytest.raises(Killed):
        inspect([source], "json", SCHEMA, on_invalid=OnInvalid.FAIL, stop=stop)
