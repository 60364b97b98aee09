"""Holding the service at a step of its work: by locks in the database, and by stopping it right after a commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.support.databases import Parameters, session
from tests.support.pods import Pod
from tests.support.waiting import until

_WAITING_FOR = "SELECT pid FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
_END_WAITING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
_MAKE_GATE = """
CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('gate of ' || TG_TABLE_NAME));
    RETURN NULL;
END $$;
CREATE TRIGGER gate AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION gate();
"""


def add_gate(database: Parameters, table: str) -> None:
    """Add a gate to the table: while a session has `closed_gate` locked, inserted rows are not committed.

    A lock on the table would not do: a statement may wait for that when it is only being prepared.
    """
    with session(database) as connection:
        connection.execute(_MAKE_GATE.format(table=table).encode())


def closed_gate(table: str) -> str:
    """The statement that closes the gate of this table until the end of its transaction."""
    return f"SELECT pg_advisory_xact_lock(hashtext('gate of {table}'))"


@contextmanager
def held_up(
    database: Parameters, locking: str, begin: Callable[[], object] = lambda: None
) -> Iterator[psycopg.Connection[Any]]:
    """Hold the lock of this statement during the context, which begins when another session waits for it.

    `begin` is called when the lock is held. Yields the connection that holds it.
    """
    with psycopg.connect(**database) as lock, session(database) as watching:
        lock.execute(locking.encode())
        holder = (lock.info.backend_pid,)
        begin()
        try:
            until(lambda: watching.execute(_WAITING_FOR, holder).fetchone(), f"another session waits for: {locking}")
            yield lock
        finally:
            with contextlib.suppress(psycopg.Error):  # the lock has gone with the server
                lock.rollback()
            lock.close()
            watching.close()


def freeze_after_commit(database: Parameters, pod: Pod, table: str, begin: Callable[[], object] = lambda: None) -> None:
    """Stop the pod when it inserts a row in this table, which has a gate; the row is still committed.

    `begin` is called when the gate is closed.
    """
    count = f"SELECT count(*) FROM {table}"  # noqa: S608 - a constant of the test
    with session(database) as watching:
        with held_up(database, closed_gate(table), begin):
            before = _number(watching, count)
            pod.freeze()
        try:
            until(lambda: _number(watching, count) > before, "the row is committed")
        except BaseException:
            pod.thaw()  # or the next round waits for it for ever
            raise


def end_waiting_sessions(database: Parameters) -> None:
    """Terminate all sessions that wait for a lock: their statements are not executed."""
    with session(database) as connection:
        connection.execute(_END_WAITING)


def _number(watching: psycopg.Connection[Any], count: str) -> int:
    row = watching.execute(count.encode()).fetchone()
    assert row is not None
    return int(row[0])
