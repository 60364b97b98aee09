"""`serve` on a database that answers but cannot be used: not migrated, too old, or without required privileges."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from adapters.postgres.migration_files import migrations
from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.refusals import refusal
from tests.support.roles import APP, OWNER, apply_roles, database_with_roles, logged_in
from tests.support.service import Service
from tests.support.waiting import PATIENCE, comes_true

MIGRATE = "image-builder migrate"
GRANT = "psql -f deploy/postgres/roles.sql"
CANNOT_BE_USED = "database cannot be used"
CALLS = [("POST", "/compose"), ("GET", "/composes"), ("GET", "/blueprints")]


@pytest.fixture
def with_roles(postgres: Parameters) -> Iterator[Parameters]:
    """A superuser's parameters of a migrated database in which the service has a separate user."""
    with database_with_roles(postgres) as parameters:
        migrate(logged_in(parameters, OWNER))
        apply_roles(parameters)
        yield parameters


def execute(parameters: Parameters, statement: str) -> None:
    with session(parameters) as connection:
        connection.execute(statement.encode())


def warnings(log: Path) -> list[dict[str, Any]]:
    """The warnings of the service about tables and privileges of the database."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["event"] == CANNOT_BE_USED]


def is_refused(service: Service, cause: str, command: str) -> None:
    """Every operation that needs the database, and the probe, is answered with 503 and the cause."""
    client = service.client()
    answers = [client.request(method, path, json=_body(method)) for method, path in CALLS]
    answers.append(client.get("/ready", base=""))
    for answer in answers:
        detail = refusal(answer, 503)
        assert cause in detail, detail
        assert command in detail, detail
        assert answer.headers["Retry-After"]


def _body(method: str) -> Any:
    return compose_request() if method == "POST" else None


def works_soon(service: Service) -> None:
    """The service starts builds again, without a restart."""
    deadline = time.monotonic() + PATIENCE
    client = service.client()
    while client.get("/ready", base="").status_code != 200:
        assert time.monotonic() < deadline, "the service does not notice that the database was mended"
        time.sleep(0.1)
    client.compose(compose_request())
    assert client.get("/composes").json()["meta"]["count"] == 1


def test_serve_on_an_empty_database_answers_503_until_it_is_migrated(
    empty_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with Service(empty_database, composer.url, log=log) as service:
        is_refused(service, "it has no tables of this service yet", MIGRATE)
        is_refused(service, "it has no tables of this service yet", MIGRATE)
        migrate(empty_database)
        works_soon(service)
    (warning,) = warnings(log)
    assert (warning["level"], warning["command"]) == ("warning", MIGRATE)
    assert "it has no tables" in warning["reason"]


def test_serve_on_a_database_that_is_too_old_answers_503_until_it_is_migrated(
    empty_database: Parameters, composer: StandInComposer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrations()
    monkeypatch.setattr("adapters.postgres.migrate.migrations", lambda: every[:-2])
    migrate(empty_database)
    monkeypatch.undo()
    log = tmp_path / "log"
    with Service(empty_database, composer.url, log=log) as service:
        first = f"{every[-2].number:04}_{every[-2].name}"
        is_refused(service, f"it lacks 2 migrations of this version, beginning with {first}", MIGRATE)
        migrate(empty_database)
        works_soon(service)
    assert [warning["command"] for warning in warnings(log)] == [MIGRATE]


def test_serve_uses_a_database_of_a_newer_version(database: Parameters, composer: StandInComposer) -> None:
    execute(database, "INSERT INTO image_builder_migrations (version, name) VALUES (9999, 'of the future')")
    with Service(database, composer.url) as service:
        works_soon(service)


@pytest.mark.parametrize(
    ("revoke", "grant", "cause"),
    [
        ("REVOKE INSERT ON composes FROM", "GRANT INSERT ON composes TO", "lacks rights on composes (INSERT)"),
        (
            "REVOKE UPDATE (deleted) ON composes FROM",
            "GRANT UPDATE (deleted) ON composes TO",
            "lacks rights on composes (UPDATE of deleted)",
        ),
        (
            "REVOKE SELECT ON image_builder_migrations FROM",
            "GRANT SELECT ON image_builder_migrations TO",
            "lacks rights on image_builder_migrations (SELECT)",
        ),
        ("REVOKE USAGE ON SCHEMA public FROM", "GRANT USAGE ON SCHEMA public TO", "may not use the schema public"),
    ],
)
def test_serve_answers_503_until_its_user_has_the_missing_privilege(
    with_roles: Parameters, composer: StandInComposer, tmp_path: Path, revoke: str, grant: str, cause: str
) -> None:
    execute(with_roles, f"{revoke} {APP}")
    log = tmp_path / "log"
    with Service(logged_in(with_roles, APP), composer.url, log=log) as service:
        is_refused(service, cause, GRANT)
        execute(with_roles, f"{grant} {APP}")
        works_soon(service)
    (warning,) = warnings(log)
    assert cause in warning["reason"]
    assert warning["command"] == GRANT


def revoke_a_right(parameters: Parameters) -> None:
    execute(parameters, f"REVOKE SELECT ON blueprints FROM {APP}")  # noqa: S608 - a role of the tests


def move_a_table_away(parameters: Parameters) -> None:
    execute(parameters, "ALTER TABLE blueprints RENAME TO elsewhere")


@pytest.mark.parametrize(
    ("spoil", "mend", "cause"),
    [
        (revoke_a_right, f"GRANT SELECT ON blueprints TO {APP}", "lacks rights on blueprints (SELECT)"),
        (move_a_table_away, "ALTER TABLE elsewhere RENAME TO blueprints", "finds no table blueprints"),
    ],
)
def test_a_table_or_privilege_lost_while_the_service_runs_is_answered_503_with_the_cause(
    with_roles: Parameters, composer: StandInComposer, spoil: Callable[[Parameters], None], mend: str, cause: str
) -> None:
    with Service(logged_in(with_roles, APP), composer.url) as service:
        client = service.client()
        assert client.get("/blueprints").status_code == 200
        spoil(with_roles)
        assert cause in refusal(client.get("/blueprints"), 503)
        # The probe repeats an outcome for two seconds.
        assert comes_true(lambda: client.get("/ready", base="").status_code == 503)
        is_refused(service, cause, "")
        execute(with_roles, mend)
        works_soon(service)


def test_the_privileges_that_roles_sql_grants_are_sufficient(with_roles: Parameters, composer: StandInComposer) -> None:
    with Service(logged_in(with_roles, APP), composer.url) as service:
        works_soon(service)
