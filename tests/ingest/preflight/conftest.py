"""What these tests share: sources on disk, and hypothesis with the same examples each time."""

from pathlib import Path

import pytest
from hypothesis import settings
from schemas import MakeSource, source_of

from airflow_provider_catalog.ingest.sources import SourceFile

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def make_source(tmp_path: Path) -> MakeSource:
    """``make_source(b"...", "a.json")`` gives a source with these bytes."""

    def make(content: bytes, name: str = "a.json") -> SourceFile:
        path = tmp_path / name
        path.write_bytes(content)
        return source_of(path)

    return make
