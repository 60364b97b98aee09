"""The service and its maintenance work with the roles of deploy/postgres/roles.sql."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from tests.support.builders import compose_request
from tests.support.composes import wait_for_end
from tests.support.databases import Parameters, session
from tests.support.roles import APP, MAINTENANCE, OWNER, apply_roles, database_with_roles, logged_in
from tests.support.rows import insert_compose, now, stored_row
from tests.support.service import PROJECT, Client, Service
from tests.support.waiting import PATIENCE

SECRET = "correct horse battery"
TOO_OLD = timedelta(days=3 * 366)
WITH_WHAT_IS_TOO_OLD = """
INSERT INTO compose_results (job_id, status) VALUES (%(compose)s, '{}');
INSERT INTO compose_starts (id, org_id, created_at) VALUES (%(compose)s, 'somebody', %(time)s);
INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at)
VALUES (%(compose)s, 'somebody', '/compose', 'old', '', %(time)s);
"""
LEFT_OF_IT = """
SELECT 'compose' FROM composes WHERE job_id = %(compose)s
UNION ALL SELECT 'result' FROM compose_results WHERE job_id = %(compose)s
UNION ALL SELECT 'start' FROM compose_starts WHERE id = %(compose)s
UNION ALL SELECT 'key' FROM idempotency_keys WHERE id = %(compose)s
"""


@pytest.fixture(scope="module")
def superuser(postgres: Parameters) -> Iterator[Parameters]:
    with database_with_roles(postgres) as parameters:
        migrate(logged_in(parameters, OWNER))
        apply_roles(parameters)
        yield parameters


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "service.log"


@pytest.fixture(scope="module")
def client(
    superuser: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory, log: Path
) -> Iterator[Client]:
    """A user of a service with the database role `image_builder_app`, a quota and the reconciler."""
    quotas = tmp_path_factory.mktemp("quotas") / "quotas.json"
    quotas.write_text(json.dumps({"default": {"quota": 100, "slidingWindow": 10**15}}))
    composer_process.reset()
    environment = {"QUOTA_FILE": str(quotas), "RECONCILE_INTERVAL": "0.2"}
    with Service(logged_in(superuser, APP), composer_process.url, environment=environment, log=log) as service:
        yield service.client(uuid4().hex)


def blueprint(name: str) -> dict[str, Any]:
    request = compose_request(customizations={})
    return {"name": name, **{key: request[key] for key in ("distribution", "image_requests", "customizations")}}


@dataclass(frozen=True, slots=True)
class Maintained:
    """A successful maintenance run: its log, an expired compose, and a compose with a password.

    The expired compose had a result, and a start and an idempotency key with its id and of its age.
    """

    lines: list[dict[str, Any]]
    old: UUID
    with_password: UUID


@pytest.fixture(scope="module")
def maintained(superuser: Parameters) -> Maintained:
    users = [{"name": "a", "password": SECRET}]
    old = insert_compose(superuser, uuid4().hex, ago=TOO_OLD)
    with session(superuser) as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(WITH_WHAT_IS_TOO_OLD, {"compose": old, "time": now() - TOO_OLD})
    with_password = insert_compose(superuser, uuid4().hex, compose_request(customizations={"users": users}))
    database = logged_in(superuser, MAINTENANCE)
    ended = subprocess.run(
        [sys.executable, "-m", "image_builder", "maintenance"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "PGHOST": str(database["host"]),
            "PGPORT": str(database["port"]),
            "PGDATABASE": str(database["dbname"]),
            "PGUSER": str(database["user"]),
            "PGPASSWORD": str(database["password"]),
            "ENABLE_DB_MAINTENANCE": "true",
            "DRY_RUN": "false",
        },
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout.decode()
    return Maintained([json.loads(line) for line in ended.stdout.splitlines()], old, with_password)


def test_builds_are_started_followed_to_their_end_listed_and_deleted(client: Client) -> None:
    compose = client.compose(compose_request())
    assert wait_for_end(client, compose)["status"] == "success"
    answers = [
        client.get(f"/composes/{compose}/metadata"),
        client.get("/composes"),
        client.get("/quota"),
        client.delete(f"/composes/{compose}"),
    ]
    assert {answer.status_code for answer in answers} == {200}


def test_blueprints_are_created_changed_built_and_deleted(client: Client) -> None:
    name = uuid4().hex
    kept = client.post("/blueprints", blueprint(name))
    assert kept.status_code == 201, kept.text
    path = f"/blueprints/{kept.json()['id']}"
    answers = [
        client.request("PUT", path, json=blueprint(f"{name} again")),
        client.post(f"{path}/compose"),
        client.get(f"{path}/composes"),
        client.get("/blueprints"),
        client.get(path),
        client.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [200, 201, 200, 200, 200, 204]


def test_a_repeated_request_with_an_idempotency_key_is_executed_once(client: Client) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    answers = [client.post("/compose", compose_request(), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def test_abandoned_starts_are_reconciled(client: Client, superuser: Parameters) -> None:
    deadline = time.monotonic() + PATIENCE
    with session(superuser) as connection:
        while connection.execute("SELECT 1 FROM reconciler WHERE until > now() AT TIME ZONE 'utc'").fetchone() is None:
            assert time.monotonic() < deadline, "nobody does"
            time.sleep(0.1)


def test_the_database_refused_no_statement(client: Client, log: Path) -> None:
    assert [line for line in log.read_text().splitlines() if "permission denied" in line] == []


def test_maintenance_removes_old_rows(superuser: Parameters, maintained: Maintained) -> None:
    with session(superuser) as connection:
        assert connection.execute(LEFT_OF_IT, {"compose": maintained.old}).fetchall() == []


def test_maintenance_removes_passwords(superuser: Parameters, maintained: Maintained) -> None:
    assert SECRET not in stored_row(superuser, maintained.with_password)["as_text"]


def test_a_vacuum_without_the_privilege_is_logged_as_skipped(superuser: Parameters, maintained: Maintained) -> None:
    with session(superuser) as connection:
        has_privilege = connection.info.server_version >= 170000
    warnings = [line["text"] for line in maintained.lines if line["level"] == "warning"]
    assert any("composes" in text for text in warnings) is not has_privilege
    assert maintained.lines[-1]["vacuumed"] is has_privilege
