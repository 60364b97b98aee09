"""The roles of deploy/postgres/roles.sql in a database of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg import errors

from tests.support.databases import Parameters, database, session

_FILE = Path(__file__).parent.parent.parent / "deploy" / "postgres" / "roles.sql"
OWNER, APP, MAINTENANCE = (f"image_builder_{role}" for role in ("owner", "app", "maintenance"))
_PASSWORD = "for-this-test-run"


@contextmanager
def _roles_locked(server: Parameters) -> Iterator[None]:
    """Lock the roles, which all databases of the server share: no other process of the tests creates or drops them."""
    with session({**server, "dbname": "postgres"}) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('roles of the tests'))")
        yield


def apply_roles(parameters: Parameters) -> None:
    """Run the file as a superuser."""
    with _roles_locked(parameters), session(parameters) as connection:
        connection.execute(_FILE.read_bytes())
        for role in (OWNER, APP, MAINTENANCE):
            connection.execute(f"ALTER ROLE {role} PASSWORD '{_PASSWORD}'".encode())


def logged_in(parameters: Parameters, role: str) -> Parameters:
    """Connection parameters of this role."""
    return {**parameters, "user": role, "password": _PASSWORD}


@contextmanager
def database_with_roles(server: Parameters) -> Iterator[Parameters]:
    """A superuser's parameters of an empty database with the roles; the last such database drops the roles."""
    try:
        with database(server) as parameters:
            apply_roles(parameters)
            yield parameters
    finally:
        with (
            _roles_locked(server),
            session(server) as connection,
            suppress(errors.DependentObjectsStillExist),
        ):
            connection.execute(f"DROP ROLE IF EXISTS {OWNER}, {APP}, {MAINTENANCE}".encode())
