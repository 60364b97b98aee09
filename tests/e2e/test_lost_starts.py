"""Starts that a crash interrupted are reconciled once by any pod, without effects on other organizations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, image_request
from tests.support.callers import asked_for
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters, session
from tests.support.losing import asking, killed_before_the_composer_looks, killed_while_the_composer_builds
from tests.support.pods import LEASE, RECONCILING, Pod, pods, quotas
from tests.support.rows import counts, insert_compose, stored_row
from tests.support.settled import settled
from tests.support.stand_in import Client as ComposerClient
from tests.support.waiting import until

LIMIT = 100
TENANTS = 3
EACH = 4
PASSWORD = "nobody may read this"
WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**RECONCILING, **quotas(tmp_path, LIMIT)}


@pytest.fixture
def pod(database: Parameters, composer: StandInComposer, environment: dict[str, str]) -> Iterator[Pod]:
    with Pod(database, composer.url, environment) as running:
        yield running


@pytest.fixture
def another(database: Parameters, composer: StandInComposer, environment: dict[str, str]) -> Pod:
    """A pod that is not started yet."""
    return Pod(database, composer.url, environment)


def composing(pod: Pod, tenant: str, **fields: Any) -> Callable[[], requests.Response]:
    return partial(pod.client(tenant).post, "/compose", compose_request(**fields))


def built(composer: StandInComposer) -> list[str]:
    """The builds at the composer."""
    return [each["id"] for each in ComposerClient(composer)("GET", "/composes/").json()["items"]]


def row_ids(database: Parameters, tenant: str) -> set[str]:
    with session(database) as connection:
        rows = connection.execute("SELECT job_id::text FROM composes WHERE org_id = %s", (tenant,)).fetchall()
    return {row[0] for row in rows}


def used(pod: Pod, tenant: str) -> int:
    return int(pod.client(tenant).get("/quota").json()["used"])


def until_counts(database: Parameters, tenant: str, rows: int, starts: int) -> None:
    until(lambda: counts(database, tenant) == (rows, starts), f"{rows} rows and {starts} starts")


def test_four_pods_adopt_each_lost_build_once(
    database: Parameters, composer: StandInComposer, pod: Pod, environment: dict[str, str]
) -> None:
    tenants = [uuid4().hex for _ in range(TENANTS)]
    calls = [
        partial(pod.client(tenant).post, "/compose", asked_for(tenant, number))
        for tenant in tenants
        for number in range(EACH)
    ]
    killed_while_the_composer_builds(pod, composer, calls, TENANTS * EACH)
    with pods(4, database, composer.url, environment) as running:
        found = settled(database, composer, running[0], tenants)
    assert found.starts == 0
    assert found.unknown == {}
    assert set(found.rows) == set(found.builds)
    assert found.cancelled == frozenset()
    assert found.used == dict.fromkeys(tenants, EACH)


def test_one_pod_at_a_time_lists_the_builds_of_the_composer(
    database: Parameters, composer: StandInComposer, pod: Pod, environment: dict[str, str], tenant: str
) -> None:
    killed_while_the_composer_builds(pod, composer, [composing(pod, tenant)], 1)
    composer.steer(latency=0.3)
    with pods(4, database, composer.url, {**environment, "RECONCILE_INTERVAL": "1"}):
        until_counts(database, tenant, 1, 0)
    asked = [call for call in composer.behaviour()["recent"] if call["path"].endswith("/composes/")]
    assert asked
    assert all(earlier["ended"] <= later["began"] for earlier, later in pairwise(asked))


def test_if_the_reconciling_pod_is_killed_another_one_reconciles(
    database: Parameters, composer: StandInComposer, pod: Pod, another: Pod, environment: dict[str, str], tenant: str
) -> None:
    killed_while_the_composer_builds(pod, composer, [composing(pod, tenant)] * EACH, EACH)
    composer.steer(hang=True)
    with another, Pod(database, composer.url, environment):
        until(lambda: asking(composer, "GET"), "the first pod settles")
        another.kill()
        composer.steer(hang=None)
        until_counts(database, tenant, EACH, 0)
    assert row_ids(database, tenant) == set(built(composer))


def test_an_adopted_build_has_the_same_answers_as_an_undisturbed_one(
    database: Parameters, composer: StandInComposer, pod: Pod, another: Pod, tenant: str
) -> None:
    asked = composing(
        pod,
        tenant,
        image_name="mine",
        client_id="mcp",
        customizations={"users": [{"name": "admin", "password": PASSWORD}], "packages": ["vim"]},
    )
    undisturbed = asked().json()["id"]
    with session(database) as connection:
        (began,) = connection.execute("SELECT now() AT TIME ZONE 'utc'").fetchone() or (None,)
    killed_while_the_composer_builds(pod, composer, [asked], 1)
    with another:
        until_counts(database, tenant, 2, 0)
        client = another.client(tenant)
        adopted, usual = listed(client)["data"]
        assert usual["id"] == undisturbed
        told = {**usual, "id": adopted["id"], "created_at": adopted["created_at"]}
        assert adopted == told
        assert adopted["image_name"] == "mine"
        assert status_of(client, adopted["id"])["request"] == status_of(client, undisturbed)["request"]
    row, usual_row = stored_row(database, adopted["id"]), stored_row(database, undisturbed)
    alike = ("request", "account_number", "email", "client_id", "blueprint_version_id", "deleted", "image_types")
    assert [row.get(column) for column in alike] == [usual_row.get(column) for column in alike]
    assert PASSWORD not in row["as_text"]
    assert "$6$" not in row["as_text"]
    assert timedelta(0) <= row["created_at"] - began < timedelta(minutes=5)


def test_adopted_builds_of_a_blueprint_are_listed_for_it(
    database: Parameters, composer: StandInComposer, pod: Pod, another: Pod, tenant: str
) -> None:
    client = pod.client(tenant)
    blueprint_id = kept(client, blueprint("both", image_request(), image_request("wsl")))
    killed_while_the_composer_builds(
        pod, composer, [partial(client.post, f"/blueprints/{blueprint_id}/compose", None)], 2
    )
    with another:
        until_counts(database, tenant, 2, 0)
        builds = another.client(tenant).get(f"/blueprints/{blueprint_id}/composes").json()["data"]
    assert {each["id"] for each in builds} == set(built(composer))
    assert {each["blueprint_version"] for each in builds} == {1}
    assert {each["image_name"] for each in builds} == {"both"}
    assert {each["request"]["image_requests"][0]["image_type"] for each in builds} == {"guest-image", "wsl"}


def test_a_start_within_its_lease_is_not_reconciled(
    database: Parameters, composer: StandInComposer, environment: dict[str, str], tenant: str
) -> None:
    with pods(2, database, composer.url, {**environment, "START_LEASE": "60", "COMPOSE_DEADLINE": "30"}) as running:
        composer.steer(post_latency=0.8)
        answer = composing(running[0], tenant)()
    assert answer.status_code == 201
    assert counts(database, tenant) == (1, 0)
    assert "GET /composes/" not in composer.counters()
    assert composer.behaviour()["deleted"] == []


def test_a_pod_that_resumes_after_its_build_was_adopted_answers_with_that_build(
    database: Parameters, composer: StandInComposer, pod: Pod, another: Pod, tenant: str
) -> None:
    composer.steer(post_latency=0.5 * LEASE)
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(composing(pod, tenant))
        until(lambda: composer.behaviour()["composes"] == 1, "the composer builds")
        pod.freeze()
        composer.steer(post_latency=None)
        with another:
            until_counts(database, tenant, 1, 0)
            pod.thaw()
            answer = asked.result()
            assert answer.status_code in {201, 503}
            if answer.status_code == 201:
                assert status_of(another.client(tenant), answer.json()["id"])
            assert counts(database, tenant) == (1, 0)
            assert used(another, tenant) == 1
    assert row_ids(database, tenant) == set(built(composer))
    assert composer.behaviour()["deleted"] == []


def test_a_pod_that_resumes_after_its_start_was_released_starts_no_unrecorded_build(
    database: Parameters, composer: StandInComposer, another: Pod, tenant: str
) -> None:
    # Without a quota a start is recorded by one statement, which the database brings to its end for a frozen pod.
    with Pod(database, composer.url, RECONCILING) as pod, ThreadPoolExecutor(1) as caller:
        with psycopg.connect(**database) as lock, session(database) as watching:
            lock.execute("LOCK TABLE compose_starts IN SHARE MODE")
            asked = caller.submit(composing(pod, tenant))
            until(lambda: watching.execute(WAITS).fetchone(), "the start is about to be recorded")
            pod.freeze()
        until_counts(database, tenant, 0, 1)
        with another:
            until_counts(database, tenant, 0, 0)
            pod.thaw()
            answer = asked.result()
            until(lambda: row_ids(database, tenant) == set(built(composer)), "what is built is a row")
            until_counts(database, tenant, len(built(composer)), 0)
            assert answer.status_code == (201 if built(composer) else 503)
            assert used(another, tenant) == len(built(composer))


def test_a_running_start_does_not_lose_its_build_to_an_equal_lost_start_of_another_organization(
    database: Parameters, composer: StandInComposer, pod: Pod, environment: dict[str, str], tenant: str
) -> None:
    # The lost start's lease ends while the other's build is at the composer and not yet a row.
    lease, loser = 3.0 * LEASE, uuid4().hex
    patient = {**environment, "START_LEASE": str(lease), "COMPOSE_DEADLINE": str(lease)}
    with Pod(database, composer.url, patient) as serving:
        killed_before_the_composer_looks(pod, composer, [composing(pod, loser)], 1)
        time.sleep(lease * 0.6)
        composer.steer(post_latency=lease * 0.6)
        answer = composing(serving, tenant)()
        assert answer.status_code == 201
        until_counts(database, loser, 0, 0)
        assert row_ids(database, tenant) == {answer.json()["id"]}
        assert used(serving, loser) == 0


def test_a_build_of_an_older_program_is_not_adopted_for_an_equal_lost_start(
    database: Parameters, composer: StandInComposer, pod: Pod, another: Pod, tenant: str
) -> None:
    request = ComposerClient(composer)
    older = uuid4().hex
    assert composing(pod, tenant)().status_code == 201
    (ours,) = built(composer)
    theirs = request.queued(request.metadata(ours)["request"])
    insert_compose(database, older, job_id=UUID(theirs))
    killed_while_the_composer_builds(pod, composer, [composing(pod, tenant)], 1)
    with another:
        until_counts(database, tenant, 2, 0)
    assert row_ids(database, tenant) == set(built(composer)) - {theirs}
    assert row_ids(database, older) == {theirs}


def test_a_lost_start_is_released_although_an_equal_request_was_built_before(
    database: Parameters, composer: StandInComposer, pod: Pod, another: Pod, tenant: str
) -> None:
    assert composing(pod, tenant)().status_code == 201
    killed_before_the_composer_looks(pod, composer, [composing(pod, tenant)], 1)
    with another:
        until_counts(database, tenant, 1, 0)
        assert used(another, tenant) == 1
    assert row_ids(database, tenant) == set(built(composer))


def test_two_organizations_with_equal_lost_starts_each_get_one_build(
    database: Parameters, composer: StandInComposer, pod: Pod, another: Pod, tenant: str
) -> None:
    second = uuid4().hex
    killed_while_the_composer_builds(pod, composer, [composing(pod, tenant), composing(pod, second)], 2)
    with another:
        until_counts(database, tenant, 1, 0)
        until_counts(database, second, 1, 0)
    assert row_ids(database, tenant) | row_ids(database, second) == set(built(composer))
