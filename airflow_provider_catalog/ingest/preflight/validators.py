"""Running a translated schema: with jsonschema, and in front of it with jsonschema-rs where that is installed (extra ``fast``).

The fast one only says yes or no. What is wrong is always told by jsonschema, and where the two differ, that one is right; the
tests prove that they do not.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from airflow_provider_catalog.ingest.preflight.flaws import UNKNOWN, Flaw
from airflow_provider_catalog.ingest.preflight.translation import UNKNOWN_FIELD, Test, Translation

FAST_LIBRARY = "jsonschema-rs"
# Older ones let records pass that lack one of exactly two required fields: github.com/Stranger6667/jsonschema, pull 1116.
FAST_SINCE = (0, 47)

log = logging.getLogger(__name__)

BY_COMMENT = frozenset({"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})

NOTHING: tuple[Flaw, ...] = ()

Check = Callable[[Any], Sequence[Flaw]]


def fastest_check(translation: Translation) -> Check:
    """Give a function that finds what is wrong with a record, made with the fastest library that is installed."""
    if not translation.portable:
        return plain_check(translation)
    if _is_fast_one_usable():
        return fast_check(translation)
    wanted = f"{FAST_LIBRARY}>={'.'.join(map(str, FAST_SINCE))}"
    log.info("Validating with jsonschema; with %s (extra 'fast') it is many times faster.", wanted)
    return plain_check(translation)


def _is_fast_one_usable() -> bool:
    try:
        version = metadata.version(FAST_LIBRARY)
    except metadata.PackageNotFoundError:
        return False
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    return (major, minor) >= FAST_SINCE


def plain_check(translation: Translation) -> Check:
    """Give a function that finds what is wrong with a record, made with jsonschema alone."""
    tests = translation.tests
    formats = FormatChecker(formats=())
    for name, test in tests.items():
        formats.checks(name)(_for_texts(test))

    def xdm(validator: Any, name: str, value: Any, schema: Any) -> Iterator[ValidationError]:
        if _is_testable(value) and not tests[name].passes(value):
            yield ValidationError("")

    taught: Any = extend(Draft7Validator, {"xdm": xdm})  # type: ignore[no-untyped-call]
    validator = taught(translation.schema, format_checker=formats)

    def check(record: Any) -> Sequence[Flaw]:
        found = (flaw for error in validator.iter_errors(record) for flaw in _flaws(error, tests))
        return tuple(dict.fromkeys(found))

    return check


def fast_check(translation: Translation) -> Check:
    """Give the same function, which is faster for records with which nothing is wrong. Needs jsonschema-rs."""
    library: Any = importlib.import_module("jsonschema_rs")
    tests = translation.tests

    class Xdm:
        def __init__(self, schema: Any, name: str, path: Any) -> None:
            self._passes = tests[name].passes

        def validate(self, value: Any) -> None:
            if _is_testable(value) and not self._passes(value):
                raise ValueError

    formats = {name: test.passes for name, test in tests.items()}
    is_valid: Callable[[Any], bool] = library.Draft7Validator(
        translation.schema, formats=formats, validate_formats=True, keywords={"xdm": Xdm}
    ).is_valid
    explain = plain_check(translation)

    def check(record: Any) -> Sequence[Flaw]:
        try:
            if is_valid(record):
                return NOTHING
        except ValueError:
            # It does not take half of a surrogate pair, nor objects within objects by the hundred.
            pass
        return explain(record)

    return check


def _is_testable(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _for_texts(test: Test) -> Callable[[object], bool]:
    passes = test.passes
    return lambda value: not isinstance(value, str) or passes(value)


def _flaws(error: Any, tests: Mapping[str, Test]) -> Iterator[Flaw]:
    """Say in own words what an error of jsonschema's means, since its words hold the value."""
    word, path, schema = error.validator, tuple(error.absolute_path), error.schema
    if word in ("format", "xdm"):
        test = tests[error.validator_value]
        yield Flaw(test.keyword, test.message, path)
    elif word == "required":
        for name in _missing(error):
            yield Flaw("required", "is required, but missing", (*path, name))
    elif schema == UNKNOWN_FIELD:
        yield Flaw(UNKNOWN, schema["$comment"], path)
    elif word == "type" and error.instance is None:
        yield Flaw("required", "is required, but null", path)
    elif word == "anyOf":
        yield Flaw("anyOf", "fits none of the alternatives in the schema", path)
    else:
        yield Flaw(word, str(schema["$comment"]) if word in BY_COMMENT else _violated(error), path)


def _violated(error: Any) -> str:
    if error.validator == "enum":  # of booleans: with a null, since that is an absent value
        return f"violates enum {[each for each in error.validator_value if each is not None]}"
    return f"violates {error.validator} {error.validator_value}"


def _missing(error: Any) -> list[str]:
    return [name for name in error.validator_value if name not in error.instance]
