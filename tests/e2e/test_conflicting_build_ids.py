"""If the composer gives a new build the id of another one, the other one stays unchanged, and no caller gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.at_once import at_once, statuses
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, image_request
from tests.support.database_proxy import WAYS, DatabaseProxy
from tests.support.databases import Parameters
from tests.support.metrics import Exposition
from tests.support.pods import RECONCILING, Pod, quotas
from tests.support.refusals import refusal
from tests.support.rows import counts, insert_compose, stored_row
from tests.support.service import Client, Service
from tests.support.stand_in import Client as ComposerClient
from tests.support.waiting import STRETCH, until

LIMIT = 100
CONFLICT = "composer answered with the id of another build, reservation kept"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "service.log"


@pytest.fixture(scope="module")
def service(
    module_database: Parameters, composer_process: StandInComposer, log: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    environment = quotas(tmp_path_factory.mktemp("quotas"), LIMIT)
    with Service(module_database, composer_process.url, environment=environment, log=log) as running:
        yield running


@pytest.fixture
def other(service: Service) -> Client:
    """A client of another organization."""
    return service.client(uuid4().hex)


def lines(log: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == event]


def conflicts(service: Service) -> float:
    metrics = Exposition.of(service.client().get("/metrics", base="").text)
    return metrics.value("composer_conflicting_ids_total")


def used(client: Client) -> int:
    return int(client.get("/quota").json()["used"])


def ids(client: Client) -> list[str]:
    return [each["id"] for each in client.get("/composes").json()["data"]]


def test_a_build_with_the_id_of_another_organizations_build_is_refused_and_counts(
    service: Service, client: Client, other: Client, composer: StandInComposer, log: Path, module_database: Parameters
) -> None:
    theirs = other.compose(compose_request())
    row, told, before = stored_row(module_database, theirs), len(lines(log, CONFLICT)), conflicts(service)
    composer.steer(post_id=theirs)
    answer = client.post("/compose", compose_request(image_name="mine"))
    assert "composer" in refusal(answer, 503)
    assert theirs not in answer.text
    assert (ids(client), used(client)) == ([], 1)
    assert (ids(other), used(other)) == ([theirs], 1)
    assert stored_row(module_database, theirs) == row
    assert client.get(f"/composes/{theirs}").status_code == 404
    assert composer.behaviour()["deleted"] == []
    assert conflicts(service) == before + 1
    (line,) = lines(log, CONFLICT)[told:]
    assert (line["level"], line["compose"]) == ("error", theirs)


@pytest.mark.parametrize("deleted", [False, True], ids=["kept", "deleted"])
def test_a_build_with_an_id_of_the_organizations_own_history_is_refused_and_counts(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters, *, deleted: bool
) -> None:
    # The request is the same, and long ago.
    old = insert_compose(module_database, tenant, deleted=deleted, ago=timedelta(days=40))
    row = stored_row(module_database, old)
    composer.steer(post_id=str(old))
    refusal(client.post("/compose", compose_request()), 503)
    assert counts(module_database, tenant) == (1, 1)
    assert stored_row(module_database, old) == row


def test_images_of_a_blueprint_with_the_same_id_are_recorded_as_one_build(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    blueprint_id = kept(client, blueprint("both", image_request(), image_request("wsl")))
    same = str(uuid4())
    composer.steer(post_id=same)
    detail = refusal(client.post(f"/blueprints/{blueprint_id}/compose", None), 503)
    assert f"started before: {same}" in detail
    assert counts(module_database, tenant) == (1, 1)


def test_of_concurrent_requests_with_the_same_build_id_one_is_recorded(
    service: Service, composer: StandInComposer, module_database: Parameters
) -> None:
    tenants = [uuid4().hex for _ in range(4)]
    composer.steer(post_id=str(uuid4()), post_latency=0.3)
    calls = [partial(service.client(each).post, "/compose", compose_request()) for each in [*tenants, *tenants]]
    assert statuses(at_once(calls)) == {201: 1, 503: 7}
    found = [counts(module_database, each) for each in tenants]
    assert (sum(rows for rows, _ in found), sum(starts for _, starts in found)) == (1, 7)


def test_an_idempotency_key_does_not_answer_with_the_build_of_another_request(
    client: Client, other: Client, composer: StandInComposer
) -> None:
    theirs = other.compose(compose_request())
    ordered = partial(client.post, "/compose", compose_request(), headers={"Idempotency-Key": uuid4().hex})
    composer.steer(post_id=theirs)
    refusal(ordered(), 503)
    again = ordered()
    refusal(again, 409)
    assert theirs not in again.text
    assert composer.counters()["POST /compose"] == 2


@pytest.mark.parametrize(
    "garbage", ["", "no-id", "00000000-0000-0000-0000-000000000000", "ffffffff" * 4, "0" * 100_000]
)
def test_an_invalid_build_id_leaves_the_outcome_unknown(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters, garbage: str
) -> None:
    composer.steer(post_raw={"status": 201, "body": {"id": garbage}, "content_type": "application/json"})
    refusal(client.post("/compose", compose_request()), 503)
    assert counts(module_database, tenant) == (0, 1)


def test_the_real_build_is_adopted_and_its_idempotency_key_answers_with_it(
    database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    theirs = str(insert_compose(database, "them"))
    with Pod(database, composer.url, {**RECONCILING, **quotas(tmp_path, LIMIT)}) as pod:
        client = pod.client("us")
        ordered = partial(client.post, "/compose", compose_request(), headers={"Idempotency-Key": "k"})
        composer.steer(post_id=theirs)
        refusal(ordered(), 503)
        composer.steer(post_id=None)
        until(lambda: ordered().status_code == 201, "the build is adopted")
        (built,) = (each["id"] for each in ComposerClient(composer)("GET", "/composes/").json()["items"])
        assert ordered().json() == {"id": built}
        assert (ids(client), used(client)) == ([built], 1)
    assert counts(database, "them") == (1, 0)


@pytest.fixture
def proxy(database: Parameters) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(database) as running:
        yield running


def answered_while_away(
    client: Client, composer: StandInComposer, proxy: DatabaseProxy, theirs: str, **arguments: Any
) -> None:
    """Request a build that gets the id of another one while the database is unavailable; it must be refused."""
    composer.steer(post_id=theirs, post_latency=0.5 * STRETCH)
    ordered = composer.counters().get("POST /compose", 0)
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(client.post, "/compose", compose_request(), **arguments)
        until(lambda: composer.counters().get("POST /compose", 0) > ordered, "the composer is asked")
        WAYS["port closed"](proxy)
        refusal(asked.result(), 503)


def test_the_build_of_another_request_is_not_cancelled_while_the_database_is_unavailable(
    database: Parameters, composer: StandInComposer, proxy: DatabaseProxy
) -> None:
    with Service(proxy.parameters, composer.url) as service:
        theirs = service.client("them").compose(compose_request())
        answered_while_away(service.client("us"), composer, proxy, theirs)
        # Another process recorded this one.
        composer.steer(post_id=None, post_latency=None)
        ordered = ComposerClient(composer).queued()
        proxy.back()
        until(lambda: service.client("us").get("/composes").status_code == 200, "the database is there again")
        insert_compose(database, "them", job_id=UUID(ordered))
        answered_while_away(service.client("us"), composer, proxy, ordered)
    assert composer.behaviour()["deleted"] == []


@pytest.mark.parametrize("ending", [False, True], ids=["the service goes on", "the service ends"])
def test_the_build_of_another_request_is_not_cancelled_for_a_key_with_a_late_build(
    database: Parameters, composer: StandInComposer, proxy: DatabaseProxy, tmp_path: Path, *, ending: bool
) -> None:
    log = tmp_path / "log"
    with Service(proxy.parameters, composer.url, log=log) as service:
        theirs = service.client("them").compose(compose_request())
        client = service.client("us")
        answered_while_away(client, composer, proxy, theirs, headers={"Idempotency-Key": "k"})
        if not ending:
            proxy.back()
            until(lambda: lines(log, CONFLICT), "the build is tried for again")
            refusal(client.post("/compose", compose_request(), headers={"Idempotency-Key": "k"}), 409)
    assert composer.behaviour()["deleted"] == []
    assert (counts(database, "them"), counts(database, "us")) == ((1, 0), (0, 1))
