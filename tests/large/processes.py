"""The processes of these tests: servers, and the one that loads, whose memory is then that of the client alone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import requests

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LONGEST_LOAD = 3600
JSON_LINES = {"format": "json"}


class Cost(NamedTuple):
    """What a load has cost, and come to.

    :param peak: bytes of memory held at most.
    :param threads: how many there were at most.
    :param result: what was reported of it.
    """

    peak: int
    threads: int
    result: dict[str, Any]


class Platform:
    """The emulator in a process of its own, as these tests steer it.

    :param url: where it listens.
    :param connection: the Airflow connection that reaches it.
    :param data_dir: where it keeps its files.
    """

    def __init__(self, url: str, connection: str, data_dir: Path) -> None:
        self.url = url
        self.connection = connection
        self.data_dir = data_dir

    def sent(self) -> list[dict[str, Any]]:
        """Give the requests to the platform's own API, oldest first."""
        answer = requests.get(f"{self.url}/__emulator__/requests", timeout=300)
        return [each for each in answer.json() if each["path"].startswith("/data/")]

    def read(self, address: str, /, **query: Any) -> requests.Response:
        """Get something from the platform's API; its body is left to be read."""
        identity = {"client_id": "local-client", "client_secret": "local-secret"}
        fields = {"grant_type": "client_credentials", "scope": "openid", **identity}
        token = requests.post(f"{self.url}/ims/token/v3", data=fields, timeout=30).json()["access_token"]
        headers = {
            "Authorization": f"Bearer {token}",
            "x-api-key": "local-client",
            "x-gw-ims-org-id": "0123456789ABCDEF01234567@AdobeOrg",
            "x-sandbox-name": "dev",
        }
        answer = requests.get(f"{self.url}{address}", params=query, headers=headers, stream=True, timeout=300)
        answer.raise_for_status()
        return answer


@contextlib.contextmanager
def serving(*command: str) -> Iterator[tuple[str, Iterator[str]]]:
    """Run a server for the length of a ``with`` block; give its address, and the lines that it prints after it."""
    environment = os.environ | {"PYTHONPATH": search_path()}
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        try:
            url = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
            yield url, server.stdout
        finally:
            # Not killed: the emulator removes what it has kept.
            server.terminate()


@contextlib.contextmanager
def emulator(data_dir: Path, **settings: Any) -> Iterator[Platform]:
    """Run the emulator in a process of its own."""
    changes = [f"--set={name}={value}" for name, value in settings.items()]
    command = ["-m", "airflow_provider_catalog.emulator", "--port=0", f"--data-dir={data_dir}", *changes]
    with serving(*command) as (url, lines):
        connection = next(lines).partition("=")[2].strip().strip("'")
        yield Platform(url, connection, data_dir)


@contextlib.contextmanager
def discard_server() -> Iterator[str]:
    """Run a server that takes everything and keeps nothing."""
    with serving(str(ROOT / "benchmarks" / "discard_server.py")) as (url, _):
        yield url


@contextlib.contextmanager
def stream_server() -> Iterator[str]:
    """Run a server of files that are nowhere."""
    with serving(str(HERE / "streams.py")) as (url, _):
        yield url


def upload(
    url: str,
    files: str | Path | Sequence[str],
    *,
    parallel: int,
    input_format: dict[str, Any] = JSON_LINES,
    coalesce: bool = False,
    in_one_request: bool = False,
) -> Cost:
    """Upload files to a platform that takes everything."""
    job = {"do": "upload", "url": url, "in_one_request": in_one_request}
    return run_loader(job, files=str(files), input_format=input_format, coalesce=coalesce, parallel=parallel)


def ingest(
    platform: Platform,
    files: Path,
    *,
    parallel: int = 4,
    input_format: str = "json",
    coalesce: bool = False,
) -> Cost:
    """Load files with a task, up to the promotion of the batch."""
    os.environ["AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"] = platform.connection
    return run_loader(
        {"do": "ingest"}, files=str(files), input_format=input_format, coalesce=coalesce, parallel=parallel
    )


def run_loader(job: dict[str, Any], **arguments: Any) -> Cost:
    """Run the process that loads, and give what it has cost."""
    done = subprocess.run(
        [sys.executable, str(HERE / "loader.py"), json.dumps(job | arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": search_path()},
        timeout=LONGEST_LOAD,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def search_path() -> str:
    """Give where this process finds its modules, for another one."""
    return os.pathsep.join(sys.path)
