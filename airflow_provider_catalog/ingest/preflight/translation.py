"""One plain JSON Schema (draft 7) for all that the platform can convert and would then accept.

What JSON Schema can say is said in its words. The rest, such as a text that is a whole number between two bounds, are tests
written in Python, called by ``format`` for texts and by the keyword ``xdm`` for other values, so that any validator that
can be taught a format and a keyword comes to the same result.

A null is an absent value. A field that the schema does not name is an error: the platform wants a subset of the schema's
fields, and documents nothing about others.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft7Validator

from airflow_provider_catalog.ingest.preflight import conversion
from airflow_provider_catalog.ingest.preflight.xdm import Field, Kind, read_schema

SHOWN_CHARACTERS = 100
LARGEST_DOUBLE = sys.float_info.max
NOT_NULL = ["string", "number", "boolean", "object", "array"]

JsonSchema = dict[str, Any]

# Of a field that the schema does not name, only the absence is fine.
UNKNOWN_FIELD: JsonSchema = {"type": "null", "$comment": "is not in the schema"}


@dataclass(frozen=True)
class Test:
    """A test that JSON Schema has no word for.

    :param passes: whether a value is fine; called for texts and numbers only, and never raises.
    :param keyword: the word of the XDM schema that it stands for.
    :param message: what is wrong with a value that does not pass.
    """

    passes: Callable[[Any], bool]
    keyword: str
    message: str


@dataclass(frozen=True)
class Translation:
    """A schema that validators can run.

    :param schema: in draft 7; each ``$comment`` says what is expected where its ``type`` or a bound is violated.
    :param tests: by the names that ``format`` and ``xdm`` call them by.
    :param names: of all fields that the schema knows.
    :param portable: whether it holds no regular expression for names, which not all validators read alike.
    """

    schema: JsonSchema
    tests: Mapping[str, Test]
    names: frozenset[str]
    portable: bool


def translate(schema: Mapping[str, Any]) -> Translation:
    """Translate an XDM schema, as the Schema Registry gives it with everything written out."""
    translator = _Translator()
    translated = translator.record(read_schema(schema))
    return Translation(translated, translator.tests, frozenset(translator.names), translator.portable)


class _Translator:
    """Collects the tests and names that are met on the way through a schema."""

    def __init__(self) -> None:
        self.tests: dict[str, Test] = {}
        self.names: set[str] = set()
        self.portable = True

    def record(self, field: Field) -> JsonSchema:
        return {**self._field(field, nullable=False), "type": "object", "$comment": "expected an object"}

    def _field(self, field: Field, nullable: bool) -> JsonSchema:
        if field.kind is None:
            translated: JsonSchema = {} if nullable else {"type": NOT_NULL}
        else:
            translated = self._of_kind(field, field.kind)
            types = translated["type"]
            translated["type"] = [*types, "null"] if nullable else types
        if field.alternatives:
            # The conditions of the field itself may use the same words, so these stand apart.
            groups = [
                {"anyOf": [self._field(each, nullable) for each in group]} for group in field.alternatives
            ]
            translated["allOf"] = [*translated.get("allOf", ()), *groups]
        return translated

    def _of_kind(self, field: Field, kind: Kind) -> JsonSchema:
        if kind is Kind.OBJECT:
            return self._object(field)
        if kind is Kind.ARRAY:
            return self._array(field)
        if kind is Kind.BOOLEAN:
            return self._boolean(field.rules)
        if kind is Kind.STRING:
            return self._string(field.rules)
        if kind in (Kind.DATE, Kind.DATE_TIME):
            return self._moment(field.rules, kind)
        return self._number(field.rules, kind)

    def _object(self, field: Field) -> JsonSchema:
        self.names |= {*field.properties, *field.required}
        required = set(field.required)
        properties = {
            name: self._field(each, name not in required) for name, each in field.properties.items()
        }
        for name in required - set(properties):
            properties[name] = {"type": NOT_NULL}
        translated: JsonSchema = {
            "type": ["object"],
            "$comment": "expected an object",
            "properties": properties,
        }
        if field.required:
            translated["required"] = list(field.required)
        readable = {name: pattern for name in field.patterns if (pattern := _java_pattern(name))}
        if readable:
            self.portable = False
            translated["patternProperties"] = {
                f"(?a){pattern.pattern}": self._field(field.patterns[name], nullable=True)
                for name, pattern in readable.items()
            }
        if field.others is None and len(readable) == len(field.patterns):
            translated["additionalProperties"] = UNKNOWN_FIELD
        elif field.others is not None and field.others != Field():
            translated["additionalProperties"] = self._field(field.others, nullable=True)
        return translated

    def _array(self, field: Field) -> JsonSchema:
        translated: JsonSchema = {"type": ["array"], "$comment": "expected an array"}
        if field.items is not None:
            translated["items"] = self._field(field.items, nullable=True)
        return translated | _given(field.rules, "minItems", "maxItems", "uniqueItems")

    def _boolean(self, rules: Mapping[str, Any]) -> JsonSchema:
        translated: JsonSchema = {"type": ["boolean"], "$comment": "expected true or false"}
        allowed = _allowed_values(rules)
        return translated if allowed is None else translated | {"enum": [*allowed, None]}

    def _string(self, rules: Mapping[str, Any]) -> JsonSchema:
        translated: JsonSchema = {"type": ["string", "number"], "$comment": "expected a text or a number"}
        translated |= _given(rules, "minLength", "maxLength")
        translated |= self._call("format", list(_text_tests(rules)))
        by_number = [
            Test(_on_number(test.passes), test.keyword, test.message)
            for test in (*_length_tests(rules), *_text_tests(rules))
        ]
        if by_number:
            translated |= {"if": {"type": "number"}, "then": self._call("xdm", by_number)}
        return translated

    def _moment(self, rules: Mapping[str, Any], kind: Kind) -> JsonSchema:
        expected, is_one = _MOMENTS[kind]
        message = f"expected {expected}, or a whole number of milliseconds"
        return {
            "type": ["string", "integer"],
            "$comment": message,
            **self._call(
                "format", [Test(is_one, "format", message), *_text_tests({**rules, "format": None})]
            ),
            # JSON Schema takes 1.0 for a whole number, but a Double can't be converted.
            "if": {"type": "integer"},
            "then": self._call("xdm", [Test(lambda value: isinstance(value, int), "type", message)]),
        }

    def _number(self, rules: Mapping[str, Any], kind: Kind) -> JsonSchema:
        if kind is Kind.NUMBER:
            bounds, of_text = _double_bounds(rules), conversion.double_of_text
            expected = f"expected a number{_in_words(rules)}"
        else:
            least, most = _whole_bounds(rules, kind)
            bounds, of_text = _bounds_before_cutting(least, most), conversion.whole_of_text
            expected = f"expected a whole number from {least} to {most}"
        message = f"{expected}, or a text of one"
        allowed = _allowed_values(rules)
        translated: JsonSchema = {"type": ["number", "string"], "$comment": message, **bounds}
        translated |= self._call("format", [Test(_text_of(of_text, _within(bounds)), "type", message)])
        if allowed is not None:
            convert = float if kind is Kind.NUMBER else int
            translated |= self._call(
                "xdm", [_enum_test(allowed, lambda value: _one_of(value, of_text, convert, allowed))]
            )
        return translated

    def _call(self, word: str, tests: list[Test]) -> JsonSchema:
        """Write down that tests must be passed."""
        calls = []
        for test in tests:
            name = f"xdm-{len(self.tests)}"
            self.tests[name] = test
            calls.append({word: name})
        return calls[0] if len(calls) == 1 else {"allOf": calls} if calls else {}


_MOMENTS: dict[Kind, tuple[str, Callable[[str], bool]]] = {
    Kind.DATE: ("a day such as 2019-05-15", conversion.is_day),
    Kind.DATE_TIME: ("a moment with its zone such as 2019-05-15T10:30:00.123Z", conversion.is_moment),
}


def _given(rules: Mapping[str, Any], *words: str) -> JsonSchema:
    return {word: rules[word] for word in words if word in rules}


def _allowed_values(rules: Mapping[str, Any]) -> list[Any] | None:
    """Give what ``enum`` and ``const`` leave. ``meta:enum`` only suggests."""
    if "const" in rules:
        return [rules["const"]]
    return list(rules["enum"]) if "enum" in rules else None


def _violates(word: str, constraint: Any) -> str:
    text = json.dumps(constraint, ensure_ascii=False)
    return f"violates {word} {text[:SHOWN_CHARACTERS]}{'…' if len(text) > SHOWN_CHARACTERS else ''}"


def _enum_test(allowed: list[Any], passes: Callable[[Any], bool]) -> Test:
    return Test(passes, "enum", _violates("enum", allowed))


def _length_tests(rules: Mapping[str, Any]) -> Iterator[Test]:
    least, most = rules.get("minLength"), rules.get("maxLength")
    if least is not None:
        yield Test(lambda text: len(text) >= least, "minLength", _violates("minLength", least))
    if most is not None:
        yield Test(lambda text: len(text) <= most, "maxLength", _violates("maxLength", most))


def _text_tests(rules: Mapping[str, Any]) -> Iterator[Test]:
    allowed = _allowed_values(rules)
    if allowed is not None:
        texts = frozenset(each for each in allowed if isinstance(each, str))
        yield _enum_test(allowed, texts.__contains__)
    pattern = _java_pattern(rules["pattern"]) if "pattern" in rules else None
    if pattern is not None:
        found = pattern.search
        yield Test(lambda text: found(text) is not None, "pattern", _violates("pattern", rules["pattern"]))
    known = _FORMATS.get(str(rules.get("format")))
    if known is not None:
        yield Test(known, "format", _violates("format", rules["format"]))


def _java_pattern(pattern: str) -> re.Pattern[str] | None:
    """Compile an expression as the platform reads it; None if Python can't."""
    try:
        return re.compile(re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern), re.ASCII)
    except (re.error, RecursionError, OverflowError):
        return None


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _conforms(name: str) -> Callable[[str], bool]:
    return lambda text: Draft7Validator.FORMAT_CHECKER.conforms(text, name)


# Only what needs no further libraries; a format that is not here is not checked.
_FORMATS: dict[str, Callable[[str], bool]] = {
    "date": conversion.is_day,
    "date-time": conversion.is_moment,
    "email": _conforms("email"),
    "ipv4": _conforms("ipv4"),
    "ipv6": _conforms("ipv6"),
    "uri": _is_uri,
}


def _on_number(passes: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: passes(conversion.text_of_number(value))


def _text_of(
    of_text: Callable[[str], int | float | None], fits: Callable[[int | float], bool]
) -> Callable[[Any], bool]:
    def passes(text: str) -> bool:
        number = of_text(text)
        return number is not None and fits(number)

    return passes


def _one_of(
    value: Any, of_text: Callable[[str], Any], convert: Callable[[Any], Any], allowed: list[Any]
) -> bool:
    number = of_text(value) if isinstance(value, str) else value
    try:
        return number is None or convert(number) in allowed
    except OverflowError:  # too large for a double, which is an error of its own
        return True


def _whole_bounds(rules: Mapping[str, Any], kind: Kind) -> tuple[int, int]:
    """Give the least and the greatest whole number that the type and the constraints allow."""
    least, most = conversion.WHOLE_RANGES[kind]
    lower = [math.ceil(rules["minimum"])] if "minimum" in rules else []
    lower += [math.floor(rules["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in rules else []
    upper = [math.floor(rules["maximum"])] if "maximum" in rules else []
    upper += [math.ceil(rules["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in rules else []
    return max([least, *lower]), min([most, *upper])


def _bounds_before_cutting(least: int, most: int) -> JsonSchema:
    """Give the bounds of a number whose digits behind the point are then cut off."""
    return {
        **({"minimum": least} if least > 0 else {"exclusiveMinimum": least - 1}),
        **({"maximum": most} if most < 0 else {"exclusiveMaximum": most + 1}),
    }


def _double_bounds(rules: Mapping[str, Any]) -> JsonSchema:
    bounds = _given(rules, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    # A whole number of hundreds of digits is a number, but no double.
    return {"minimum": -LARGEST_DOUBLE, "maximum": LARGEST_DOUBLE, **bounds}


def _in_words(rules: Mapping[str, Any]) -> str:
    words = _given(rules, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    return "".join(f", {word} {bound}" for word, bound in words.items())


def _within(bounds: JsonSchema) -> Callable[[int | float], bool]:
    least, most = bounds.get("minimum", -math.inf), bounds.get("maximum", math.inf)
    above, below = bounds.get("exclusiveMinimum", -math.inf), bounds.get("exclusiveMaximum", math.inf)
    return lambda number: least <= number <= most and above < number < below
