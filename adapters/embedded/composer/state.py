"""The composes of the stand-in composer, in an SQLite file so that they survive a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from adapters.embedded.composer.plan import Plan
from adapters.embedded.private_files import close_to_others, make_folder, open_to_append

MAKE: Final = """
    CREATE TABLE IF NOT EXISTS composes
    (id TEXT NOT NULL UNIQUE, created_at REAL NOT NULL, plan BLOB NOT NULL, request BLOB NOT NULL)
"""
ADD: Final = "INSERT INTO composes (id, created_at, plan, request) VALUES (?, ?, ?, ?)"
FIND: Final = "SELECT id, created_at, plan, request FROM composes WHERE id = ?"
NEWEST: Final = "SELECT id, created_at, plan, request FROM composes ORDER BY rowid DESC"
COUNT: Final = "SELECT count(*) FROM composes"
REMOVE: Final = "DELETE FROM composes WHERE id = ?"
CLEAR: Final = "DELETE FROM composes"


@dataclass(frozen=True, slots=True)
class Compose:
    """A compose; `request` is the JSON of its request with defaults added, `created_at` a Unix time."""

    id: str
    created_at: float
    plan: Plan
    request: bytes


class Composes:
    """All composes. Use it on one thread only, which sqlite3 requires."""

    def __init__(self, path: str) -> None:
        """Open or create the file at `path`, readable by its owner only; `:memory:` stores nothing on disk."""
        if path != ":memory:":
            _make_private(Path(path))
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(MAKE)

    def add(self, compose: Compose) -> None:
        """Store a new compose."""
        row = (compose.id, compose.created_at, orjson.dumps(compose.plan), compose.request)
        self._connection.execute(ADD, row)

    def find(self, compose_id: str) -> Compose | None:
        """The compose with this id, None if there is none."""
        return next(self._read(FIND, compose_id), None)

    def all(self) -> list[Compose]:
        """All composes, newest first."""
        return list(self._read(NEWEST))

    def count(self) -> int:
        """The number of composes."""
        found: int = self._connection.execute(COUNT).fetchone()[0]
        return found

    def remove(self, compose_id: str) -> bool:
        """Delete a compose; returns False if there was none."""
        return self._connection.execute(REMOVE, (compose_id,)).rowcount > 0

    def clear(self) -> None:
        """Delete all composes."""
        self._connection.execute(CLEAR)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _read(self, statement: str, *parameters: str) -> Iterator[Compose]:
        for id_, created_at, plan, request in self._connection.execute(statement, parameters):
            yield Compose(id_, created_at, Plan.read(orjson.loads(plan)), request)


def _make_private(file: Path) -> None:
    make_folder(file.parent)
    open_to_append(file).close()  # SQLite creates its -wal and -shm files with the same mode
    for suffix in ("-wal", "-shm", "-journal"):
        close_to_others(file.with_name(file.name + suffix))
