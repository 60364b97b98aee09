"""The connection pool while the database server stops, hangs and restarts."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.migrate import migrate
from domain.errors import UnavailableError
from tests.support.database_proxy import WAYS, DatabaseProxy
from tests.support.databases import Parameters, session
from tests.support.folders import open_data_folder
from tests.support.pools import pool
from tests.support.ports import free_port
from tests.support.retrying import retry_while_unavailable
from tests.support.waiting import PATIENCE, STRETCH


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with open_data_folder() as folder:
        server = EmbeddedPostgres(folder / "data", settings={"fsync": "off"})
        server._port = free_port()  # no other process can bind it while the server is stopped
        with server:
            migrate(server.connection_parameters())
            yield server


def opened(server: EmbeddedPostgres, size: int) -> PostgresDatabase:
    database = PostgresDatabase(dict(server.connection_parameters()), size=size)
    database.open()
    retry_while_unavailable(database.check)
    return database


def fill(database: PostgresDatabase, connections: int) -> None:
    """Fill the pool with this number of connections, each of which may take a busy machine longer than callers wait."""
    together = threading.Barrier(connections)

    def take() -> None:
        with database.connection() as connection:
            connection.execute("SELECT 1")
            together.wait(PATIENCE)

    threads = [threading.Thread(target=retry_while_unavailable, args=(take,)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_after_a_restart_of_the_server_no_request_uses_a_dead_connection(server: EmbeddedPostgres) -> None:
    database = opened(server, 8)
    fill(database, 8)
    server.stop()
    server.start()
    for _ in range(8):
        with database.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    database.close()


def test_a_call_that_ignores_the_deadline_waits_longer_for_a_busy_pool_than_others(server: EmbeddedPostgres) -> None:
    database = opened(server, 1)
    taken, released = threading.Event(), threading.Event()

    def hold() -> None:
        with database.connection():
            taken.set()
            released.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(PATIENCE)
    with pytest.raises(UnavailableError):
        database.check()
    threading.Timer(1.0, released.set).start()
    database.run_with_retry(lambda connection: connection.execute("SELECT 1"), attempts=4, ignore_deadline=True)
    holder.join()
    database.close()


def test_the_usage_of_the_pool_is_counted(server: EmbeddedPostgres) -> None:
    database = opened(server, 1)
    assert database.pool_usage()["limit"] == 1

    def wait_for_a_connection() -> None:
        with database.connection(within=PATIENCE):
            pass

    waits = threading.Thread(target=wait_for_a_connection)
    with database.connection():
        waits.start()
        deadline = time.monotonic() + PATIENCE
        while database.pool_usage() != {"limit": 1, "size": 1, "in_use": 1, "waiting": 1}:
            assert time.monotonic() < deadline, database.pool_usage()
    waits.join()
    assert database.pool_usage() == {"limit": 1, "size": 1, "in_use": 0, "waiting": 0}
    database.close()


def until_there(database: PostgresDatabase) -> None:
    retry_while_unavailable(database.check)


def is_away(database: PostgresDatabase) -> None:
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        database.check()
    assert time.monotonic() - began < PATIENCE


def idle(database: PostgresDatabase) -> int:
    """The server process of the connection that the pool returns next."""
    with database.connection() as connection:
        return connection.info.backend_pid


def sleep(connection: psycopg.Connection[Any], seconds: float) -> None:
    connection.execute("SELECT pg_sleep(%s)", (seconds,))


# What is promised of a refusal.
REFUSED_WITHIN = 2.0 * STRETCH
every_way = pytest.mark.parametrize("name", WAYS)


@every_way
def test_a_server_that_starts_late_is_detected(module_database: Parameters, name: str) -> None:
    with DatabaseProxy(module_database) as proxy, pool(proxy.parameters, wait=False) as database:
        WAYS[name](proxy)
        is_away(database)
        is_away(database)
        proxy.back()
        until_there(database)


@every_way
def test_a_server_that_stops_and_starts_is_detected_again(module_database: Parameters, name: str) -> None:
    with DatabaseProxy(module_database) as proxy, pool(proxy.parameters) as database:
        fill(database, 4)
        for _ in range(2):
            WAYS[name](proxy)
            is_away(database)
            proxy.back()
            until_there(database)


def test_a_statement_without_an_answer_fails(module_database: Parameters) -> None:
    with DatabaseProxy(module_database) as proxy, pool(proxy.parameters) as database:
        began = time.monotonic()

        def use() -> None:
            with database.connection() as connection, connection.transaction():
                connection.execute("SELECT 1")
                proxy.swallow()
                connection.execute("SELECT 1")

        with pytest.raises(UnavailableError):
            use()
        assert time.monotonic() - began < PATIENCE


def test_a_statement_that_takes_too_long_is_cancelled_and_the_connections_stay_open(
    module_database: Parameters,
) -> None:
    with pool(module_database, size=1) as database:
        before = idle(database)
        with pytest.raises(UnavailableError), database.connection() as connection:
            sleep(connection, 20)
        assert idle(database) == before


def test_the_time_limit_applies_to_each_statement_of_a_pipeline(module_database: Parameters) -> None:
    with pool(module_database, size=1) as database:
        before = idle(database)
        with database.connection() as connection, connection.pipeline():
            sleep(connection, 0.65)
            sleep(connection, 0.65)
        assert idle(database) == before


def test_a_slowly_arriving_answer_is_abandoned(module_database: Parameters) -> None:
    def drip(database: PostgresDatabase) -> None:
        with database.connection() as connection, connection.pipeline():
            for _ in range(160):
                sleep(connection, 0.06)

    with pool(module_database, size=1) as database:
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            drip(database)
        assert time.monotonic() - began < PATIENCE


def test_a_silent_connection_does_not_affect_those_in_use(server: EmbeddedPostgres) -> None:
    stopped, given_up = threading.Event(), threading.Event()

    def fall_silent(database: PostgresDatabase) -> None:
        with database.connection() as connection:
            pid = connection.info.backend_pid
            os.kill(pid, signal.SIGSTOP)
            stopped.set()
            try:
                connection.execute("SELECT 1")
            finally:
                os.kill(pid, signal.SIGCONT)

    def go_on(database: PostgresDatabase) -> None:
        with database.connection() as connection:
            stopped.wait(PATIENCE)
            while not given_up.is_set():
                sleep(connection, 0.5)
            sleep(connection, 0.5)

    with pool(dict(server.connection_parameters()), size=3) as database, ThreadPoolExecutor(2) as callers:
        fill(database, 3)
        silent = callers.submit(fall_silent, database)
        working = callers.submit(go_on, database)
        stopped.wait(PATIENCE)
        third = idle(database)
        assert isinstance(silent.exception(PATIENCE), UnavailableError)
        given_up.set()
        working.result(PATIENCE)
        assert third not in {idle(database) for _ in range(6)}  # it may have been silenced, too


def test_any_number_of_transactions_waiting_for_a_lock_is_refused_in_time(server: EmbeddedPostgres) -> None:
    connections, callers = 20, 40
    together = threading.Barrier(callers)

    def refused(database: PostgresDatabase) -> float:
        together.wait(PATIENCE)
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            database.run_with_retry(lambda connection: connection.execute("SELECT * FROM locked"))
        return time.monotonic() - began

    parameters = dict(server.connection_parameters())
    with pool(parameters, size=connections) as database, session(parameters) as locking:
        fill(database, connections)
        locking.execute("CREATE TABLE locked ()")
        with locking.transaction(), ThreadPoolExecutor(callers) as executor:
            locking.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
            waited = sorted(executor.map(refused, [database] * callers))
    # The slowest of them may be so because the machine is.
    assert waited[callers * 3 // 4] < REFUSED_WITHIN
    assert waited[-1] < PATIENCE


def broken_late(attempts: list[float]) -> Any:
    """Work whose connection breaks after the time for another attempt."""

    def work(connection: psycopg.Connection[Any]) -> None:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            sleep(connection, 0.8)
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    return work


def test_a_late_error_is_retried_only_by_calls_that_ignore_the_deadline(module_database: Parameters) -> None:
    with pool(module_database) as database:
        attempts: list[float] = []
        with pytest.raises(UnavailableError):
            database.run_with_retry(broken_late(attempts))
        assert len(attempts) == 1
        attempts = []
        database.run_with_retry(broken_late(attempts), ignore_deadline=True)
        assert len(attempts) == 2


# What a server says that cannot now, by SQLSTATE: it is read-only, has waited too long for its client, there were a
# deadlock or another transaction in the way, it is out of something or being ended, or its disk fails.
NOT_NOW = (
    *("25006", "25P03", "25P04", "40001", "40P01", "53100", "53200", "53300", "53400", "55P03"),
    *("57014", "57P01", "57P02", "57P03", "57P05", "58000", "58030"),
)


@pytest.mark.parametrize("sqlstate", NOT_NOW)
def test_a_server_that_refuses_connections_raises_an_unavailable_error(
    module_pool: PostgresDatabase, sqlstate: str
) -> None:
    statement = f"DO $$ BEGIN RAISE 'not now' USING ERRCODE = '{sqlstate}'; END $$"
    with pytest.raises(UnavailableError), module_pool.connection() as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="module")
def module_pool(module_database: Parameters) -> Iterator[PostgresDatabase]:
    with pool(module_database, size=1) as database:
        yield database


def test_a_terminated_transaction_raises_an_unavailable_error(module_database: Parameters) -> None:
    def be_stopped(database: PostgresDatabase) -> None:
        with database.connection() as connection, connection.transaction():
            connection.execute("SET idle_in_transaction_session_timeout = 20")
            time.sleep(0.2)
            connection.execute("SELECT 1")

    with pool(module_database) as database:
        with pytest.raises(UnavailableError):
            be_stopped(database)
        database.check()


def test_idle_connections_are_kept_while_no_new_ones_can_be_opened(module_database: Parameters) -> None:
    with DatabaseProxy(module_database) as proxy, pool(proxy.parameters, size=2) as database:
        fill(database, 2)
        first, second = idle(database), idle(database)
        proxy.refuse_newcomers("53300", "sorry, too many clients already")
        with session(module_database) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (first,))
        deadline = time.monotonic() + PATIENCE
        while first in (idle(database), idle(database)):  # until word of its end has come through
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for _ in range(20):
            assert idle(database) == second
            time.sleep(0.05)


def test_busy_connections_are_kept_while_no_new_ones_can_be_opened(module_database: Parameters) -> None:
    with DatabaseProxy(module_database) as proxy, pool(proxy.parameters, size=1) as database:
        before = idle(database)
        proxy.refuse_newcomers("53300", "sorry, too many clients already")
        with database.connection() as connection:
            sleep(connection, 0.85)  # after 0.6 s the server is checked, and after 1.2 s the statement is cancelled
        assert idle(database) == before
        with pytest.raises(UnavailableError), database.connection() as connection:
            sleep(connection, 20)
        assert idle(database) == before


def test_a_call_that_ignores_the_deadline_waits_for_a_server_that_restarts(module_database: Parameters) -> None:
    with DatabaseProxy(module_database) as proxy, pool(proxy.parameters) as database:
        proxy.close_port()
        is_away(database)
        threading.Timer(0.3, proxy.back).start()
        database.run_with_retry(lambda connection: connection.execute("SELECT 1"), attempts=4, ignore_deadline=True)


def test_the_database_can_be_closed_while_the_server_is_unavailable(module_database: Parameters) -> None:
    with DatabaseProxy(module_database) as proxy:
        proxy.swallow()
        began = time.monotonic()
        with pool(proxy.parameters, wait=False) as database:
            is_away(database)
        assert time.monotonic() - began < PATIENCE * 2
        is_away(database)
