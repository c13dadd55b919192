"""How fast files are uploaded, at what price in CPU and memory, side by side with other clients in one run.

Usage: upload.py [--size BYTES] [--runs NUMBER] [--memory]

Against a server that throws everything away, and against the emulator. Each case runs in a process of its own; the median of some
runs is shown, and its ratio to ``curl -T`` of the same run. With ``--memory``, also what the processes hold at most, by the size
of the file. Needs curl; aepp is a case where it is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
GIGABYTE = 1_000_000_000
AEPP_SHARE = 20
"""aepp holds ten bytes of memory and more for each byte of a file: it gets a twentieth of it."""

ROW = '{"_id": "%08d", "person": {"name": {"firstName": "Customer", "lastName": "%0150d"}}, "loyalty": {"points": 12}}\n'
BATCH, DATASET = "01HP1Z0A9YZ733QCJN6AXCATHF", "5c8c3c555033b814b69f947f"
SIZES = (GIGABYTE // 10, GIGABYTE, 5 * GIGABYTE)


class Figures(NamedTuple):
    """What one run of one case has cost."""

    seconds: float
    cpu: float
    peak: int


def main() -> None:
    """Run all cases, and print a table of each."""
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="upload-benchmark-") as folder:
        file = make_file(Path(folder) / "rows.json", options.size)
        with discard_server() as url:
            print(f"\n{options.size / GIGABYTE:.2f} GB to a server that throws everything away")
            compare(file, url, options.runs, CASES)
        with emulator(options.size) as (url, batch, dataset):
            os.environ |= {"BENCHMARK_BATCH": batch, "BENCHMARK_DATASET": dataset}
            print(f"\n{options.size / GIGABYTE:.2f} GB to the emulator")
            compare(file, url, options.runs, [case for case in CASES if "aepp" not in case])
        os.environ |= {"BENCHMARK_BATCH": BATCH, "BENCHMARK_DATASET": DATASET}
        if options.memory:
            print("\nMegabytes held at most, by the size of the file")
            compare_memory(Path(folder))


def parse_options() -> argparse.Namespace:
    """Read the command line; the cases run in processes of their own, which it starts as well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=GIGABYTE, help="bytes of the file")
    parser.add_argument("--runs", type=int, default=3, help="runs of each case")
    parser.add_argument("--memory", action="store_true", help="also measure memory, with up to 5 GB")
    return parser.parse_args()


def make_file(path: Path, size: int) -> Path:
    """Write a file of JSON lines of about a size."""
    block = "".join(ROW % (number, number) for number in range(5000)).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block[: size - file.tell()])
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\n")
    return path


def compare(file: Path, url: str, runs: int, cases: list[str]) -> None:
    """Measure cases in turn, so that a slow minute of the machine befalls all of them."""
    found = {case: [] for case in cases if can_run(case)}
    for _ in range(runs):
        for case, figures in found.items():
            figures.append(measure(case, file, url))
    size = {case: file.stat().st_size / (AEPP_SHARE if "aepp" in case else 1) / GIGABYTE for case in found}
    rate = {case: size[case] / median(figures, "seconds") for case, figures in found.items()}
    cost = {case: median(figures, "cpu") / size[case] for case, figures in found.items()}
    print(f"{'':44}{'GB/s':>8}{'/ curl':>8}{'CPU s/GB':>10}{'/ curl':>8}{'peak MB':>9}")
    for case, figures in found.items():
        print(
            f"{case:44}{rate[case]:8.2f}{rate[case] / rate['curl -T']:8.2f}{cost[case]:10.2f}"
            f"{cost[case] / cost['curl -T']:8.2f}{median(figures, 'peak') / 1e6:9.0f}"
        )


def compare_memory(folder: Path) -> None:
    """Measure what our cases hold at most."""
    ours = [case for case in CASES if case.startswith("this package")]
    found: dict[str, list[Figures]] = {case: [] for case in ours}
    with discard_server() as url:
        for size in SIZES:
            file = make_file(folder / f"{size}.json", size)
            for case in ours:
                found[case].append(measure(case, file, url))
            file.unlink()
    print(f"{'':44}" + "".join(f"{size / GIGABYTE:>8.1f}GB" for size in SIZES))
    for case, figures in found.items():
        print(f"{case:44}" + "".join(f"{each.peak / 1e6:10.0f}" for each in figures))


def median(figures: list[Figures], name: str) -> float:
    """Give the middle of some figures."""
    return statistics.median(getattr(each, name) for each in figures)


def can_run(case: str) -> bool:
    """Whether what a case needs is installed."""
    return bool(find_spec("aepp")) if "aepp" in case else bool(shutil.which("curl")) or "curl" not in case


def measure(case: str, file: Path, url: str) -> Figures:
    """Run a case in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / "upload.py"), "--case", case, str(file), url],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


@contextlib.contextmanager
def discard_server() -> Iterator[str]:
    """Run the server in a process of its own."""
    command = [sys.executable, str(HERE / "discard_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


@contextlib.contextmanager
def emulator(size: int) -> Iterator[tuple[str, str, str]]:
    """Run the emulator in a process of its own, which takes files of any size, and open a batch."""
    command = [sys.executable, "-m", "airflow_provider_catalog.emulator", "--port", "0"]
    command += ["--set", f"small_file_limit={max(size, 256_000_000)}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
        try:
            client = client_for(url)
            batch = client.create_batch({"datasetId": DATASET, "inputFormat": {"format": "json"}})
            yield url, batch, DATASET
        finally:
            # Not killed: it removes the gigabytes that it has received.
            server.terminate()


# What follows runs in the processes of the cases.


def run_case(case: str, file: Path, url: str) -> None:
    """Do what a case does, and print what it has cost; what it needs is imported and connected before."""
    work = CASES_BY_NAME[case](file, url)
    before, started = usage(case), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - started, usage(case)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": after.ru_maxrss * 1024}))


def usage(case: str) -> resource.struct_rusage:
    """Give what this process, or that of curl, has used so far."""
    return resource.getrusage(resource.RUSAGE_CHILDREN if "curl" in case else resource.RUSAGE_SELF)


def curl(file: Path, url: str) -> Callable[[], Any]:
    """Upload with curl, one file with one request."""
    command = ["curl", "--silent", "--fail", "--output", os.devnull, "-T", str(file), file_url(url, "curl")]
    for name, value in headers(url).items():
        command += ["-H", f"{name}: {value}"]
    return lambda: subprocess.run(command, check=True)


def plain_requests(file: Path, url: str) -> Callable[[], Any]:
    """Upload as most people would."""
    import requests

    sent = headers(url)

    def work() -> None:
        with file.open("rb") as body:
            requests.put(file_url(url, "plain"), data=body, headers=sent, timeout=60).raise_for_status()

    return work


def aepp(file: Path, url: str) -> Callable[[], Any]:
    """Upload JSON lines as aepp's documentation has it: parsed into a list, and written again as an array."""
    import aepp as package
    from aepp import ingestion

    package.configure(
        org_id="0@AdobeOrg", client_id="local-client", secret="x", scopes="openid", accesstoken="ready"
    )
    package.config.config_object["connectionType"] = "oauthV2"
    package.config.endpoints["global"] = url
    loader = ingestion.DataIngestion()

    def work() -> None:
        size = file.stat().st_size // AEPP_SHARE
        with file.open() as lines:
            rows = [json.loads(line) for line in lines.readlines(size)]
        loader.uploadSmallFile(BATCH, DATASET, "rows.json", rows)

    return work


def one_request(file: Path, url: str) -> Callable[[], Any]:
    """Upload through the client, one file with one request."""
    from airflow_provider_catalog.api.large_files import ByteRange
    from airflow_provider_catalog.ingest.files import find_files
    from airflow_provider_catalog.ingest.parts import Part, Piece

    client = client_for(url)
    (source,) = find_files(file)
    part = Part("one.json", (Piece(source, ByteRange(0, source.size)),))
    return lambda: client.put_file(*place(), part.remote_name, part.open)


def planned(input_format: dict[str, Any], parallel: int) -> Callable[[Path, str], Callable[[], Any]]:
    """Upload as the operators do, from the plan on."""

    def prepare(file: Path, url: str) -> Callable[[], Any]:
        from airflow_provider_catalog.api.models import Batch
        from airflow_provider_catalog.ingest.files import find_files
        from airflow_provider_catalog.ingest.plan import plan_upload
        from airflow_provider_catalog.ingest.upload import Upload

        client = client_for(url)
        batch, dataset = place()
        find_files(file)  # what is compiled at the first use is no part of an upload

        def work() -> None:
            plan = plan_upload(find_files(file), input_format)
            plan = renamed(plan)
            Upload(client, Batch(batch, "loading"), dataset, plan, parallel=parallel).run()

        return work

    return prepare


def renamed(plan: Any) -> Any:
    """Give each run names of its own: a large file can be begun once only."""
    from dataclasses import replace

    own = f"{os.getpid()}-"
    return replace(
        plan, uploads=tuple(replace(each, remote_name=own + each.remote_name) for each in plan.uploads)
    )


def client_for(url: str) -> Any:
    """Give a client that has its token."""
    from airflow_provider_catalog.api.client import CatalogClient
    from airflow_provider_catalog.api.settings import PlatformSettings

    secret = {} if is_emulator(url) else {"access_token": "ready"}
    settings = PlatformSettings(
        host=url,
        ims_host=url,
        client_id="local-client",
        client_secret="local-secret",
        ims_org_id="0123456789ABCDEF01234567@AdobeOrg",
        sandbox_name="dev",
        **secret,
    )
    client = CatalogClient(settings)
    client.auth.token()
    return client


def is_emulator(url: str) -> bool:
    """Whether an address is the emulator's, which has a page at its root."""
    import requests

    return "html" in requests.get(url, timeout=10).headers.get("Content-Type", "")


def headers(url: str) -> dict[str, str]:
    """Give what the platform wants to see."""
    client = client_for(url)
    settings = client.settings
    return {
        "Authorization": f"Bearer {client.auth.token()}",
        "x-api-key": settings.client_id,
        "x-gw-ims-org-id": settings.ims_org_id,
        "x-sandbox-name": settings.sandbox_name,
        "Content-Type": "application/octet-stream",
    }


def place() -> tuple[str, str]:
    """Give the batch and the dataset to upload into."""
    return os.environ.get("BENCHMARK_BATCH", BATCH), os.environ.get("BENCHMARK_DATASET", DATASET)


def file_url(url: str, name: str) -> str:
    """Give the address of a file."""
    batch, dataset = place()
    return f"{url}/data/foundation/import/batches/{batch}/datasets/{dataset}/files/{name}.json"


CASES_BY_NAME: dict[str, Callable[[Path, str], Callable[[], Any]]] = {
    "curl -T": curl,
    "requests.put(data=open())": plain_requests,
    "this package, one request": one_request,
    "this package, parts, 1 at a time": planned({"format": "json"}, 1),
    "this package, parts, 4 at a time": planned({"format": "json"}, 4),
    "this package, chunks, 1 at a time": planned({"format": "parquet"}, 1),
    "this package, chunks, 4 at a time": planned({"format": "parquet"}, 4),
    f"aepp, uploadSmallFile, 1/{AEPP_SHARE} of the file": aepp,
}
CASES = list(CASES_BY_NAME)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        run_case(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        main()
