"""Timestamps of PostgreSQL that Python cannot represent are read as the nearest representable ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import psycopg
import pytest

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.timestamps import ClampedTimestampLoader
from tests.support.databases import Parameters

EARLIEST, LATEST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)


@pytest.fixture(scope="module")
def pool(module_database: Parameters) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(module_database, size=2)
    database.open()
    yield database
    database.close()


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ("infinity", LATEST),
        ("294276-12-31 23:59:59.999999", LATEST),
        ("10000-01-01 00:00:00", LATEST),
        ("9999-12-31 23:59:59", LATEST),
        ("2026-01-31 12:00:00.5", datetime(2026, 1, 31, 12, 0, 0, 500_000)),
        ("0001-01-01 00:00:00", EARLIEST),
        ("0001-12-31 00:00:00 BC", EARLIEST),
        ("4713-01-01 00:00:00 BC", EARLIEST),
        ("-infinity", EARLIEST),
    ],
)
def test_every_stored_timestamp_is_read(pool: PostgresDatabase, stored: str, found: datetime) -> None:
    with pool.connection() as connection:
        rows = connection.execute("SELECT %s::timestamp, NULL::timestamp", (stored,)).fetchall()
    assert rows == [(found, None)]


@pytest.mark.parametrize("text", [b"", b"x", b"infinitely", b"31.01.2026 12:00:00"])
def test_a_text_that_is_not_a_timestamp_is_an_error(text: bytes) -> None:
    with pytest.raises(psycopg.DataError):
        ClampedTimestampLoader(1114).load(text)
