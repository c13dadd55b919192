"""The Catalog's query language: filters, order, paging, and which properties to show.

See "Filter Catalog data using query parameters" in Adobe's documentation. Parameters that no page names are
refused, so that a misspelt filter does not quietly return everything.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .problems import Refusal, generic

Json = dict[str, Any]
Test = Callable[[str, Json], bool]

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

_IGNORED = frozenset({"requestDataSource", "aggregate"})
_ORDER_KEY = re.compile(r"(?:(asc|desc):)?(\w+)")
_PROPERTY = re.compile(r"(!?)(\w[\w.]*)(?:(==|!=|<=|>=|<|>|~)(.*))?")


@dataclass(frozen=True)
class Query:
    """A parsed query."""

    tests: tuple[Test, ...]
    order: tuple[tuple[str, bool], ...]
    start: int
    limit: int
    properties: frozenset[str] | None

    def select(self, documents: Iterable[tuple[str, Json]]) -> dict[str, Json]:
        """Return the documents asked for, by id: those that pass all tests, in order, this page of them."""
        chosen = [(key, body) for key, body in documents if all(test(key, body) for test in self.tests)]
        # Without an order the platform promises none. Ours is steady, so that paging works, but not by time.
        chosen.sort(key=lambda each: zlib.crc32(each[0].encode()))
        for name, descending in reversed(self.order):
            chosen.sort(key=lambda each: _sort_key(each[1].get(name)), reverse=descending)
        page = chosen[self.start : self.start + self.limit]
        return {key: self.show(body) for key, body in page}

    def show(self, document: Json) -> Json:
        """Return a document with the properties asked for."""
        if self.properties is None:
            return document
        return {name: value for name, value in document.items() if name in self.properties}


def parse(
    parameters: Iterable[tuple[str, str]],
    simple: frozenset[str],
    special: Mapping[str, Callable[[str], Test]],
) -> Query:
    """Parse a query. `simple` names the fields that can be compared, `special` the filters with a meaning of their own.

    Raises Refusal (400).
    """
    tests: list[Test] = []
    paging: dict[str, str] = {}
    for name, value in parameters:
        if name in ("limit", "start", "orderBy", "properties"):
            paging[name] = value
        elif name == "property":
            tests.append(_property_test(value))
        elif name in special:
            tests.append(special[name](value))
        elif name in simple:
            tests.append(field_test(name, value))
        elif name not in _IGNORED:
            raise generic(400, f"Unknown query parameter: {name}")
    return Query(
        tests=tuple(tests),
        order=_order(paging.get("orderBy", "")),
        start=number("start", paging.get("start", "0"), 0, None),
        limit=number("limit", paging.get("limit", str(DEFAULT_LIMIT)), 1, MAX_LIMIT),
        properties=frozenset(paging["properties"].split(",")) if "properties" in paging else None,
    )


def field_test(name: str, value: str) -> Test:
    """Return the test ``name=value``: equal to one of a comma-separated list, or with ``!`` to none of it."""
    return value_test(value, lambda key, body: [body.get(name)])


def value_test(value: str, values_of: Callable[[str, Json], Iterable[Any]]) -> Test:
    """Return a test like `field_test` on values that are found otherwise than by a field's name."""
    negated, wanted = value.startswith("!"), set(value.removeprefix("!").split(","))
    return lambda key, body: any(_text(each) in wanted for each in values_of(key, body)) != negated


def moment_test(compare: Callable[[Any, int], bool], *path: str) -> Callable[[str], Test]:
    """Return a filter that compares the field at a path with a moment, in the field's own unit."""

    def parse_moment(value: str) -> Test:
        moment = number(path[-1], value, None, None)

        def passes(key: str, body: Json) -> bool:
            found = _at(body, path)
            return found is not None and compare(found, moment)

        return passes

    return parse_moment


def _at(body: Json, path: Iterable[str]) -> Any:
    """Return the field at a path; None if there is none."""
    found: Any = body
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def tags_test(value: str) -> Test:
    """Return the test ``tags=name:value,name2:value2``: all of them; ``*`` stands for any text."""
    pairs = [each.partition(":")[::2] for each in value.split(",")]
    patterns = [(name, re.compile(re.escape(wanted).replace(r"\*", ".*"))) for name, wanted in pairs]
    return lambda key, body: all(_has_tag(body.get("tags", {}), name, pattern) for name, pattern in patterns)


def _has_tag(tags: Json, name: str, pattern: re.Pattern[str]) -> bool:
    value = tags.get(name, [])
    values = value if isinstance(value, list) else [value]
    return any(pattern.fullmatch(_text(each)) for each in values)


def _property_test(expression: str) -> Test:
    match = _PROPERTY.fullmatch(expression)
    if not match:
        raise generic(400, f"Invalid property filter: {expression}")
    negated, name, operator, operand = match.groups()
    if operator is None:
        return lambda key, body: (name in body) != bool(negated)
    if operator == "~":
        pattern = _pattern(operand)
        return lambda key, body: name in body and bool(pattern.search(_text(body[name])))
    compare = _COMPARISONS[operator]
    return lambda key, body: (
        name in body and compare(_sort_key(body[name]), _sort_key(_like(body[name], operand)))
    )


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _order(value: str) -> tuple[tuple[str, bool], ...]:
    keys = [_ORDER_KEY.fullmatch(each.strip()) for each in value.split(",")] if value else []
    if not all(keys):
        raise generic(400, f"Invalid orderBy: {value}")
    return tuple((key[2], key[1] == "desc") for key in keys if key)


def number(name: str, value: str, least: int | None, most: int | None) -> int:
    """Read a parameter that is a whole number between two bounds, both of which it may be.

    Raises Refusal (400).
    """
    try:
        result = int(value)
    except ValueError:
        raise _bad_number(name, value) from None
    if (least is not None and result < least) or (most is not None and result > most):
        raise _bad_number(name, value)
    return result


def _bad_number(name: str, value: str) -> Refusal:
    return generic(400, f"Invalid value for {name}: {value}")


def _pattern(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except (re.error, OverflowError, RecursionError):
        raise generic(400, f"Invalid regular expression: {expression}") from None


def _like(value: Any, operand: str) -> Any:
    """Read an operand as what it is compared with: a number where that is a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number("property", operand, None, None)
    return operand


def _sort_key(value: Any) -> tuple[int, Any]:
    """Make values of all kinds comparable: numbers, then texts, then what is missing."""
    if value is None:
        return (2, "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, value)
    return (1, _text(value))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
