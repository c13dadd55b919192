"""The DAGs that the pages show to be copied run as they stand, but for the place of their files."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catalog_view import CatalogView

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES

ROOT = Path(__file__).parent.parent.parent


def dag_of(page: str) -> Any:
    """Give the DAG of the one block of Python on a page."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code.replace("/data/customers", str(Path.home() / "aep-data")), page, "exec"), names)
    return names["dag"]


@pytest.fixture
def customers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the guide, in somebody's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    [lines] = re.findall(r"<<'END'\n(.*?)END\n", (ROOT / "docs/getting-started.md").read_text(), re.DOTALL)
    (tmp_path / "aep-data").mkdir()
    (tmp_path / "aep-data" / "customers.json").write_text(lines)


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
@pytest.mark.usefixtures("customers")
def test_the_dag_loads_its_files(page: str, platform: CatalogView, run_dag: Callable[..., Any]) -> None:
    run = run_dag(dag_of(page))
    assert run.state == "success"
    [batch] = platform.batches_of(CRM_PROFILES).values()
    assert (batch["status"], batch["metrics"]["outputRecordCount"]) == ("success", 2)
