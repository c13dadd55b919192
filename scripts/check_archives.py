"""Fail unless the wheel and the source archive in dist/ hold what they should, and nothing else.

Usage: check_archives.py
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Set
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "airflow_provider_catalog"
SOURCE_FILES = {
    "CHANGELOG.md",
    "LICENSE",
    "MANIFEST.in",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
}
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt"}


def main() -> None:
    """Compare both archives with the checkout."""
    package = package_files()
    [wheel] = (ROOT / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    compare(wheel, outside(names, ".dist-info"), package)
    compare(wheel, inside(names, ".dist-info"), METADATA)
    [source] = (ROOT / "dist").glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    compare(source, outside(names, ".egg-info"), package | SOURCE_FILES)


def package_files() -> set[str]:
    """Name the files that make up the package: code, schemas, pages, and the note that it is typed."""
    kinds = ("*.py", "*.json", "py.typed", "emulator/web/*.html", "emulator/web/static/*")
    return {str(path.relative_to(ROOT)) for kind in kinds for path in (ROOT / PACKAGE).rglob(kind)}


def outside(names: Set[str], folder: str) -> set[str]:
    """Give the names that do not lie in the folder of this ending."""
    return {name for name in names if not name.partition("/")[0].endswith(folder)}


def inside(names: Set[str], folder: str) -> set[str]:
    """Give the names below the folder of this ending."""
    return {name.partition("/")[2] for name in names - outside(names, folder)}


def compare(archive: Path, found: Set[str], wanted: Set[str]) -> None:
    """Stop unless both are the same."""
    if found != wanted:
        sys.exit(f"{archive.name}: missing {sorted(wanted - found)}, not wanted {sorted(found - wanted)}")


if __name__ == "__main__":
    main()
