"""A database with which the service starts, and which makes it answer 500: an error that nobody foresaw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests

from adapters.postgres.migrate import migrate
from tests.support import databases
from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.service import Client


def break_database(parameters: Parameters) -> None:
    """Rename a column of a migrated database that every start of a build needs."""
    with session(parameters) as connection:
        connection.execute("ALTER TABLE compose_starts RENAME COLUMN org_id TO tenant")


@contextmanager
def broken_database(server: Parameters) -> Iterator[Parameters]:
    """A new migrated database on the server, broken."""
    with databases.database(server) as parameters:
        migrate(parameters)
        break_database(parameters)
        yield parameters


def provoke_error(client: Client) -> requests.Response:
    """A start of a build, which a service with a broken database must answer with 500."""
    answer = client.post("/compose", compose_request())
    assert answer.status_code == 500, answer.text
    return answer
