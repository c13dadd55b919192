"""Which values of a JSON row can be brought into a column of which type.

After the table of type conversions in Adobe's guide to batch ingestion. The whole numbers of JSON count as its
``Long``, all others as ``Double``. Booleans and arrays turn into nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Unconvertible(ValueError):
    """A value does not fit into a type."""


def is_date(text: str) -> bool:
    """Say whether a text is a day as the platform reads it: ``2019-05-15``; Adobe's sample records have ``2019-5-15`` too."""
    match = _DATE.fullmatch(text)
    return match is not None and _exists(date, *map(int, match.groups()))


def is_date_time(text: str) -> bool:
    """Say whether a text is a moment as the platform reads it: ``2019-05-15T10:30:00.123Z``, zone included."""
    match = _DATE_TIME.fullmatch(text)
    return match is not None and _exists(datetime.fromisoformat, match[1] + match[2].replace("Z", ""))


def _exists(make: Callable[..., date], *parts: Any) -> bool:
    try:
        make(*parts)
    except ValueError:
        return False
    return True


def _to_text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) in (int, float):
        return str(value)
    raise Unconvertible


def _to_double(value: Any) -> float:
    if type(value) is str and not _DECIMAL.fullmatch(value):
        raise Unconvertible
    if type(value) not in (str, int, float):
        raise Unconvertible
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all doubles
        raise Unconvertible from None
    if not math.isfinite(number):
        raise Unconvertible
    return number


def _to_whole(least: int, most: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if type(value) is str and not _WHOLE.fullmatch(value):
            raise Unconvertible
        if type(value) not in (str, int, float):
            raise Unconvertible
        number = int(value)
        if not least <= number <= most:
            raise Unconvertible
        return number

    return convert


def _to_boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise Unconvertible


def _to_moment(value: Any) -> str | int:
    """Accept milliseconds since the epoch, and any text: how that is written is a constraint, ``format``."""
    if type(value) in (str, int):
        return value  # type: ignore[no-any-return]
    raise Unconvertible


# By meta:xdmType. The bounds are those of Adobe's reference ETL, which unlike the tables are not off by one.
CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "string": _to_text,
    "number": _to_double,
    "long": _to_whole(-(2**53) + 1, 2**53 - 1),
    "int": _to_whole(-(2**31), 2**31 - 1),
    "short": _to_whole(-(2**15), 2**15 - 1),
    "byte": _to_whole(-(2**7), 2**7 - 1),
    "boolean": _to_boolean,
    "date": _to_moment,
    "date-time": _to_moment,
}
