"""Batch ids as the platform makes them today: 26 characters that sort by time."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid(milliseconds: int) -> str:
    """Return a ULID for a moment: 48 bits of time, 80 random ones, in Crockford's base 32."""
    number = (milliseconds << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
