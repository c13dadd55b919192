"""Which texts and numbers the platform can bring into which type of column.

After the table of type conversions in Adobe's guide to batch ingestion. Where it leaves open how a text must be written,
only what every reader takes for a number or a day is taken for one here.

See https://experienceleague.adobe.com/en/docs/experience-platform/ingestion/batch/overview.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from airflow_provider_catalog.ingest.preflight.xdm import Kind

# Adobe's tables are off by one at the upper ends; its reference ETL is not.
WHOLE_RANGES = {
    Kind.LONG: (-(2**53) + 1, 2**53 - 1),
    Kind.INT: (-(2**31), 2**31 - 1),
    Kind.SHORT: (-(2**15), 2**15 - 1),
    Kind.BYTE: (-(2**7), 2**7 - 1),
}

# More digits than any column holds, leading zeros apart; Python refuses to read texts of thousands.
WHOLE = re.compile(r"([+-]?)0*([0-9]{1,20})")
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Adobe's own sample records write days without leading zeros as well.
DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def whole_of_text(text: str) -> int | None:
    """Read a whole number, as ``42``, ``-7`` and ``+7``; anything else is None."""
    match = WHOLE.fullmatch(text)
    return int(match[1] + match[2]) if match else None


def double_of_text(text: str) -> float | None:
    """Read a decimal number, with or without an exponent; anything else, or what is too large for a double, is None."""
    if not DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def text_of_number(number: int | float) -> str:
    """Write a number as it comes to stand in a column of texts."""
    return str(number)


def is_day(text: str) -> bool:
    """Whether a text is a day that exists, such as ``2019-05-15``."""
    match = DAY.fullmatch(text)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def is_moment(text: str) -> bool:
    """Whether a text is a moment that exists, such as ``2019-05-15T10:30:00.123Z``; it must have a zone."""
    match = MOMENT.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(match[1] + match[2])
    except ValueError:
        return False
    return True
