"""A build that the composer accepted and that the database does not record is cancelled, or stays counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters, away, session
from tests.support.refusals import refusal
from tests.support.rows import counts
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE, STRETCH, until

BREAKING = "PERFORM pg_terminate_backend(pg_backend_pid());"
RAISING = "RAISE EXCEPTION 'no room at db.internal.example';"


@contextmanager
def rows_refused(database: Parameters, how: str, times: int = 2**31 - 1) -> Iterator[None]:
    """During the context the first `times` inserts into composes end in the way `how`."""
    with session(database) as connection:
        connection.execute(
            f"""
            CREATE SEQUENCE attempts;
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('attempts') <= {times} THEN {how} PERFORM pg_sleep(0.1); END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON composes FOR EACH ROW EXECUTE FUNCTION refuse();
            """.encode()
        )
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION refuse CASCADE; DROP SEQUENCE attempts")


def attempts(database: Parameters) -> int:
    with session(database) as connection:
        row = connection.execute("SELECT last_value FROM attempts").fetchone()
    assert row is not None
    return int(row[0])


def given_up(client: Client, composer: StandInComposer) -> None:
    """Request a build that the composer accepts and then cancels; the caller must get Retry-After."""
    answer = client.post("/compose", compose_request())
    detail = refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert "internal.example" not in detail
    assert composer.counters()["POST /compose"] == 1
    assert len(composer.behaviour()["deleted"]) == 1
    assert composer.behaviour()["composes"] == 0
    assert client.get("/composes").json()["meta"]["count"] == 0


def works_again(client: Client, composer: StandInComposer) -> None:
    deadline = time.monotonic() + PATIENCE
    while (answer := client.post("/compose", compose_request())).status_code != 201:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    assert client.get("/composes").json()["meta"]["count"] == 1


@pytest.mark.parametrize("how", [BREAKING, RAISING], ids=["connections break", "the database refuses"])
def test_a_build_that_cannot_be_recorded_is_cancelled_at_the_composer(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters, how: str
) -> None:
    with rows_refused(module_database, how):
        given_up(client, composer)
        assert attempts(module_database) > 1, "it is tried again"
    assert counts(module_database, tenant) == (0, 0)
    composer.reset()
    works_again(client, composer)


def test_a_build_whose_table_is_gone_is_cancelled_at_the_composer(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    with session(module_database) as connection:
        connection.execute("ALTER TABLE composes RENAME TO mislaid")
        try:
            refusal(client.post("/compose", compose_request()), 503)
        finally:
            connection.execute("ALTER TABLE mislaid RENAME TO composes")
    assert len(composer.behaviour()["deleted"]) == 1
    works_again(client, composer)


@pytest.mark.parametrize("times", [1, 2])
def test_a_build_is_recorded_by_a_later_attempt(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters, times: int
) -> None:
    with rows_refused(module_database, BREAKING, times):
        compose_id = client.compose(compose_request())
    assert counts(module_database, tenant) == (1, 0)
    assert [each["id"] for each in client.get("/composes").json()["data"]] == [compose_id]
    assert composer.behaviour()["deleted"] == []


def test_a_build_is_recorded_once_if_the_answer_of_the_database_was_lost(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    # The first attempt commits elsewhere before its connection breaks, as far as the service can tell.
    with session(module_database) as connection:
        connection.execute(
            """
            CREATE SEQUENCE attempts;
            CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('attempts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON composes DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION lose();
            """
        )
        try:
            client.compose(compose_request())
        finally:
            connection.execute("DROP FUNCTION lose CASCADE; DROP SEQUENCE attempts")
    assert counts(module_database, tenant) == (1, 0)


def test_a_build_that_can_be_neither_recorded_nor_cancelled_stays_counted(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    composer.steer(delete_error={"status": 500, "id": "1000", "reason": "no"})
    with rows_refused(module_database, RAISING):
        answer = client.post("/compose", compose_request())
    refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert composer.counters()["DELETE /composes/{id}"] > 1
    assert counts(module_database, tenant) == (0, 1)


def test_a_build_accepted_while_the_database_becomes_unavailable_is_cancelled_and_the_service_recovers(
    database: Parameters, postgres: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    quotas = tmp_path / "quotas.json"
    quotas.write_text(json.dumps({"default": {"quota": 2, "slidingWindow": 3600 * 10**9}}))
    composer.steer(post_latency=0.5 * STRETCH)
    with (
        Service(database, composer.url, environment={"QUOTA_FILE": str(quotas)}) as service,
        ThreadPoolExecutor(1) as caller,
    ):
        client = service.client("outage")
        asked = caller.submit(client.post, "/compose", compose_request())
        deadline = time.monotonic() + PATIENCE
        while "POST /compose" not in composer.counters() and time.monotonic() < deadline:
            time.sleep(0.01)
        with away(database, postgres):
            answer = asked.result(PATIENCE)
            refusal(answer, 503)
            assert int(answer.headers["Retry-After"]) > 0
            assert len(composer.behaviour()["deleted"]) == 1
            time.sleep(6)  # longer than the pool goes on trying by itself
        composer.reset()
        works_again(client, composer)


def accepted_and_not_recorded(client: Client, composer: StandInComposer, key: str) -> None:
    """Request a build with a key that the composer accepts and continues; the caller must get Retry-After."""
    answer = client.post("/compose", compose_request(), headers={"Idempotency-Key": key})
    refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert composer.counters()["POST /compose"] == 1
    assert composer.behaviour()["deleted"] == []


def test_a_build_with_an_idempotency_key_is_recorded_when_the_database_accepts_it(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    key = uuid4().hex
    ordered = partial(client.post, "/compose", compose_request(), headers={"Idempotency-Key": key})
    with rows_refused(module_database, BREAKING):
        accepted_and_not_recorded(client, composer, key)
        refusal(ordered(), 409)
    until(lambda: ordered().status_code != 409, "the key tells of the build")
    again = ordered()
    assert again.status_code == 201
    assert [each["id"] for each in client.get("/composes").json()["data"]] == [again.json()["id"]]
    assert composer.counters()["POST /compose"] == 1
    assert composer.behaviour()["deleted"] == []
    assert counts(module_database, tenant) == (1, 0)


def test_a_build_with_an_idempotency_key_that_is_unrecorded_at_shutdown_is_cancelled(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client = service.client("ending")
        with rows_refused(database, BREAKING):
            accepted_and_not_recorded(client, composer, uuid4().hex)
            assert service.stop() == 0
    assert len(composer.behaviour()["deleted"]) == 1
    assert counts(database, "ending") == (0, 0)
