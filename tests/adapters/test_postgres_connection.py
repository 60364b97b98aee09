"""The pool when the server goes and comes back (spec 40)."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.connection import PostgresDatabase
from domain.errors import UnavailableError


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data", settings={"fsync": "off"}) as running:
            yield running


def opened(server: EmbeddedPostgres, size: int) -> PostgresDatabase:
    database = PostgresDatabase(dict(server.connection_parameters()), size=size)
    database.open()
    return database


def fill(database: PostgresDatabase, connections: int) -> None:
    """Have the pool hold that many connections."""
    together = threading.Barrier(connections)

    def take() -> None:
        with database.connection() as connection:
            connection.execute("SELECT 1")
            together.wait(5)

    threads = [threading.Thread(target=take) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_after_a_restart_of_the_server_no_request_meets_a_dead_connection(server: EmbeddedPostgres) -> None:
    database = opened(server, 8)
    fill(database, 8)
    server.stop()
    server.start()
    for _ in range(8):
        with database.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    database.close()


def test_a_patient_caller_outwaits_a_busy_pool_and_others_do_not(server: EmbeddedPostgres) -> None:
    database = opened(server, 1)
    taken, released = threading.Event(), threading.Event()

    def hold() -> None:
        with database.connection():
            taken.set()
            released.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(5)
    with pytest.raises(UnavailableError):
        database.check()
    threading.Timer(1.0, released.set).start()
    database.again(lambda connection: connection.execute("SELECT 1"), attempts=4, patient=True)
    holder.join()
    database.close()


def test_the_use_of_the_pool_is_told(server: EmbeddedPostgres) -> None:
    database = opened(server, 1)
    assert database.use()["limit"] == 1
    waits = threading.Thread(target=database.check)
    with database.connection():
        waits.start()
        deadline = time.monotonic() + 10
        while database.use() != {"limit": 1, "size": 1, "in_use": 1, "waiting": 1}:
            assert time.monotonic() < deadline, database.use()
    waits.join()
    assert database.use() == {"limit": 1, "size": 1, "in_use": 0, "waiting": 0}
    database.close()
