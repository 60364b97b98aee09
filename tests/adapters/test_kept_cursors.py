"""Statements that are executed often: their cursors are kept, their results are not."""

from __future__ import annotations

import psycopg
import pytest

from adapters.postgres.server_monitor import MonitoredConnection
from domain.errors import UnavailableError
from tests.support.databases import Parameters
from tests.support.pools import pool

SQUARES = "SELECT n, n * n FROM generate_series(1, %(last)s::integer) n"
TYPED = "SELECT pg_typeof(%(value)s)::text"


def results_of(connection: MonitoredConnection) -> list[object]:
    return [cursor.pgresult for cursor in connection._kept_cursors.values()]


def test_rows_are_those_of_each_execution_and_the_cursor_keeps_none(database: Parameters) -> None:
    with pool(database) as opened, opened.connection() as connection:
        for last in (3, 0, 2):
            assert connection.fetch(SQUARES, {"last": last}) == [(n, n * n) for n in range(1, last + 1)]
            assert results_of(connection) == [None]


def test_a_statement_without_rows_returns_none(database: Parameters) -> None:
    with pool(database) as opened, opened.connection() as connection:
        for _ in range(2):
            assert connection.fetch("SET LOCAL search_path TO public", {}) == []


def test_values_may_be_of_other_types_the_next_time(database: Parameters) -> None:
    values = (1, 2**40, 1, True, 1.5, [1], 1)
    with pool(database) as opened, opened.connection() as connection:
        fresh = [connection.execute(TYPED, {"value": value}).fetchall() for value in values]
        assert [connection.fetch(TYPED, {"value": value}) for value in values] == fresh


def test_rows_come_in_the_format_that_each_execution_asks_for(database: Parameters) -> None:
    statement = "SELECT '{\"a\": 1}'::jsonb::text, now()::timestamp"
    with pool(database) as opened, opened.connection() as connection:
        for binary in (False, True, False):
            ((text, _),) = connection.fetch(statement, {}, binary=binary)
            assert text == '{"a": 1}'


def test_a_statement_works_again_after_an_error_and_in_a_transaction(database: Parameters) -> None:
    statement = "SELECT 6 / %(by)s::integer"
    with pool(database) as opened, opened.connection() as connection:
        assert connection.fetch(statement, {"by": 2}) == [(3,)]
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.fetch(statement, {"by": 0})
        with connection.transaction():
            assert connection.fetch(statement, {"by": 3}) == [(2,)]
        assert results_of(connection) == [None]


def test_many_statements_do_not_keep_many_cursors(database: Parameters) -> None:
    with pool(database) as opened, opened.connection() as connection:
        for number in range(100):
            assert connection.fetch(f"SELECT {number}", {}) == [(number,)]
        assert len(connection._kept_cursors) <= 40


def test_a_closed_connection_is_no_database(database: Parameters) -> None:
    def use_closed(connection: MonitoredConnection) -> None:
        connection.fetch("SELECT 1", {})
        connection.close()
        connection.fetch("SELECT 1", {})

    with pool(database) as opened, pytest.raises(UnavailableError):
        opened.run_with_retry(use_closed, attempts=1)
