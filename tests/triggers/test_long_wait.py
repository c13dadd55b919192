"""`BatchTrigger` waits for an hour, in which tokens run out and a secret is changed, and needs nobody.

It runs in a process of its own, as triggers do, and talks to the emulator over HTTP. Nobody waits for the hour to go by: see
`driven_triggerer`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import driven_triggerer
import pytest
from desk import BATCHES, LOCAL_SECRET, Desk

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers.batch import BatchTrigger, Outcome

IMS = "/ims/*"
LOOKS = f"{BATCHES}*"
HOUR = 3600
TOKEN_SECONDS = 600
INTERVAL = 60
NEW_SECRET = "another-secret"
PATIENCE = 120  # real seconds; where the machine is busy, the import of Airflow alone takes half a minute
BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"


@dataclass(frozen=True)
class Report:
    """What has become of a trigger.

    :param seconds: by how much time has leapt.
    :param warnings: what this package has logged as a warning or worse.
    :param output: all that the process has printed.
    """

    event: dict[str, Any]
    seconds: float
    warnings: list[str]
    output: str


class Triggerer:
    """Runs one trigger. Its Airflow finds the connection in a file, which is read anew whenever it is asked for."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._connections = folder / "connections.json"
        self._env = os.environ | {
            "AIRFLOW__SECRETS__BACKEND": BACKEND,
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(self._connections)}),
        }
        self.update_connection()

    def update_connection(self) -> None:
        """Let the connection be the one that reaches the platform now."""
        fields = self._desk.emulator.connection
        fields["extra_dejson"] = fields.pop("extra")
        self._connections.write_text(json.dumps({"changing": fields}))

    @contextmanager
    def running(self, trigger: BatchTrigger) -> Iterator[Callable[[], Report]]:
        """Run a trigger; what is given waits for its event."""
        command = [sys.executable, driven_triggerer.__file__, self._desk.url, json.dumps(trigger.serialize())]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, env=self._env, **pipes)

        def report() -> Report:
            output, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, output
            return Report(**json.loads(output.splitlines()[-1]), output=output)

        try:
            yield report
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def trigger(desk: Desk) -> BatchTrigger:
    """Waits for a batch that is promoted in an hour, at a platform whose tokens live for ten minutes."""
    desk.set(token_lifetime=TOKEN_SECONDS, promotion_seconds=HOUR, empty_batch="success")
    batch_id = desk.open_batch()
    CatalogHook().client.complete_batch(batch_id)
    desk.forget()
    return BatchTrigger(
        batch_id=batch_id,
        catalog_conn_id="changing",
        sandbox_name=None,
        poll_interval=INTERVAL,
        stalled_grace=HOUR,
        max_unreachable=HOUR / 2,
        deadline=time.time() + 2 * HOUR,
    )


@pytest.fixture
def triggerer(desk: Desk, tmp_path: Path) -> Triggerer:
    return Triggerer(desk, tmp_path)


def test_an_hour_with_tokens_of_ten_minutes_needs_no_attention(
    triggerer: Triggerer, trigger: BatchTrigger, desk: Desk
) -> None:
    with triggerer.running(trigger) as report:
        wait = report()
    assert wait.event["outcome"] == Outcome.PROMOTED
    assert wait.seconds > HOUR - PATIENCE
    assert wait.warnings == []
    assert {sent.status for sent in desk.sent()} == {200}
    assert 50 <= len(desk.sent("GET", LOOKS)) <= HOUR / INTERVAL + 2
    renewals = len(desk.sent("POST", IMS)) - 1
    assert 5 <= renewals <= 7


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "after some refusals"])
def test_a_changed_secret_in_the_connection_is_picked_up(
    is_late: bool, triggerer: Triggerer, trigger: BatchTrigger, desk: Desk
) -> None:
    desk.hold_requests("before", LOOKS, skip=30)
    with triggerer.running(trigger) as report:
        assert desk.held(PATIENCE / 2) or desk.held(PATIENCE / 2)
        desk.set(client_secret=NEW_SECRET)
        if is_late:
            desk.hold_requests("after", IMS, skip=2)
            desk.release_all()
            assert desk.held(PATIENCE / 2)
        triggerer.update_connection()
        desk.release_all()
        wait = report()
    assert wait.event["outcome"] == Outcome.PROMOTED
    assert {sent.status for sent in desk.sent("GET", LOOKS)} == {200}
    refused = [sent for sent in desk.sent("POST", IMS) if sent.status == 401]
    assert len(refused) <= (3 if is_late else 1)
    assert desk.sent("POST", IMS)[-1].status == 200
    assert not [secret for secret in (LOCAL_SECRET, NEW_SECRET) if secret in wait.output]
