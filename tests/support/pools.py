"""Pools of connections to a database of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters.postgres.connection import PostgresDatabase
from tests.support.retrying import retry_while_unavailable


@contextmanager
def pool(parameters: Mapping[str, Any], size: int = 4, *, wait: bool = True) -> Iterator[PostgresDatabase]:
    """An open pool of at most `size` connections, closed at the end.

    With `wait` the database is available when the context begins: a busy machine needs longer for it than calls wait.
    """
    database = PostgresDatabase(parameters, size=size)
    database.open()
    try:
        if wait:
            retry_while_unavailable(database.check)
        yield database
    finally:
        database.close()
