"""Runs one trigger in a process in which time goes by without waiting: `driven_triggerer.py URL-OF-THE-EMULATOR TRIGGER`.

Whenever there is nothing left to do but wait, the clocks of the process and of the emulator leap ahead to the moment that is
waited for, so that an hour takes as long as what happens in it. The trigger is given as Airflow stores it, class and arguments,
in JSON. The last line that is printed is a JSON object: the trigger's event, the seconds by which time has leapt, and the
warnings that this package has logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import selectors
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import requests

SETTLING_SECONDS = 0.01


class LeapingSelector(selectors.DefaultSelector):
    """What an event loop waits with, if time leaps instead of going by.

    :param emulator: the address of the emulator whose clock leaps too.
    """

    def __init__(self, emulator: str) -> None:
        super().__init__()
        self.ahead = 0.0
        self._clock = f"{emulator}/__emulator__/clock"
        self._session = requests.Session()
        self._work: set[Future[Any]] = set()

    def select(self, timeout: float | None = None) -> Any:
        """Wait for what happens, but not for time to go by."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        is_at_work = bool(self._work)
        happened = super().select(SETTLING_SECONDS)
        if happened or is_at_work:
            return happened or super().select(None)  # what a thread has done wakes the loop
        self._session.post(self._clock, json={"advance": timeout}, timeout=30).raise_for_status()
        self.ahead += timeout
        return []

    def take_over(self) -> None:
        """Let all clocks of this process leap, but not while one of its threads is at work."""
        real_time, real_monotonic, submit = time.time, time.monotonic, ThreadPoolExecutor.submit

        def submit_counted(pool: ThreadPoolExecutor, /, *call: Any, **arguments: Any) -> Future[Any]:
            future = submit(pool, *call, **arguments)
            self._work.add(future)
            future.add_done_callback(self._work.discard)
            return future

        time.time = lambda: real_time() + self.ahead
        time.monotonic = lambda: real_monotonic() + self.ahead
        ThreadPoolExecutor.submit = submit_counted  # type: ignore[method-assign]


class Warnings(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main(emulator: str, trigger: str) -> None:
    selector, warnings = LeapingSelector(emulator), Warnings()
    selector.take_over()
    # Only now, since a clock may be the default of an argument.
    from tasks import first_event, restored_from

    logging.getLogger("airflow_provider_catalog").addHandler(warnings)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        event = runner.run(first_event(restored_from(*json.loads(trigger))))
    print(json.dumps({"event": event, "seconds": selector.ahead, "warnings": warnings.texts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
