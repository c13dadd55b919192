"""The emulator's time: real time, plus what tests add to it."""

from __future__ import annotations

import time
from collections.abc import Callable

FASTEST = 1_000_000_000.0
"""The highest rate that a clock can be given: thirty years in a second."""

_LATEST = 253_402_300_799.0  # the end of the year 9999, after which nobody can write moments down


class Clock:
    """Seconds since the epoch, which can be advanced, frozen, and made to run faster or slower; never back.

    At the end of the year 9999 it stands still.
    """

    def __init__(self, offset: float = 0.0, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self._rate = 1.0
        self._frozen = False
        self._anchor(real() + offset)

    def now(self) -> float:
        """Return the emulator's time in seconds since the epoch."""
        return min(self._base + (self._real() - self._since) * self.speed, _LATEST)

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
        """Jump ahead. Raises ValueError for a step back, and for one beyond the year 9999."""
        if not 0 <= seconds <= _LATEST - self.now():
            raise ValueError("the clock goes forward only, and no further than the year 9999")
        self._base += seconds

    def freeze(self, frozen: bool) -> None:
        """Stop the time, or let it go on."""
        self._anchor(self.now())
        self._frozen = frozen

    def set_rate(self, rate: float) -> None:
        """Let the time run `rate` times as fast as real time. Raises ValueError for a rate below 0 or above `FASTEST`."""
        if not 0 <= rate <= FASTEST:
            raise ValueError(f"the clock goes forward only, at most {FASTEST:.0f} times as fast as real time")
        self._anchor(self.now())
        self._rate = rate

    def _anchor(self, now: float) -> None:
        self._base = now
        self._since = self._real()


def milliseconds(seconds: float) -> int:
    """Return a moment the way the platform writes it: integer milliseconds since the epoch."""
    return int(seconds * 1000)
