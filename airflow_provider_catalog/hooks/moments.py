"""Moments as users write them."""

from __future__ import annotations

from datetime import UTC, datetime


def epoch_seconds(name: str, value: object) -> float:
    """Give a moment in seconds since the epoch.

    :param name: the argument's name.
    :param value: a datetime or its ISO text; UTC where it names no time zone.
    :raises InvalidInputError: it is neither.
    """
    from airflow_provider_catalog.api.errors import InvalidInputError

    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        allowed = "a datetime, or its ISO text such as 2026-01-31T00:00:00+00:00"
        raise InvalidInputError(name, value, allowed) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
