"""Runs a whole try when it is imported: for the process that all tries are forked from, so that they find everything in place.

What Airflow and this package import and set up only when it is needed takes longer than the try itself.
"""

import json
import tempfile
import threading
from pathlib import Path

from tries import run_one

from airflow_provider_catalog.api.auth import forget_tokens
from airflow_provider_catalog.emulator.server import running
from airflow_provider_catalog.emulator.settings import Settings

with (
    tempfile.TemporaryDirectory() as folder,
    running(Settings(catalog_lag=0, promotion_seconds=0)) as emulator,
):
    rows = Path(folder) / "rows.json"
    rows.write_text('{"person": {"name": {"firstName": "a"}}}\n')
    report = run_one(json.dumps(emulator.connection), emulator.url, str(rows), 1)
    assert report.failure is None, report.failure
forget_tokens()
assert threading.active_count() == 1, "a process with threads can't be forked"
