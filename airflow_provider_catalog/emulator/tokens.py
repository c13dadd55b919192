"""Access tokens: who got one, and until when it is good."""

from __future__ import annotations

import secrets

from .clock import Clock

PREFIX = "emu-"


class Tokens:
    """The tokens given out. They are opaque, easy to recognise in a log, and die with the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expiry: dict[str, float] = {}

    def issue(self, lifetime: float) -> str:
        """Return a new token that is valid for `lifetime` seconds of the emulator's clock."""
        token = PREFIX + secrets.token_urlsafe(32)
        self._expiry[token] = self._clock.now() + lifetime
        return token

    def valid(self, token: str) -> bool:
        """Say whether the token was given out here and has not expired."""
        return self._clock.now() < self._expiry.get(token, 0)

    def expire(self, token: str | None = None) -> int:
        """End one token, or all of them; return how many were still valid."""
        ended = [each for each in self._expiry if token in (None, each) and self.valid(each)]
        self._expiry.update(dict.fromkeys(ended, 0.0))
        return len(ended)

    @property
    def issued(self) -> tuple[str, ...]:
        """Every token ever given out, valid or not."""
        return tuple(self._expiry)
