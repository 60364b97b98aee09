"""Two services share one Redis and one budget; an unavailable Redis does not affect callers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, kept
from tests.support.builders import image_request
from tests.support.databases import Parameters
from tests.support.rate_limits import left, metric, policies
from tests.support.redis_server import RedisServer
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

READS = 20
BUILDS = 5
# Longer than the tests take: nothing leaves it meanwhile.
WINDOW = 3600
AWAY = "image_builder_crc_rate_limit_store_failures_total"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as running:
        yield running


def on(redis: RedisServer, patience: float) -> dict[str, str]:
    return {
        "RATE_LIMIT_STORAGE_URL": redis.url,
        "RATE_LIMIT_STORAGE_TIMEOUT": str(patience),
        "RATE_LIMIT_READS": str(READS),
        "RATE_LIMIT_BUILDS": str(BUILDS),
        "RATE_LIMIT_WINDOW": str(WINDOW),
    }


@pytest.fixture
def services(
    module_database: Parameters, composer_process: StandInComposer, redis: RedisServer
) -> Iterator[tuple[Service, Service]]:
    """Two services, like two pods, with a long timeout, because the machine may be busy."""
    with ExitStack() as running:
        one, other = (
            running.enter_context(Service(module_database, composer_process.url, environment=on(redis, 10.0)))
            for _ in range(2)
        )
        yield one, other


def test_two_services_start_no_more_images_of_blueprints_than_the_common_budget(
    services: tuple[Service, Service], composer: StandInComposer, tenant: str
) -> None:
    one, other = (service.client(tenant) for service in services)
    two = kept(one, blueprint("two", image_request(), image_request("wsl")))
    statuses = [client.post(f"/blueprints/{two}/compose").status_code for client in (one, other, one, other)]
    # The third request is counted itself, and finds no room for its second image.
    assert statuses == [201, 201, 429, 429]
    assert one.get("/composes").json()["meta"]["count"] == 4


def test_two_services_let_exactly_the_common_budget_pass(services: tuple[Service, Service], tenant: str) -> None:
    def statuses(service: Service) -> list[int]:
        client = service.client(tenant)
        return [client.get("/version").status_code for _ in range(READS)]

    with ThreadPoolExecutor(4) as callers:
        asked = [status for found in callers.map(statuses, services * 2) for status in found]
    assert sorted(asked) == [200] * READS + [429] * (3 * READS)


def test_one_service_reports_the_requests_that_the_other_counted(
    services: tuple[Service, Service], tenant: str
) -> None:
    remaining = [left(service.client(tenant).get("/version"))["reads"]["r"] for service in services]
    assert remaining == [READS - 1, READS - 2]


def until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("trouble", ["killed", "held"])
def test_requests_pass_while_redis_is_unavailable_and_are_limited_again_afterwards(
    module_database: Parameters,
    composer_process: StandInComposer,
    redis: RedisServer,
    tmp_path: Path,
    tenant: str,
    trouble: str,
) -> None:
    log = tmp_path / "log"
    patience = 0.5
    with Service(module_database, composer_process.url, environment=on(redis, patience), log=log) as service:
        client = service.client(tenant)
        until(lambda: counted(client))
        (redis.kill if trouble == "killed" else redis.hold)()
        began = time.monotonic()
        answers = [client.get("/version") for _ in range(3 * READS)]
        seconds = time.monotonic() - began
        assert {answer.status_code for answer in answers} == {200}
        assert not policies(answers[-1]) | left(answers[-1])
        assert metric(service, AWAY) >= 3 * READS
        assert seconds < 3 * READS * patience  # had each of them waited
        until(lambda: "rate limit store unavailable" in log.read_text())
        (redis.start if trouble == "killed" else redis.let_go)()
        until(lambda: counted(client))
        until(lambda: client.get("/version").status_code == 429)


def counted(client: Client) -> bool:
    return "reads" in policies(client.get("/version"))


def test_an_unavailable_redis_does_not_prevent_the_start_of_the_service(
    module_database: Parameters, composer_process: StandInComposer, tmp_path: Path
) -> None:
    nowhere = RedisServer(tmp_path)
    with Service(module_database, composer_process.url, environment=on(nowhere, 0.1)) as service:
        assert service.client().get("/version").status_code == 200
