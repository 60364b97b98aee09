"""Rows of this or an older program, inserted directly into the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from psycopg.types.json import Jsonb

from tests.support.builders import compose_request
from tests.support.databases import Parameters, session

# What the program before this one left, with rows in it.
TERN_15: Final = (Path(__file__).parent / "tern_15.sql").read_bytes()

_COMPOSE = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id, image_name, deleted, email, client_id,
                      blueprint_version_id)
VALUES (%(job_id)s, %(request)s, %(created_at)s, %(account_number)s, %(org_id)s, %(image_name)s, %(deleted)s, %(email)s,
        %(client_id)s, %(blueprint_version_id)s)
"""


def now() -> datetime:
    """The current time in the form of rows: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def insert_compose(
    database: Parameters, tenant: str, request: Any = None, *, ago: timedelta = timedelta(0), **fields: Any
) -> UUID:
    """Insert a compose of this tenant that was created `ago`, and return its id; `fields` replace columns."""
    row = {
        "job_id": uuid4(),
        "request": Jsonb(compose_request() if request is None else request, dumps=orjson.dumps),
        "created_at": now() - ago,
        "account_number": "",
        "org_id": tenant,
        "image_name": None,
        "deleted": False,
        "email": None,
        "client_id": None,
        "blueprint_version_id": None,
        **fields,
    }
    with session(database) as connection:
        connection.execute(_COMPOSE, row)
    return UUID(str(row["job_id"]))


def insert_final_status(database: Parameters, compose: UUID, status: Any) -> None:
    """Store a final status as version 1.0.0 of the service does."""
    with session(database) as connection:
        connection.execute(
            "INSERT INTO compose_results (job_id, status) VALUES (%s, %s)", (compose, Jsonb(status, dumps=orjson.dumps))
        )


def insert_labels(database: Parameters, compose: UUID, labels: dict[str, str]) -> None:
    """Store labels of a compose that has none."""
    with session(database) as connection:
        connection.execute("INSERT INTO compose_labels (job_id, labels) VALUES (%s, %s)", (compose, Jsonb(labels)))


def insert_blueprint_version(database: Parameters, tenant: str, version: int) -> tuple[UUID, UUID]:
    """Insert a blueprint of this tenant with a version, and return both ids."""
    blueprint, blueprint_version = uuid4(), uuid4()
    with session(database) as connection:
        connection.execute(
            "INSERT INTO blueprints (id, org_id, account_number, name, created_at) VALUES (%s, %s, '', %s, %s)",
            (blueprint, tenant, str(blueprint), now()),
        )
        connection.execute(
            "INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at) "
            "VALUES (%s, %s, %s, '{}', %s)",
            (blueprint_version, blueprint, version, now()),
        )
    return blueprint, blueprint_version


def counts(database: Parameters, tenant: str) -> tuple[int, int]:
    """The number of the tenant's composes, and of its starts that are not yet composes."""
    with session(database) as connection:
        row = connection.execute(
            """
            SELECT (SELECT count(*) FROM composes WHERE org_id = %(tenant)s),
                   (SELECT count(*) FROM compose_starts WHERE org_id = %(tenant)s)
            """,
            {"tenant": tenant},
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def stored_row(database: Parameters, compose_id: str | UUID) -> dict[str, Any]:
    """All columns of a compose; `as_text` returns the row as text."""
    with session(database) as connection:
        cursor = connection.execute(
            "SELECT composes.*, composes::text AS as_text FROM composes WHERE job_id = %s", (compose_id,)
        )
        row = cursor.fetchone()
        assert row is not None, "there is no such row"
        assert cursor.description is not None
        return dict(zip([column.name for column in cursor.description], row, strict=True))
