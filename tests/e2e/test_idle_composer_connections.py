"""No build is lost or started twice if the composer closes idle connections (COMPOSER_REUSE).

TEST_IDLE_CONNECTION_TRIES is the number of builds on connections that are being closed.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.idle_server import Closing, IdleServer
from tests.support.rows import counts
from tests.support.service import Service
from tests.support.waiting import STRETCH

TRIES = int(os.environ.get("TEST_IDLE_CONNECTION_TRIES") or 60)
PARALLEL = 20
TENANT = "idle"


@pytest.mark.parametrize("closing", [Closing.AT_ONCE, Closing.LATE])
def test_every_build_is_started_once_whenever_the_composer_closes_idle_connections(
    database: Parameters, closing: Closing
) -> None:
    posted: list[str] = []
    statuses: list[int] = []

    with (
        IdleServer(closing, idle=STRETCH, late=0.2) as composer,
        Service(database, composer.url) as service,
        ThreadPoolExecutor(PARALLEL) as threads,
    ):
        clients = [service.client(TENANT) for _ in range(PARALLEL)]

        def build(number: int, name: str) -> requests.Response:
            return clients[number].post("/compose", compose_request(customizations={"hostname": name}))

        for _ in range(TRIES // PARALLEL // 2 + 1):  # for each way of closing
            names = [uuid4().hex for _ in range(PARALLEL)]
            statuses += [answer.status_code for answer in threads.map(build, range(PARALLEL), names)]
            posted += names
            time.sleep(composer.moment())
    assert set(statuses) == {201}
    assert composer.posted == dict.fromkeys(posted, 1)
    assert counts(database, TENANT) == (len(posted), 0)
