"""The composes: one SQLite file, so that they outlive a restart."""

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
    """A compose; `request` is its JSON, completed."""

    id: str
    created_at: float
    plan: Plan
    request: bytes


class Composes:
    """All composes; to be used from one thread, the event loop's, as its connection insists."""

    def __init__(self, path: str) -> None:
        """Open or make the file at `path`, for its owner only; `:memory:` keeps nothing."""
        if path != ":memory:":
            _make_private(Path(path))
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(MAKE)

    def add(self, compose: Compose) -> None:
        """Keep a new compose."""
        row = (compose.id, compose.created_at, orjson.dumps(compose.plan), compose.request)
        self._connection.execute(ADD, row)

    def find(self, compose_id: str) -> Compose | None:
        """The compose of that id, if there is one."""
        return next(self._read(FIND, compose_id), None)

    def all(self) -> list[Compose]:
        """All composes, newest first."""
        return list(self._read(NEWEST))

    def count(self) -> int:
        """How many there are."""
        found: int = self._connection.execute(COUNT).fetchone()[0]
        return found

    def remove(self, compose_id: str) -> bool:
        """Forget the compose; False when there was none."""
        return self._connection.execute(REMOVE, (compose_id,)).rowcount > 0

    def clear(self) -> None:
        """Forget all."""
        self._connection.execute(CLEAR)

    def close(self) -> None:
        """Write what is pending and let go of the file."""
        self._connection.close()

    def _read(self, statement: str, *parameters: str) -> Iterator[Compose]:
        for id_, created_at, plan, request in self._connection.execute(statement, parameters):
            yield Compose(id_, created_at, Plan.read(orjson.loads(plan)), request)


def _make_private(file: Path) -> None:
    make_folder(file.parent)
    open_to_append(file).close()  # SQLite gives the files beside it the same mode
    for suffix in ("-wal", "-shm", "-journal"):
        close_to_others(file.with_name(file.name + suffix))
