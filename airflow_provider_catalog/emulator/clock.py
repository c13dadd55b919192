"""The emulator's time: real time, plus what tests add to it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch, which can be advanced, frozen, and made to run faster or slower; never back."""

    def __init__(self, offset: float = 0.0, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self._rate = 1.0
        self._frozen = False
        self._anchor(real() + offset)

    def now(self) -> float:
        """Return the emulator's time in seconds since the epoch."""
        return self._base + (self._real() - self._since) * self.speed

    @property
    def speed(self) -> float:
        """Emulator seconds per real second: 0 while frozen."""
        return 0.0 if self._frozen else self._rate

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen

    @property
    def offset(self) -> float:
        """How far ahead of real time the emulator is, in seconds."""
        return self.now() - self._real()

    def advance(self, seconds: float) -> None:
        """Jump ahead. Raises ValueError for a step back."""
        if not 0 <= seconds < float("inf"):
            raise ValueError("the clock goes forward only")
        self._base += seconds

    def freeze(self, frozen: bool) -> None:
        """Stop the time, or let it go on."""
        self._anchor(self.now())
        self._frozen = frozen

    def set_rate(self, rate: float) -> None:
        """Let the time run `rate` times as fast as real time. Raises ValueError for a rate below 0."""
        if not 0 <= rate < float("inf"):
            raise ValueError("the clock goes forward only")
        self._anchor(self.now())
        self._rate = rate

    def _anchor(self, now: float) -> None:
        self._base = now
        self._since = self._real()


def milliseconds(seconds: float) -> int:
    """Return a moment the way the platform writes it: integer milliseconds since the epoch."""
    return int(seconds * 1000)
