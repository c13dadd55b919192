"""Makes the pictures of the documentation: `make screenshots`. Look at them before you keep them."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

import chromium
from airflow_ui import LINK
from runs import wait_for_end
from tour import FAILS, SUCCEEDS, Tour, tour

FOLDER = Path(__file__).parent.parent.parent / "docs" / "images"
LIMIT = 200_000
WIDTH = 1200
MORE = "mapped_ingest"


def main() -> None:
    """Make all pictures."""
    if chromium.PROBLEM:
        sys.exit(chromium.PROBLEM)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as home, tour(Path(home)) as here:
        here.browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        show_form(here)
        here.run_dags()
        here.airflow.wait_for_dag(MORE)
        wait_for_end(here.airflow, MORE)
        show_task(here)
        show_emulator(here)


def show_form(here: Tour) -> None:
    """The connection form, as it is filled in for the emulator."""
    here.browser.emulate(WIDTH, 850)
    here.ui.open_form()
    take(here, "connection-form", 850)
    here.browser.emulate(WIDTH, 1350)
    here.ui.fill_in("adobe_catalog_default", here.values)
    here.browser.execute_script("document.activeElement.blur()")
    take(here, "connection-form-extra", 1350)


def show_task(here: Tour) -> None:
    """The grid, and in it a task with the link to its dataset."""
    here.browser.emulate(WIDTH, 640)
    here.ui.open_task(SUCCEEDS, "open_batch", "details")
    here.browser.find_link(LINK)
    take(here, "task-link", 640)


def show_emulator(here: Tour) -> None:
    """The emulator's pages, in light and dark."""
    refused = here.airflow.xcom_of(FAILS, "open_batch")
    for scheme in ("light", "dark"):
        here.browser.emulate(WIDTH, 800, scheme)
        here.browser.get(f"{here.platform.url}/")
        take(here, f"emulator-{scheme}", 800)
        here.browser.get(f"{here.platform.url}/ui/dev/batches/{refused}")
        take(here, f"emulator-batch-{scheme}", 800)


def take(here: Tour, name: str, height: int) -> None:
    """Write one picture of the upper part of the page, when everything that moves has come to rest."""
    here.browser.execute_async_script("setTimeout(arguments[0], 1000)")
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
    taken = here.browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    picture = base64.b64decode(taken["data"])
    (FOLDER / f"{name}.png").write_bytes(picture)
    print(f"docs/images/{name}.png  {len(picture) / 1000:.0f} kB", flush=True)
    if len(picture) >= LIMIT:
        sys.exit(f"{name} is larger than {LIMIT / 1000:.0f} kB.")


if __name__ == "__main__":
    main()
