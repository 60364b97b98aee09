"""The composes (builds) of the stand-in composer, in an SQLite file so that they survive a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from adapters.embedded.composer.plan import Plan
from adapters.embedded.private_files import close_to_others, make_folder, open_to_append

_CREATE_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS composes
    (id TEXT NOT NULL UNIQUE, created_at REAL NOT NULL, plan BLOB NOT NULL, request BLOB NOT NULL)
"""
_INSERT: Final = "INSERT INTO composes (id, created_at, plan, request) VALUES (?, ?, ?, ?)"
_SELECT: Final = "SELECT id, created_at, plan, request FROM composes WHERE id = ?"
_SELECT_NEWEST_FIRST: Final = "SELECT id, created_at, plan, request FROM composes ORDER BY rowid DESC"
_COUNT: Final = "SELECT count(*) FROM composes"
_DELETE: Final = "DELETE FROM composes WHERE id = ?"
_DELETE_ALL: Final = "DELETE FROM composes"


@dataclass(frozen=True, slots=True)
class Compose:
    """A compose. `created_at` is a Unix time, `request` the JSON of its request with defaults added.

    `plan` says how the build ends, and what it makes (adapters.embedded.composer.plan).
    """

    id: str
    created_at: float
    plan: Plan
    request: bytes


class Composes:
    """All composes. Use it on one thread only, which sqlite3 requires."""

    def __init__(self, path: str) -> None:
        """Open or create the file at `path`, readable by its owner only; `:memory:` stores nothing on disk."""
        if path != ":memory:":
            _create_private(Path(path))
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A stand-in may lose builds when the machine fails, and is faster without waiting for the disk.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(_CREATE_TABLE)

    def add(self, compose: Compose) -> None:
        """Store a new compose. Raises sqlite3.IntegrityError if one has its id."""
        row = (compose.id, compose.created_at, orjson.dumps(compose.plan), compose.request)
        self._connection.execute(_INSERT, row)

    def find(self, compose_id: str) -> Compose | None:
        """The compose with this id, None if there is none."""
        return next(self._read(_SELECT, compose_id), None)

    def all(self) -> list[Compose]:
        """All composes, newest first."""
        return list(self._read(_SELECT_NEWEST_FIRST))

    def count(self) -> int:
        """The number of composes."""
        found: int = self._connection.execute(_COUNT).fetchone()[0]
        return found

    def remove(self, compose_id: str) -> bool:
        """Delete a compose; returns False if there was none."""
        return self._connection.execute(_DELETE, (compose_id,)).rowcount > 0

    def clear(self) -> None:
        """Delete all composes."""
        self._connection.execute(_DELETE_ALL)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _read(self, statement: str, *parameters: str) -> Iterator[Compose]:
        for id_, created_at, plan, request in self._connection.execute(statement, parameters):
            yield Compose(id_, created_at, Plan.read(orjson.loads(plan)), request)


def _create_private(file: Path) -> None:
    make_folder(file.parent)
    open_to_append(file).close()  # SQLite creates its -wal and -shm files with the same mode
    for suffix in ("-wal", "-shm", "-journal"):
        close_to_others(file.with_name(file.name + suffix))
