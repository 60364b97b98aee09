"""Rows with timestamps out of range, written to the database by hand, break nothing for their organization."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.maintenance import open_maintenance
from tests.support import blueprints as kept
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters, session
from tests.support.rows import insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import until

FUTURE = ("infinity", "294276-12-31 23:59:59", "10000-01-01 00:00:00")
PAST = ("-infinity", "0044-03-15 00:00:00 BC", "4713-01-01 00:00:00 BC")
LATEST, EARLIEST = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"
LIMIT = 4

every_time = pytest.mark.parametrize("time", [*FUTURE, *PAST])


@pytest.fixture(scope="module")
def service(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    quotas: Path = tmp_path_factory.mktemp("quota") / "quotas.json"
    quotas.write_text(json.dumps({"default": {"quota": LIMIT, "slidingWindow": 14 * 24 * 3600 * 10**9}}))
    environment = {"QUOTA_FILE": str(quotas), "RECONCILE_INTERVAL": "0.1", "START_LEASE": "30"}
    with Service(module_database, composer_process.url, environment=environment) as running:
        yield running


def put(database: Parameters, statement: str, *values: Any) -> None:
    with session(database) as connection:
        connection.execute(statement.encode(), values)


def quota(client: Client) -> dict[str, Any]:
    answer = client.get("/quota")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@every_time
def test_a_compose_with_a_damaged_time_breaks_neither_list_nor_quota_nor_builds(
    client: Client, tenant: str, module_database: Parameters, time: str
) -> None:
    damaged = str(insert_compose(module_database, tenant, created_at=time))
    good = str(insert_compose(module_database, tenant, ago=timedelta(hours=1)))
    shown = {item["id"]: item["created_at"] for item in listed(client)["data"]}
    assert shown.keys() == ({damaged, good} if time in FUTURE else {good})
    assert shown.get(damaged, LATEST) == LATEST
    assert quota(client)["used"] == 1, "a time that is far ahead does not count: it would do so for ever"
    for _ in range(LIMIT - 1):
        client.compose(compose_request())
    refused = client.post("/compose", compose_request())
    assert refused.status_code == 403, refused.text
    assert datetime.fromisoformat(quota(client)["next_free_at"]).year < 9999
    assert client.delete(f"/composes/{damaged}").status_code == 200
    assert damaged not in {item["id"] for item in listed(client)["data"]}


@every_time
def test_a_compose_with_a_damaged_time_is_answered_by_its_id(
    client: Client, module_database: Parameters, time: str
) -> None:
    build = client.compose(compose_request())
    put(module_database, "UPDATE composes SET created_at = %s WHERE job_id = %s", time, build)
    assert status_of(client, build)["request"]["distribution"] == "centos-9"
    assert client.get(f"/composes/{build}/metadata").status_code == 200


@every_time
def test_a_start_with_a_damaged_time_breaks_neither_quota_nor_builds(
    client: Client, tenant: str, module_database: Parameters, time: str
) -> None:
    put(
        module_database,
        "INSERT INTO compose_starts (id, org_id, created_at, fingerprint, compose) "
        "VALUES (gen_random_uuid(), %s, %s, 'x', '{}')",
        tenant,
        time,
    )
    assert quota(client)["used"] == 0
    client.compose(compose_request())


@every_time
def test_a_blueprint_with_damaged_times_is_listed_read_changed_built_and_deleted(
    client: Client, tenant: str, module_database: Parameters, time: str
) -> None:
    body = {name: value for name, value in kept.blueprint("").items() if name != "name"}
    key = str(kept.insert_blueprint(module_database, tenant, "damaged", body, created_at=time))
    put(module_database, "UPDATE blueprint_versions SET created_at = %s WHERE blueprint_id = %s", time, key)
    (item,) = kept.listed(client)["data"]
    assert item["last_modified_at"] == (LATEST if time in FUTURE else EARLIEST)
    for query in ("?name=damaged", "?search=dama"):
        assert kept.names(kept.listed(client, query)) == ["damaged"]
    assert kept.read(client, key)["name"] == "damaged"
    assert kept.exported(client, key)["name"] == "damaged"
    (build,) = kept.composed(client, key)
    put(module_database, "UPDATE composes SET created_at = %s WHERE job_id = %s", time, build)
    assert kept.composes_of(client, key)["meta"]["count"] == (1 if time in FUTURE else 0)
    kept.changed(client, key, kept.blueprint("mended"))
    assert kept.names(kept.listed(client)) == ["mended"]
    assert client.delete(f"/blueprints/{key}").status_code == 204


@every_time
def test_an_idempotency_key_with_a_damaged_time_answers_its_request_or_is_free(
    client: Client, tenant: str, module_database: Parameters, time: str
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/compose", compose_request(), headers=headers)
    put(module_database, "UPDATE idempotency_keys SET created_at = %s WHERE org_id = %s", time, tenant)
    again = client.post("/compose", compose_request(), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json() == first.json()) == (time in FUTURE)


def test_the_reconciler_works_with_damaged_times(
    service: Service, module_database: Parameters, composer: StandInComposer
) -> None:
    for time in (*FUTURE, *PAST):
        put(
            module_database,
            "INSERT INTO compose_starts (id, org_id, created_at, fingerprint, compose) "
            "VALUES (gen_random_uuid(), 'reconciled', %s, 'x', '{}')",
            time,
        )
        put(
            module_database,
            "INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at) "
            "VALUES (gen_random_uuid(), 'reconciled', '/compose', %s, '', %s)",
            time,
            time,
        )
    kept_keys = "SELECT created_at::text FROM idempotency_keys WHERE org_id = 'reconciled'"
    with session(module_database) as connection:
        until(
            lambda: {row[0] for row in connection.execute(kept_keys)} == set(FUTURE),
            "keys that nobody works at any more are closed",
        )


@pytest.mark.parametrize("remove", [False, True])
def test_maintenance_works_with_damaged_times_and_removes_old_rows(database: Parameters, remove: bool) -> None:
    users = {"customizations": {"users": [{"name": "u", "password": "p"}]}}
    composes: dict[str, UUID] = {
        time: insert_compose(database, "t", users, created_at=time) for time in (*FUTURE, *PAST)
    }
    with session(database) as connection:
        for time in composes:
            connection.execute(
                "INSERT INTO compose_starts (id, org_id, created_at) VALUES (gen_random_uuid(), 't', %s)", (time,)
            )
            connection.execute(
                "INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at) "
                "VALUES (gen_random_uuid(), 't', '', %s, '', %s)",
                (time, time),
            )
    with open_maintenance(database, 24) as work:
        assert re.match(r"\d{4}-", work.cutoff)
        for batches in (work.expire_composes, work.expire_starts, work.expire_keys):
            assert sum(batches(dry_run=not remove)) == len(PAST)
        assert sum(work.redact_passwords(dry_run=not remove)) == len(FUTURE)
    with session(database) as connection:
        left = connection.execute("SELECT count(*) FROM composes").fetchone()
    assert left == (len(FUTURE) if remove else len(FUTURE) + len(PAST),)
