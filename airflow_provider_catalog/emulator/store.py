"""What survives a restart: objects as JSON in one SQLite file, uploaded bytes as files beside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

_TABLE = "CREATE TABLE IF NOT EXISTS objects (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID"
_OWN_NAME = re.compile(r"[0-9a-f]{32}")


class Store:
    """A folder with the emulator's objects and files. Each write is durable when the call returns."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "files"
        self._files.mkdir(parents=True, exist_ok=True)
        # The server's thread is not always the one that opened the store, but it is the only one that uses it.
        self._database = sqlite3.connect(
            folder / "emulator.sqlite", isolation_level=None, check_same_thread=False, timeout=1
        )
        # One emulator for one folder: a second one fails here, with "database is locked".
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_TABLE)

    def save(self, kind: str, key: str, body: Any) -> None:
        """Keep an object (a JSON value) under its kind and key."""
        self._database.execute("REPLACE INTO objects VALUES (?, ?, ?)", (kind, key, json.dumps(body)))

    def remove(self, kind: str, keys: Iterable[str]) -> None:
        """Forget objects."""
        self._database.executemany(
            "DELETE FROM objects WHERE kind = ? AND key = ?", ((kind, key) for key in keys)
        )

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Make all that the block saves and removes one change: it happens as a whole or, if the block fails, not at all."""
        self._database.execute("BEGIN")
        with self._database:  # commits, or rolls back
            yield

    def load(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Yield key and object of all objects of a kind, by key."""
        rows = self._database.execute("SELECT key, body FROM objects WHERE kind = ? ORDER BY key", (kind,))
        for key, body in rows.fetchall():
            yield key, json.loads(body)

    def new_file(self) -> Path:
        """Return a path where the bytes of an upload can be written."""
        return self._files / uuid4().hex

    def file(self, name: str) -> Path:
        """Return the path of a file by the name that `new_file` gave it."""
        return self._files / name

    def delete(self, names: Iterable[str]) -> None:
        """Delete files by the names that `new_file` gave them."""
        for name in names:
            self.file(name).unlink(missing_ok=True)

    def sweep(self, known: Container[str]) -> None:
        """Delete the files that no object names: uploads that were cut short when the emulator ended."""
        names = [entry.name for entry in os.scandir(self._files) if entry.is_file()]
        # Nobody else's files, should the folder have been somebody's before.
        self.delete(name for name in names if _OWN_NAME.fullmatch(name) and name not in known)

    def clear(self) -> None:
        """Forget all objects and files."""
        self._database.execute("DELETE FROM objects")
        self.sweep(())

    def close(self) -> None:
        """Close the database."""
        self._database.close()
