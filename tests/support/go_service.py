"""Statements of the Go service with the columns that its INSERTs name; columns with defaults are omitted."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from tests.support.databases import Parameters, session

INSERT_COMPOSE: Final = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id, image_name, email, client_id,
                      blueprint_version_id)
VALUES (%(compose)s, %(request)s, CURRENT_TIMESTAMP, '', %(tenant)s, %(name)s, NULL, 'api', %(version)s)
"""
INSERT_BLUEPRINT: Final = """
INSERT INTO blueprints (id, org_id, account_number, name, description, metadata)
VALUES (%(blueprint)s, %(tenant)s, '', %(name)s, NULL, NULL)
"""
INSERT_VERSION: Final = """
INSERT INTO blueprint_versions (id, blueprint_id, version, body, service_snapshots)
VALUES (%(version)s, %(blueprint)s, %(number)s, %(body)s, NULL)
"""
DELETE_BLUEPRINT: Final = "UPDATE blueprints SET deleted = true, name = id WHERE id = %(blueprint)s"
DELETE_COMPOSE: Final = "UPDATE composes SET deleted = true WHERE job_id = %(compose)s"

# The same with no column that may be left out.
LEAST: Final = (
    "INSERT INTO blueprints (id, org_id, account_number, name) VALUES (%(blueprint)s, %(tenant)s, '', %(name)s)",
    (
        "INSERT INTO blueprint_versions (id, blueprint_id, version, body) "
        "VALUES (%(version)s, %(blueprint)s, %(number)s, %(body)s)"
    ),
    (
        "INSERT INTO composes (job_id, request, created_at, account_number, org_id) "
        "VALUES (%(compose)s, %(request)s, CURRENT_TIMESTAMP, '', %(tenant)s)"
    ),
)
ALL: Final = (INSERT_BLUEPRINT, INSERT_VERSION, INSERT_COMPOSE)


def row(tenant: str, name: str, body: Any, request: Any, *, number: int = 1, **ids: UUID) -> dict[str, Any]:
    """Values for all statements: `body` of version `number`, `request` of a compose of it; `ids` replace new ids."""
    return {
        "blueprint": uuid4(),
        "version": uuid4(),
        "compose": uuid4(),
        "tenant": tenant,
        "name": name,
        "number": number,
        "body": Jsonb(body),
        "request": Jsonb(request),
        **ids,
    }


def write(database: Parameters, values: dict[str, Any], *statements: str) -> None:
    """Execute the statements in one transaction."""
    with session(database) as connection, connection.transaction():
        for statement in statements:
            connection.execute(statement.encode(), values)
