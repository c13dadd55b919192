"""What it costs to wait for many batches in one event loop, side by side in one run with the two patterns of today's providers.

Usage: waiting.py [--waits NUMBER ...] [--interval SECONDS] [--plain]

"ours" are triggers of this package. "kept" is one poll for each trigger over a session that the trigger keeps, "fresh" one over a
new session each time; both with aiohttp, which is the cheapest client there is for that. Each case runs in a process of its own
against an emulator that all share, over TLS as with the real platform, or with ``--plain`` without it. Needs openssl.

Shown are, for one interval: requests, connections and CPU seconds; the longest time for which the event loop was not free; and
the time from a batch's promotion to the trigger's event. Each ratio is to "ours".
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

import requests

DATASET = "5c8c3c555033b814b69f947f"
CATALOG_BATCHES = "/data/foundation/catalog/batches"
WAITS = (1, 100, 1_000, 10_000)
POLLS_PER_SECOND = 400
"""So many polls the emulator answers without being what is measured; more waits get a longer interval."""
SHORTEST_INTERVAL = 5.0
PROMOTIONS = 200
TICK = 0.005
LONG = 1e6


class Figures(NamedTuple):
    """What one case has cost in one interval, and how long its events took."""

    requests: float
    connections: int
    cpu: float
    lag: float
    delay: float


def main() -> None:
    """Run all cases, and print a table for each number of waits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waits", type=int, nargs="+", default=WAITS, help="how many batches are waited for")
    parser.add_argument("--interval", type=float, help="seconds between two looks at a batch")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    options = parser.parse_args()
    with emulator() as desk, contextlib.nullcontext(desk.url) if options.plain else tls(desk.url) as url:
        desk.connection["host"] = url
        for count in options.waits:
            interval = options.interval or max(SHORTEST_INTERVAL, count / POLLS_PER_SECOND)
            print_table(count, interval, {case: measure(case, desk, count, interval) for case in CASES})


def print_table(count: int, interval: float, figures: dict[str, Figures]) -> None:
    """Print what was measured for one number of waits."""
    print(f"\n{count:,} waits, one look each in {interval:g} s")
    print(
        f"{'':8}{'requests':>10}{'connections':>13}{'CPU ms':>9}{'ratio':>8}{'lag ms':>9}{'promoted to event s':>21}"
    )
    for case, one in figures.items():
        ratio = one.cpu / figures["ours"].cpu
        print(
            f"{case:8}{one.requests:10,.1f}{one.connections:13,}{one.cpu * 1e3:9.1f}{ratio:8.1f}"
            f"{one.lag * 1e3:9.1f}{one.delay:21.2f}",
            flush=True,
        )


class Desk:
    """Steers the emulator.

    :param url: its address.
    :param connection: an Airflow connection that reaches it.
    """

    def __init__(self, url: str, connection: dict[str, Any]) -> None:
        self.url = url
        self.connection = connection
        self.session = requests.Session()
        token = self.session.post(
            f"{url}/ims/token/v3",
            data={
                "grant_type": "client_credentials",
                "client_id": "local-client",
                "client_secret": "local-secret",
                "scope": "openid",
            },
            timeout=60,
        ).json()["access_token"]
        self.headers = {
            "Authorization": f"Bearer {token}",
            "x-api-key": "local-client",
            "x-gw-ims-org-id": "0123456789ABCDEF01234567@AdobeOrg",
            "x-sandbox-name": "dev",
        }

    def open_batches(self, count: int) -> list[str]:
        """Open batches that wait for their files."""
        body = {"datasetId": DATASET, "inputFormat": {"format": "json"}}
        address = f"{self.url}/data/foundation/import/batches"
        return [
            self.session.post(address, json=body, headers=self.headers, timeout=60).json()["id"]
            for _ in range(count)
        ]

    def promote(self, batch_id: str) -> None:
        """End a batch well."""
        self.steer("POST", f"batches/{batch_id}", {"status": "success"})

    def steer(self, method: str, path: str, body: object = None) -> Any:
        """Call the emulator's own interface."""
        answer = self.session.request(method, f"{self.url}/__emulator__/{path}", json=body, timeout=60)
        return answer.json() if answer.content else None

    def looks(self) -> list[Any]:
        """Give the requests that the Catalog has got."""
        found: list[Any] = self.steer("GET", f"requests?path={CATALOG_BATCHES}")
        return found


@contextlib.contextmanager
def emulator() -> Iterator[Desk]:
    """Run the emulator in a process of its own."""
    command = [sys.executable, "-m", "airflow_provider_catalog.emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
        connection = next(line for line in server.stdout if "AIRFLOW_CONN" in line).partition("=")[2]
        try:
            yield Desk(url, json.loads(connection.strip().strip("'")))
        finally:
            server.terminate()


@contextlib.contextmanager
def tls(url: str) -> Iterator[str]:
    """Put a process before the emulator that speaks TLS with everybody, with a certificate that all are told to trust."""
    with tempfile.TemporaryDirectory(prefix="waiting-benchmark-") as folder:
        certificate = Path(folder) / "platform.pem"
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-nodes",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ),
                *("-subj", "/CN=platform", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"),
                *("-keyout", str(certificate), "-out", str(certificate) + ".crt"),
            ],
            check=True,
            capture_output=True,
        )
        certificate.write_text(certificate.read_text() + Path(f"{certificate}.crt").read_text())
        os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = f"{certificate}.crt"
        command = [sys.executable, __file__, "--tls", str(certificate), str(urlsplit(url).port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as front:
            assert front.stdout is not None
            try:
                yield f"https://127.0.0.1:{int(front.stdout.readline())}"
            finally:
                front.terminate()


async def speak_tls(certificate: str, port: int) -> None:
    """Hand on what comes in over TLS, and what comes back."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(hand_on(reader, forth), hand_on(back, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=context, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def measure(case: str, desk: Desk, count: int, interval: float) -> Figures:
    """Let one case wait in a process of its own."""
    ids = desk.open_batches(count)
    environment = {**os.environ, "AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT": json.dumps(desk.connection)}
    url = desk.connection["host"]
    command = [sys.executable, __file__, "--case", case, url, json.dumps(desk.headers), str(interval)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        print(json.dumps(ids), file=client.stdin, flush=True)
        # Each has looked once, so that all that is made once is made.
        time.sleep(1.5 * interval + 2)
        intervals = max(1, min(4, 4_000 // count))
        desk.steer("DELETE", "requests")
        print("begin", file=client.stdin, flush=True)
        time.sleep(intervals * interval)
        print("end", file=client.stdin, flush=True)
        looks = desk.looks()
        time.sleep(interval)
        print("enough", file=client.stdin, flush=True)
        cost = json.loads(client.stdout.readline())
        delay = promote_some(desk, client.stdout, ids, interval)
        client.terminate()
    return Figures(
        requests=len(looks) / intervals,
        connections=len({look["connection"] for look in looks}),
        cpu=cost["cpu"] / intervals,
        lag=cost["lag"],
        delay=delay,
    )


def promote_some(desk: Desk, events: IO[str], ids: list[str], interval: float) -> float:
    """Promote batches at random times in some intervals, and give the median of how long the events took."""
    chosen = random.sample(ids, min(len(ids), PROMOTIONS))
    began = time.time()
    promoted = {}
    for moment, batch_id in zip(sorted(random.uniform(0, 2 * interval) for _ in chosen), chosen, strict=True):
        time.sleep(max(0.0, began + moment - time.time()))
        desk.promote(batch_id)
        promoted[batch_id] = time.time()
    told = (json.loads(events.readline()) for _ in chosen)
    return statistics.median(event["at"] - promoted[event["id"]] for event in told)


# What follows runs in the processes of the cases.

Wait = Callable[[str], Awaitable[None]]


async def run_case(case: str, url: str, headers: dict[str, str], interval: float) -> None:
    """Wait for all batches whose ids come in, tell what the time between two words has cost, and each event."""
    # Airflow logs to the standard output, of which the answers have to be kept clear.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    wait = CASES[case](url, headers, interval)
    lines = read_lines()
    tasks = [
        asyncio.create_task(announced(wait, batch_id, answers)) for batch_id in json.loads(await anext(lines))
    ]
    await anext(lines)
    before = time.process_time()
    await anext(lines)
    cpu = time.process_time() - before
    # Afterwards, since looking whether the loop is free costs more than our triggers do.
    lags = asyncio.create_task(longest_lag())
    await anext(lines)
    lags.cancel()
    print(json.dumps({"cpu": cpu, "lag": await lags}), file=answers)
    await asyncio.gather(*tasks)


async def read_lines() -> AsyncIterator[str]:
    """Give what comes in, without a thread."""
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield line.decode()


async def announced(wait: Wait, batch_id: str, answers: IO[str]) -> None:
    """Wait, and tell when that is over."""
    await wait(batch_id)
    print(json.dumps({"id": batch_id, "at": time.time()}), file=answers)


async def longest_lag() -> float:
    """Give, when cancelled, the longest time by which the loop was late."""
    longest = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            longest = max(longest, time.perf_counter() - due)
    return longest


def ours(url: str, headers: dict[str, str], interval: float) -> Wait:
    """Wait with a trigger of this package."""
    from airflow_provider_catalog.triggers.batch import BatchTrigger

    async def wait(batch_id: str) -> None:
        trigger = BatchTrigger(
            batch_id=batch_id,
            catalog_conn_id="adobe_catalog_default",
            sandbox_name=None,
            poll_interval=interval,
            stalled_grace=LONG,
            max_unreachable=LONG,
            deadline=time.time() + LONG,
        )
        async for _ in trigger.run():
            return

    return wait


def kept(url: str, headers: dict[str, str], interval: float) -> Wait:
    """Wait with a session for each trigger."""
    import aiohttp

    async def wait(batch_id: str) -> None:
        await asyncio.sleep(random.uniform(0, interval))
        async with aiohttp.ClientSession(headers=headers) as session:
            while await is_waiting(session, url, batch_id):
                await asyncio.sleep(interval)

    return wait


def fresh(url: str, headers: dict[str, str], interval: float) -> Wait:
    """Wait with a session for each poll."""
    import aiohttp

    async def wait(batch_id: str) -> None:
        await asyncio.sleep(random.uniform(0, interval))
        while True:
            async with aiohttp.ClientSession(headers=headers) as session:
                if not await is_waiting(session, url, batch_id):
                    return
            await asyncio.sleep(interval)

    return wait


async def is_waiting(session: Any, url: str, batch_id: str) -> bool:
    """Look once at one batch."""
    async with session.get(f"{url}{CATALOG_BATCHES}/{batch_id}") as answer:
        answer.raise_for_status()
        status: str = (await answer.json())[batch_id]["status"]
        return status != "success"


CASES: dict[str, Callable[[str, dict[str, str], float], Wait]] = {"ours": ours, "kept": kept, "fresh": fresh}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        logging.getLogger("airflow_provider_catalog").setLevel(logging.WARNING)
        asyncio.run(run_case(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), float(sys.argv[5])))
    elif sys.argv[1:2] == ["--tls"]:
        asyncio.run(speak_tls(sys.argv[2], int(sys.argv[3])))
    else:
        main()
