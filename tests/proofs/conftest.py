"""The stage of these tests, and what is loaded on it."""

import os
from pathlib import Path

import pytest
from airflow_stage import *  # noqa: F403
from outcomes import FILES
from tries import *  # noqa: F403


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Several files with different rows, as a glob; none was written to for a long time."""
    for name, rows in FILES.items():
        path = tmp_path / name
        path.write_text("".join(f"{row}\n" for row in rows))
        os.utime(path, (0, 0))
    return tmp_path / "*.json"
