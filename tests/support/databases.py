"""A real PostgreSQL for the tests: DATABASE_URL, or a container if a Docker engine answers, or the embedded server."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import psycopg
from docker.errors import DockerException
from psycopg.conninfo import conninfo_to_dict
from testcontainers.community.postgres import PostgresContainer

from adapters.embedded.postgres import EmbeddedPostgres
from tests.support.folders import is_in_memory, open_data_folder
from tests.support.waiting import PATIENCE

IMAGE = os.environ.get("TEST_POSTGRES_IMAGE", "postgres:15")
Parameters = Mapping[str, Any]
# Of all containers of tests.
LABEL = "image-builder-test"
# Nothing outlives the run. The write-ahead log is short and reuses its files, which keeps what is written small.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "128MB",
    "max_wal_size": "256MB",
}
# Without parallel maintenance: it needs more shared memory than a container has by default.
_OF_CONTAINERS = {**FAST, "max_connections": "300", "max_parallel_maintenance_workers": "0"}


@contextmanager
def server() -> Iterator[Parameters]:
    """Connection parameters of a superuser of a running server."""
    url = os.environ.get("DATABASE_URL")
    if url:
        yield conninfo_to_dict(url)
    elif _docker_has_image():
        with in_container(IMAGE) as parameters:
            yield parameters
    else:
        with own_server() as parameters:
            yield parameters


@contextmanager
def in_container(image: str) -> Iterator[Parameters]:
    """Connection parameters of a superuser of a server in a separate container."""
    command = " ".join(f"-c {name}={value}" for name, value in _OF_CONTAINERS.items())
    container = PostgresContainer(image, driver=None).with_command(command).with_kwargs(labels={LABEL: ""})
    with container:
        yield conninfo_to_dict(container.get_connection_url())


@contextmanager
def database(server_parameters: Parameters, template: str = "template1") -> Iterator[Parameters]:
    """Connection parameters of a new database on the server, dropped at the end.

    It is empty, or a copy of the database `template`, to which nobody may be connected.
    """
    parameters = create(server_parameters, f"test_{uuid.uuid4().hex}", template)
    try:
        yield parameters
    finally:
        drop(server_parameters, parameters["dbname"])


def create(server_parameters: Parameters, name: str, template: str = "template1") -> Parameters:
    """Create a database, and return its connection parameters."""
    with psycopg.connect(**server_parameters, autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name} TEMPLATE {template} {_strategy(session)}".encode())
        old = session.info.server_version < 130_000
    parameters = {**server_parameters, "dbname": name}
    if old and template == "template1":
        # Tests make up rows with gen_random_uuid(), which was no part of the server yet. The service does not.
        with psycopg.connect(**parameters, autocommit=True) as session:
            session.execute("CREATE EXTENSION pgcrypto")
    return parameters


def _strategy(session: psycopg.Connection[Any]) -> str:
    """How a database is copied: as files if they are in memory (a third of the CPU time), else through the buffers."""
    if session.info.server_version < 150_000:
        return ""
    row = session.execute("SHOW data_directory").fetchone()
    return "STRATEGY FILE_COPY" if row is not None and is_in_memory(row[0]) else ""


def drop(server_parameters: Parameters, name: str) -> None:
    """Drop a database with all its connections."""
    with psycopg.connect(**server_parameters, autocommit=True) as session:
        # With WITH (FORCE) the server waits only 5 seconds for the ends of connections; old servers do not know it.
        session.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        _drop_as_soon_as_unused(session, name)


def _drop_as_soon_as_unused(session: psycopg.Connection[Any], name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            session.execute(f"DROP DATABASE {name}".encode())
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def own_server() -> Iterator[Parameters]:
    """Connection parameters of a superuser of an embedded server: for changes that all databases of a server share."""
    with (
        open_data_folder() as folder,
        EmbeddedPostgres(folder / "data", max_connections=300, settings=FAST) as postgres,
    ):
        yield dict(postgres.connection_parameters())


def _docker_has_image() -> bool:
    """Whether an engine answers that can run the image; without a network it must have the image already."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).is_socket():
        return False  # docker-py would leave its socket open when it cannot connect
    try:
        client = docker.from_env(timeout=2)
        try:
            client.images.get(IMAGE)
        finally:
            client.close()
    except DockerException:
        return False
    return True


@contextmanager
def session(parameters: Parameters) -> Iterator[psycopg.Connection[Any]]:
    """A session of the superuser in which each statement is a separate transaction."""
    with psycopg.connect(**parameters, autocommit=True) as connection:
        yield connection


def query(parameters: Parameters, statement: str, *values: object) -> list[Any]:
    """All rows of a statement."""
    with session(parameters) as connection:
        return connection.execute(statement.encode(), values or None).fetchall()


@contextmanager
def away(parameters: Parameters, server_parameters: Parameters) -> Iterator[None]:
    """For the duration of the context nobody can connect to this database, and existing connections are closed."""
    name = parameters["dbname"]
    with session(server_parameters) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    try:
        yield
    finally:
        with session(server_parameters) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def locks_of_others(connection: psycopg.Connection[Any], table: str | None = None) -> int:
    """The number of locks that other clients hold in the database of this session, of one table only if it is named.

    The server has other databases, whose tables have the same numbers if they are copies, and vacuums tables itself.
    """
    row = connection.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
        "AND (%(table)s::text IS NULL OR relation = to_regclass(%(table)s))",
        {"table": table},
    ).fetchone()
    assert row is not None
    return int(row[0])


def until_it_waits(parameters: Parameters, waiting: psycopg.Connection[Any]) -> None:
    """Return when the session waits for a lock of another session."""
    deadline = time.monotonic() + PATIENCE
    pid = waiting.info.backend_pid
    with session(parameters) as connection:
        while not connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", (pid,)
        ).fetchone():
            assert time.monotonic() < deadline, "it does not wait"
            time.sleep(0.01)
