"""How long this package is patient with the Catalog, and the clock by which it is.

Adobe publishes no figure for how far the Catalog's look-ups lag behind what was written; it warns that they may.
"""

from __future__ import annotations

import time
from threading import Event

CATALOG_LAG = 5.0
"""After so many seconds the Catalog is taken to show what was written: the assumption that "one run, one batch" rests on."""

CATALOG_PATIENCE = 60.0
"""For so many seconds a batch that must be there is looked for. It is the time after which Adobe's gateway gives a call up."""

LOOK_PAUSE = 1.0
"""Seconds between two looks."""

now = time.monotonic
sleep = time.sleep


def wait(event: Event, seconds: float) -> None:
    """Wait for an event, but not longer than so many seconds."""
    event.wait(seconds)
