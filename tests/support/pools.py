"""Pools of connections to a database of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters.postgres.connection import PostgresDatabase


@contextmanager
def pool(parameters: Mapping[str, Any], size: int = 4) -> Iterator[PostgresDatabase]:
    """An open pool of at most `size` connections, closed at the end."""
    database = PostgresDatabase(parameters, size=size)
    database.open()
    try:
        yield database
    finally:
        database.close()
