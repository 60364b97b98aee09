"""A misbehaving Redis of rate limits and a misbehaving Unleash change nothing for users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.builders import compose_request
from tests.support.footprint import MIB, forget_peak_memory, peak_memory, threads
from tests.support.hostile_server import (
    HTTP_TREATMENTS,
    REDIS_TREATMENTS,
    SLOW_REDIS_TREATMENTS,
    HostileServer,
    close,
    http,
    in_turn,
    redis_answering,
)
from tests.support.loopback import refused_url
from tests.support.rate_limits import left, policies
from tests.support.refusals import refusal
from tests.support.service import Service
from tests.support.unleash import TOKEN
from tests.support.waiting import SOON, until

NO_DATABASE = {"host": "127.0.0.1", "port": 1, "dbname": "none", "user": "nobody"}
# What a huge answer would take is more.
MOST_MEMORY = 64 * MIB
MOST_THREADS = 10
MANY_FLAGS = b'{"version": 2, "features": [' + b'{"name":"a","enabled":true,"strategies":[]},' * 700_000 + b"{}]}"
WITH_POLICY = compose_request(
    distribution="rhel-9.6", customizations={"openscap": {"policy_id": "7709b691-15a9-4dae-ae96-d6584b9f389f"}}
)


@dataclass
class Limited:
    """The running service, and the store of its rate limits."""

    service: Service
    store: HostileServer
    memory: int
    threads: int

    @property
    def process(self) -> int:
        assert self.service.process is not None
        return self.service.process.pid


@pytest.fixture(scope="module")
def limited() -> Iterator[Limited]:
    with HostileServer(close) as store:
        environment = {
            "RATE_LIMIT_STORAGE_URL": f"redis://127.0.0.1:{store.port}",
            "RATE_LIMIT_STORAGE_TIMEOUT": "0.3",
            "RATE_LIMIT_READS": "20",
        }
        with Service(NO_DATABASE, refused_url(), environment=environment) as service:
            assert service.process is not None
            ask(service)
            process = service.process.pid
            yield Limited(service, store, peak_memory(process), threads(process))


def ask(service: Service) -> None:
    """More requests than the limit allows; all get their usual answers promptly."""
    client = service.client()
    for _ in range(30):
        answered = client.get("/version")
        assert answered.status_code == 200
        assert answered.elapsed.total_seconds() < SOON
        # What is told of limits can be read, and holds no nonsense.
        if "reads" in policies(answered):
            assert 0 <= left(answered)["reads"]["r"] <= 20


@pytest.mark.parametrize("name", REDIS_TREATMENTS)
def test_no_answer_of_redis_affects_users_memory_or_threads(limited: Limited, name: str) -> None:
    forget_peak_memory(limited.process)
    treatment = REDIS_TREATMENTS[name]
    limited.store.treatment = treatment
    ask(limited.service)
    until(lambda: treatment in limited.store.accepted, "the store is asked")
    if name not in SLOW_REDIS_TREATMENTS:
        until(lambda: treatment in limited.store.ended, "the connection ends")
    ask(limited.service)
    assert peak_memory(limited.process) < limited.memory + MOST_MEMORY
    assert threads(limited.process) < limited.threads + MOST_THREADS


@pytest.mark.parametrize("away", ["refusing", "ignoring"])
def test_a_redis_that_accepts_no_connection_does_not_affect_users_or_threads(limited: Limited, away: str) -> None:
    with getattr(limited.store, away)():
        for _ in range(10):
            ask(limited.service)
        assert threads(limited.process) < limited.threads + MOST_THREADS


def test_rate_limits_apply_again_after_redis_has_recovered(limited: Limited) -> None:
    limited.store.treatment = redis_answering(b"*4\r\n:0\r\n:0\r\n:2000000\r\n:2000000\r\n")
    until(lambda: limited.service.client().get("/version").status_code == 429, "requests are limited")


def test_no_answer_of_unleash_turns_flags_off_or_affects_memory(limited: Limited) -> None:
    treatments = [HTTP_TREATMENTS["endless chunks"], HTTP_TREATMENTS["deep JSON"], http(body=MANY_FLAGS)]
    with HostileServer(in_turn(*treatments)) as unleash:
        environment = {"UNLEASH_URL": f"http://127.0.0.1:{unleash.port}/api", "UNLEASH_TOKEN": TOKEN}
        with Service(NO_DATABASE, refused_url(), environment=environment, workers=len(treatments)) as service:
            assert service.process is not None
            until(lambda: len(unleash.ended) >= len(treatments), "each worker asks for flags")
            for _ in range(20):  # by a connection of its own each
                answered = service.client().post("/compose", WITH_POLICY)
                assert refusal(answered, 503) == "This needs compliance, which is not set up here"
                assert answered.elapsed.total_seconds() < SOON
            assert peak_memory(service.process.pid) < limited.memory + MOST_MEMORY
