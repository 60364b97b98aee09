"""No table of the database contains a password of a request (SECURITY.md, What is kept)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.service import Client


def tables_with(database: Parameters, text: str) -> list[str]:
    """The tables that contain this text in any column."""
    with session(database) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = sql.SQL("SELECT count(*) FROM {table} WHERE strpos({table}::text, %s) > 0")
        found = [
            (name, connection.execute(rows.format(table=sql.Identifier(name)), (text,)).fetchone()) for (name,) in names
        ]
    assert len(found) > 5
    return [name for name, row in found if row != (0,)]


def request_with(password: str, **fields: Any) -> dict[str, Any]:
    return compose_request(customizations={"users": [{"name": "u", "password": password}]}, **fields)


@pytest.fixture
def password() -> str:
    return uuid4().hex


def test_stored_values_are_found_by_the_search_of_this_test(client: Client, module_database: Parameters) -> None:
    name = uuid4().hex
    client.compose(compose_request(image_name=name))
    assert "composes" in tables_with(module_database, name)


@pytest.mark.parametrize("path", ["/compose", "/blueprints"])
def test_no_password_is_stored(client: Client, module_database: Parameters, path: str, password: str) -> None:
    body = request_with(password)
    if path == "/blueprints":
        body["name"] = uuid4().hex
    answer = client.post(path, body, headers={"Idempotency-Key": uuid4().hex})
    assert answer.status_code == 201, answer.text
    assert tables_with(module_database, password) == []


@pytest.mark.parametrize(
    "behaviour",
    [
        {"post_raw": {"status": 400, "body": "{}"}},
        {"post_raw": {"status": 500, "body": "{}"}},
        {"post_drop": "before"},
        {"post_drop": "after"},
    ],
    ids=str,
)
def test_no_password_is_stored_for_a_failed_build_or_one_with_an_unknown_outcome(
    client: Client, composer: StandInComposer, module_database: Parameters, behaviour: Any, password: str
) -> None:
    composer.steer(**behaviour)
    answer = client.post("/compose", request_with(password), headers={"Idempotency-Key": uuid4().hex})
    assert answer.status_code != 201
    assert tables_with(module_database, password) == []
