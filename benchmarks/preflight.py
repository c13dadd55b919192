"""Print how fast records are validated, side by side in one run: parsing alone, jsonschema, and jsonschema-rs.

Usage: python benchmarks/preflight.py [records]

Each figure is the best of three passes over the same lines, measured in CPU time of this process. Needs the emulator's
extra, from which the schema comes, and the extra ``fast``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_catalog.emulator.seeds import SCHEMAS
from airflow_provider_catalog.ingest.preflight.records import DECODER
from airflow_provider_catalog.ingest.preflight.translation import translate
from airflow_provider_catalog.ingest.preflight.validators import fast_check, plain_check

RECORDS = 20_000
PASSES = 3

Run = Callable[[bytes], Any]


def record(number: int) -> dict[str, Any]:
    """Make a profile of about 286 bytes."""
    return {
        "_id": f"customer-{number:07}",
        "person": {
            "name": {"firstName": f"First{number % 1000:03}", "lastName": f"Last{number % 1000:03}"},
            "birthDate": f"19{50 + number % 50}-05-15",
            "birthYear": 1950 + number % 50,
        },
        "identityMap": {"CRMID": [{"id": f"customer-{number:07}"}]},
        "personalEmail": {"address": f"c{number:07}@example.com"},
        "homeAddress": {"country": "US"},
    }


def runs() -> dict[str, Run]:
    """Give what is compared, the first being the measure of the others."""
    translation = translate(SCHEMAS[0])
    plain, fast = plain_check(translation), fast_check(translation)

    def checked(check: Callable[[Any], Sequence[Any]]) -> Run:
        def run(line: bytes) -> None:
            if check(DECODER.decode(line.decode())):
                raise ValueError("the record does not fit its schema")

        return run

    return {
        "json.loads alone": json.loads,
        "parsing as pre-flight does it": lambda line: DECODER.decode(line.decode()),
        "parsing and jsonschema": checked(plain),
        "parsing and jsonschema-rs": checked(fast),
    }


def seconds(run: Run, lines: Sequence[bytes]) -> float:
    """Give the CPU seconds of the fastest of some passes."""
    best = float("inf")
    for _ in range(PASSES):
        started = time.process_time()
        for line in lines:
            run(line)
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    """Measure, and print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    lines = [json.dumps(record(number)).encode() for number in range(count)]
    size = sum(map(len, lines))
    print(f"{count:,} records of {size / count:.0f} bytes")
    print(f"{'':31}{'records/s':>12}{'MB/s':>9}{'time, json.loads = 1':>23}")
    measure = 0.0
    for name, run in runs().items():
        spent = seconds(run, lines)
        measure = measure or spent
        print(f"{name:31}{count / spent:12,.0f}{size / spent / 1e6:9.1f}{spent / measure:23.2f}")


if __name__ == "__main__":
    main()
