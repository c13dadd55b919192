"""A place for the large files of these tests, of which nothing is left behind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder. Pytest's own would be kept for the next runs to look into."""
    with tempfile.TemporaryDirectory(prefix="large-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def lasting_folder() -> Iterator[Path]:
    """A folder for all tests of a module."""
    with tempfile.TemporaryDirectory(prefix="large-tests-") as folder:
        yield Path(folder)
