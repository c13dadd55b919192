"""Durations as users write them."""

from __future__ import annotations

from datetime import timedelta


def seconds(name: str, value: float | timedelta) -> float:
    """Give a duration in seconds.

    :param name: the argument's name.
    :param value: seconds or a timedelta.
    :raises ValueError: it is neither, or negative.
    """
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(given, bool) or not isinstance(given, int | float) or not given >= 0:
        raise ValueError(f"{name}: got {value!r}, expected a timedelta or seconds, 0 or more")
    return float(given)
