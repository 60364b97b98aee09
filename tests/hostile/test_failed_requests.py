"""A request that fails leaves nothing in memory: its body is gone with its answer, not with a garbage collection."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.cgroups import resident_of
from tests.support.databases import Parameters
from tests.support.service import Service

MIB = 1024 * 1024
# Requests of which each held at least 4 MiB when it failed.
REQUESTS = 20
# What may be more after them than before: much less than all their bodies.
MAX_GROWTH = 40 * MIB
NOT_JSON = b'"' + b"a" * (4 * MIB - 1000)
BUILD = orjson.dumps(compose_request(customizations={"files": [{"path": "/etc/a", "data": "a" * (4 * MIB - 20_000)}]}))

Steer = Callable[[StandInComposer], object]


@pytest.mark.parametrize(
    ("body", "steer", "status"),
    [
        pytest.param(NOT_JSON, lambda composer: composer.reset(), 400, id="not JSON"),
        pytest.param(
            BUILD,
            lambda composer: composer.steer(post_raw={"status": 500, "body": "<html>"}),
            500,
            id="the composer answers with no error of its own",
        ),
        pytest.param(
            BUILD, lambda composer: composer.steer(post_drop="before"), 503, id="the composer ends the connection"
        ),
    ],
)
def test_a_failed_request_leaves_nothing_in_memory(
    module_database: Parameters, composer: StandInComposer, body: bytes, steer: Steer, status: int
) -> None:
    steer(composer)
    with Service(module_database, composer.url) as service:
        client = service.client("careless")
        headers = {"Content-Type": "application/json"}
        assert service.process is not None
        for _ in range(3):  # what the first requests take for good
            assert client.post("/compose", data=body, headers=headers).status_code == status
        before = resident_of(service.process.pid)
        for _ in range(REQUESTS):
            assert client.post("/compose", data=body, headers=headers).status_code == status
        assert resident_of(service.process.pid) - before < MAX_GROWTH
