"""The command line."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_catalog.emulator import cli
from airflow_provider_catalog.emulator.server import listen

from .client import Client

ROOT = Path(cli.__file__).parents[2]
COMMAND = [sys.executable, "-m", "airflow_provider_catalog.emulator"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start the emulator; give the process and the two lines that it prints."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield process, [process.stdout.readline().strip() for _ in range(2)]
        finally:
            process.terminate()


def connection(line: str) -> dict[str, Any]:
    export, assignment = shlex.split(line)
    name, _, value = assignment.partition("=")
    assert (export, name) == ("export", "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT")
    return dict(json.loads(value))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_quietly_when_interrupted(number: signal.Signals) -> None:
    with started("--token-lifetime", "60", "--set", "csv_metrics=true") as (process, [address, export]):
        url = connection(export)["host"]
        assert url in address
        settings = requests.get(f"{url}/__emulator__/settings", timeout=10).json()
        assert (settings["token_lifetime"], settings["csv_metrics"]) == (60, True)
        process.send_signal(number)
        out, errors = process.communicate(timeout=10)
        assert (process.returncode, out, errors) == (0, "", "")


def test_a_folder_survives_the_death_of_the_process(tmp_path: Path) -> None:
    folder = str(tmp_path / "new" / "folder")
    with started("--data-dir", folder) as (process, [_, export]):
        clock = f"{connection(export)['host']}/__emulator__/clock"
        before = requests.post(clock, json={"advance": 5000}, timeout=10).json()["now"]
        process.kill()
        process.wait(timeout=10)
    with started("--data-dir", folder) as (_, [_, export]):
        clock = f"{connection(export)['host']}/__emulator__/clock"
        assert requests.get(clock, timeout=10).json()["now"] >= before


@pytest.mark.parametrize("last", ["a batch", "a dataset"])
def test_after_a_kill_time_goes_on_from_what_was_done_last_however_fast_it_had_run(
    tmp_path: Path, last: str
) -> None:
    with started("--data-dir", str(tmp_path)) as (process, [_, export]):
        before = Client(Address(connection(export)["host"]))
        before.steer("clock", {"set_rate": 3600})
        time.sleep(0.1)
        identity = before.open() if last == "a batch" else before.add_dataset({})
        process.kill()
        process.wait(timeout=10)
    with started("--data-dir", str(tmp_path)) as (_, [_, export]):
        after = Client(Address(connection(export)["host"]))
        after.advance(1)
        kind = "batches" if last == "a batch" else "dataSets"
        assert identity in after.get(f"catalog/{kind}").json()


@dataclass
class Address:
    """All that a client has to know of an emulator in another process."""

    url: str


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the emulator says instead of starting."""
    assert cli.main(arguments) == 2
    return capsys.readouterr().err


def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}: Address already in use" in refusal(capsys, "--port", str(port))


def test_a_folder_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert f"cannot keep data in {file}" in refusal(capsys, "--port", "0", "--data-dir", str(file))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_being_reachable_from_elsewhere_must_be_asked_for(
    capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert "--allow-remote" in refusal(capsys, "--host", host)


def test_when_allowed_it_listens_everywhere_and_says_how_to_reach_it() -> None:
    with started("--host", "0.0.0.0", "--allow-remote") as (_, [_, export]):
        url = connection(export)["host"]
        assert url.startswith("http://127.0.0.1:")
        assert requests.get(url, timeout=10).status_code == 200


def test_missing_packages_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_REQUIRED", ("starlette", "no_such_package"))
    said = refusal(capsys)
    assert "no_such_package" in said
    assert "airflow-provider-catalog[emulator]" in said


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--set", "nope=1"], "no such setting"),
        (["--set", "nope"], "NAME=VALUE"),
        (["--promotion-seconds", "-3"], "not negative"),
        (["--catalog-lag", "short"], "number"),
        (["--token-lifetime", "1e999"], "finite"),
        (["--promotion-seconds", "1e300"], "a hundred years"),
        (["--set", "small_file_limit=1e999"], "number"),
    ],
)
def test_a_senseless_setting_is_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    said = refusal(capsys, *arguments)
    assert hint in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("port", ["-1", "65536", "99999", "http", "8765.0", ""])
def test_a_senseless_port_is_refused(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["--port", port])
    assert "--port: a port is a number from 0 to 65535\n" in capsys.readouterr().err
