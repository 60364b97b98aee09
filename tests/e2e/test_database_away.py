"""The database is unavailable in every way, from the first connection on or during a request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from threading import Barrier
from uuid import UUID

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.at_once import at_once
from tests.support.blueprints import blueprint, insert_blueprint, stored_versions
from tests.support.builders import compose_request
from tests.support.database_promises import BACK_WITHIN, REFUSED_WITHIN, SLACK, all_refused, refused, until_it_works
from tests.support.database_proxy import WAYS, DatabaseProxy, Way
from tests.support.databases import Parameters, session
from tests.support.operations import OTHERS, Call, of_the_database, operation_ids
from tests.support.refusals import refusal
from tests.support.rounds import sampled
from tests.support.rows import counts, insert_compose, stored_row
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE, STRETCH

# Seconds: what waits for nobody takes.
AT_ONCE = 1.0 + SLACK
# What the composer takes for a build.
LATENCY = 0.5 * STRETCH
# For so long an answer to a probe stands.
PROBED = 2.0

every_way = pytest.mark.parametrize("way", [pytest.param(way, id=name) for name, way in sampled(WAYS.items(), 3)])


@dataclass(frozen=True, slots=True)
class Kept:
    """The data that a tenant has created before the database becomes unavailable."""

    tenant: str
    compose: UUID
    blueprint: UUID

    @classmethod
    def by(cls, database: Parameters, tenant: str) -> Kept:
        return cls(tenant, insert_compose(database, tenant), insert_blueprint(database, tenant, "web", dict(BODY)))

    def calls(self) -> dict[str, Call]:
        return of_the_database(self.compose, self.blueprint, "another")

    def is_untouched(self, database: Parameters, composer: StandInComposer) -> None:
        assert counts(database, self.tenant) == (1, 0)
        assert not stored_row(database, self.compose)["deleted"]
        assert [number for number, _, _ in stored_versions(database, self.blueprint)] == [1]
        with session(database) as connection:
            kept = connection.execute("SELECT name FROM blueprints WHERE org_id = %s", (self.tenant,)).fetchall()
        assert kept == [("web",)]
        assert "POST /compose" not in composer.counters()


BODY = {name: value for name, value in blueprint().items() if name != "name"}


@pytest.fixture
def kept(module_database: Parameters, tenant: str) -> Kept:
    return Kept.by(module_database, tenant)


@pytest.fixture(scope="module")
def proxy(module_database: Parameters) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(module_database) as running:
        yield running


@pytest.fixture(scope="module")
def start(
    composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[DatabaseProxy], Service]:
    """Creates a service with few threads and a quota that reaches its database through a proxy."""
    quotas = tmp_path_factory.mktemp("settings") / "quotas.json"
    quotas.write_text(json.dumps({"default": {"quota": 100, "slidingWindow": 3600 * 10**9}}))
    few = {"DIRECT_THREADS": "4", "WAITING_THREADS": "6", "DB_POOL_SIZE": "4"}
    return lambda proxy: Service(proxy.parameters, composer_process.url, environment={"QUOTA_FILE": str(quotas), **few})


@pytest.fixture(scope="module")
def running(start: Callable[[DatabaseProxy], Service], proxy: DatabaseProxy) -> Iterator[Service]:
    with start(proxy) as service:
        yield service


@pytest.fixture
def service(running: Service, proxy: DatabaseProxy, composer: StandInComposer) -> Service:
    """The running service with an available database."""
    proxy.back()
    until_ready(running)
    return running


def everything_refused(service: Service, kept: Kept) -> None:
    """Call all operations concurrently and then one by one; readiness was checked a moment before."""
    client = service.client(kept.tenant)
    calls = kept.calls()
    ready = calls.pop("getReadiness")
    all_refused(at_once([partial(call, service.client(kept.tenant)) for call in calls.values()]))
    all_refused([call(client) for call in calls.values()])
    deadline = time.monotonic() + PROBED + SLACK
    while (answer := ready(client)).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    refused(answer)


def until_ready(service: Service) -> None:
    """Return when the service works and is ready."""
    until_it_works(service)
    until_it_works(service, "/ready", PROBED + SLACK)


def all_answered(service: Service, kept: Kept) -> None:
    client = service.client(kept.tenant)
    answers = {operation: call(client) for operation, call in kept.calls().items() if operation not in UNKNOWN_THERE}
    assert {operation: answer.text for operation, answer in answers.items() if not answer.ok} == {}


# The stand-in composer has not heard of a build that the tests wrote into the database.
UNKNOWN_THERE = ("getComposeStatus", "getComposeMetadata", "getComposeLogs", "getComposeSboms", "cancelCompose")


def test_the_tested_operations_are_all_operations(kept: Kept) -> None:
    assert {*kept.calls(), *OTHERS} == operation_ids()


@every_way
def test_while_the_database_is_unavailable_every_operation_is_refused(
    service: Service,
    proxy: DatabaseProxy,
    composer: StandInComposer,
    module_database: Parameters,
    kept: Kept,
    way: Way,
) -> None:
    others = {operation: call(service.client()).status_code for operation, call in OTHERS.items()}
    at_once([partial(service.client(kept.tenant).get, "/composes") for _ in range(16)])
    way(proxy)
    everything_refused(service, kept)
    assert {operation: call(service.client()).status_code for operation, call in OTHERS.items()} == others
    kept.is_untouched(module_database, composer)
    proxy.back()
    until_ready(service)
    all_answered(service, kept)


def test_services_that_start_without_their_databases_refuse_requests_until_the_databases_are_available(
    start: Callable[[DatabaseProxy], Service], composer: StandInComposer, module_database: Parameters
) -> None:
    all_untouched = Barrier(len(WAYS))

    def begin(name: str, proxy: DatabaseProxy) -> None:
        try:
            kept = Kept.by(module_database, name)
            with start(proxy) as service:
                everything_refused(service, kept)
                refusal(Client(service.url, {}).get("/ready", base=""), 503)
                kept.is_untouched(module_database, composer)
                all_untouched.wait(PATIENCE)
                proxy.back()
                until_ready(service)
                all_answered(service, kept)
        except BaseException as error:
            error.add_note(name)
            all_untouched.abort()
            raise

    with ExitStack() as stack:
        proxies = {name: stack.enter_context(DatabaseProxy(module_database)) for name in WAYS}
        for name, proxy in proxies.items():
            WAYS[name](proxy)
        beginning = stack.enter_context(ThreadPoolExecutor(len(WAYS)))
        begun = [beginning.submit(begin, *each) for each in proxies.items()]
    if failures := [error for each in begun if (error := each.exception())]:
        raise BaseExceptionGroup("not so in each way of being away", failures)


@pytest.mark.parametrize("name", ["never answers", "connecting hangs"])
def test_many_requests_to_a_hanging_database_are_refused_soon_and_probes_are_answered(
    service: Service, proxy: DatabaseProxy, kept: Kept, name: str
) -> None:
    assert service.client(kept.tenant).get("/composes").status_code == 200
    WAYS[name](proxy)
    nobody = Client(service.url, {})

    def meanwhile() -> requests.Response:
        time.sleep(0.3)
        for path in ("/status", "/metrics"):
            answer = nobody.get(path, base="")
            assert (answer.status_code, answer.elapsed.total_seconds() < AT_ONCE) == (200, True)
        answer = service.client(kept.tenant).post("/compose", {"image_requests": []})
        refusal(answer, 400)
        assert answer.elapsed.total_seconds() < AT_ONCE
        return answer

    calls = [kept.calls()["getComposes"], kept.calls()["getBlueprint"]] * 16
    *answers, _ = at_once([*(partial(call, service.client(kept.tenant)) for call in calls), meanwhile])
    all_refused(answers)
    time.sleep(PROBED)
    refused(nobody.get("/ready", base=""))


@pytest.mark.parametrize("name", ["port closed", "never answers"])
def test_a_build_accepted_while_the_database_becomes_unavailable_is_cancelled_in_time(
    service: Service, proxy: DatabaseProxy, composer: StandInComposer, tenant: str, name: str
) -> None:
    composer.steer(post_latency=LATENCY)
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(service.client(tenant).post, "/compose", compose_request())
        deadline = time.monotonic() + BACK_WITHIN
        while "POST /compose" not in composer.counters() and time.monotonic() < deadline:
            time.sleep(0.01)
        WAYS[name](proxy)
        answer = asked.result()
    refused(answer, LATENCY + REFUSED_WITHIN)
    assert len(composer.behaviour()["deleted"]) == 1


def test_working_connections_are_used_while_no_new_ones_can_be_opened(
    service: Service, proxy: DatabaseProxy, kept: Kept
) -> None:
    proxy.refuse_newcomers("53300", "sorry, too many clients already")
    # Of two organizations: one alone finds places for fewer.
    clients = [service.client(tenant) for tenant in (kept.tenant, f"{kept.tenant} too") for _ in range(8)]
    answers = at_once([partial(each.get, "/composes") for each in clients for _ in range(2)])
    assert {answer.status_code for answer in answers} == {200}
    assert clients[0].post("/compose", compose_request()).status_code == 201
