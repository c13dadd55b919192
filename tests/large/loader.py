"""Loads files in a process of its own, and tells what that has cost by the process's own accounting.

Usage: loader.py JSON, as :func:`processes.run_loader` writes it. The last line it prints is a JSON object.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path
from typing import Any

from desk import CRM_PROFILES

LOOK_SECONDS = 0.02
STATUS = Path("/proc/self/status")


def upload(job: dict[str, Any]) -> Any:
    """Plan and upload, as the operators do, into a batch of a platform that takes everything."""
    from client_stage import settings_for

    from airflow_provider_catalog.api.client import CatalogClient
    from airflow_provider_catalog.api.models import Batch
    from airflow_provider_catalog.hooks.stores import connect
    from airflow_provider_catalog.ingest import plan
    from airflow_provider_catalog.ingest.files import find_files
    from airflow_provider_catalog.ingest.upload import Upload

    if job["in_one_request"]:
        plan.SMALL_FILE_LIMIT = sys.maxsize
    client = CatalogClient(settings_for(job["url"], access_token="ready", client_secret=None))
    batch = Batch("01HP1Z0A9YZ733QCJN6AXCATHF", "loading")
    planned = plan.plan_upload(
        find_files(job["files"], connect), job["input_format"], coalesce=job["coalesce"]
    )
    Upload(client, batch, CRM_PROFILES, planned, parallel=job["parallel"]).run()
    return {"uploads": len(planned.uploads), "bytes": planned.size}


def ingest(job: dict[str, Any]) -> Any:
    """Run a task that loads files into the platform that Airflow's default connection reaches."""
    from airflow.providers.common.compat.sdk import AirflowFailException
    from tasks import dag, run_task

    from airflow_provider_catalog.operators.ingest import IngestFilesOperator

    task = IngestFilesOperator(
        task_id="load",
        dataset_id=CRM_PROFILES,
        files=job["files"],
        input_format=job["input_format"],
        coalesce=job["coalesce"],
        max_parallel_uploads=job["parallel"],
        poll_interval=1,
        deferrable=False,
        dag=dag(),
    )
    try:
        return run_task(task).xcoms["return_value"]
    except AirflowFailException as failure:
        return {"failure": str(failure)}


def figure(name: str) -> int:
    """Give a number of this process as the kernel has it. Not ``ru_maxrss``: a new program inherits that of its parent."""
    found = re.search(rf"^{name}:\s*(\d+)", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def watch(done: threading.Event, most: list[int]) -> None:
    """Note the largest number of threads until it is over, this one left out."""
    while not done.wait(LOOK_SECONDS):
        most[0] = max(most[0], figure("Threads") - 1)


def main() -> None:
    """Do one job."""
    job = json.loads(sys.argv[1])
    done, threads = threading.Event(), [1]
    watcher = threading.Thread(target=watch, args=(done, threads))
    watcher.start()
    try:
        result = {"upload": upload, "ingest": ingest}[job["do"]](job)
    finally:
        done.set()
        watcher.join()
    print(json.dumps({"peak": figure("VmHWM") * 1024, "threads": threads[0], "result": result}))


if __name__ == "__main__":
    main()
