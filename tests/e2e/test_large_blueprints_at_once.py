"""Concurrent requests of one organization with large blueprints queue for memory, and never deadlock.

One organization may use 36 MiB by default; changing a blueprint of 4 MB needs 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.at_once import Call, at_once
from tests.support.builders import image_request
from tests.support.databases import Parameters
from tests.support.service import Client, Service

AT_ONCE = 4
# Others wait on a thread, and for a shorter time.
AT_ONCE_ON_THREADS = 2
# Bytes of a file's data; with all else, a body comes close to the 4 MiB that it may have.
LARGE = 4_190_000


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    with Service(module_database, composer_process.url) as running:
        yield running


def document(letter: str, size: int = LARGE) -> dict[str, object]:
    return {
        "name": uuid4().hex,
        "distribution": "centos-9",
        "image_requests": [image_request()],
        "customizations": {"files": [{"path": "/etc/large", "data": letter * size}]},
    }


def created(client: Client, size: int = LARGE) -> str:
    answer = client.post("/blueprints", document("a", size))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def refusals(calls: Sequence[Call]) -> list[str]:
    """The errors of the failed calls, which are all made concurrently."""
    return [answer.text for answer in at_once(calls) if not answer.ok]


def putting(service: Service, tenant: str, key: str, size: int = LARGE) -> Call:
    return lambda: service.client(tenant).request("PUT", f"/blueprints/{key}", json=document("b", size))


def test_large_blueprints_are_changed_concurrently(service: Service, client: Client, tenant: str) -> None:
    keys = [created(client) for _ in range(AT_ONCE)]
    assert refusals([putting(service, tenant, key) for key in keys]) == []


def test_one_blueprint_becomes_large_by_concurrent_changes(service: Service, client: Client, tenant: str) -> None:
    key = created(client, 10)
    assert refusals([putting(service, tenant, key) for _ in range(AT_ONCE)]) == []
    assert client.get(f"/blueprints/{key}").headers["ETag"] == f'"{1 + AT_ONCE}"'


def test_large_blueprints_are_halved_concurrently(service: Service, client: Client, tenant: str) -> None:
    keys = [created(client) for _ in range(AT_ONCE)]
    assert refusals([putting(service, tenant, key, LARGE // 2) for key in keys]) == []


def test_large_blueprints_are_read_concurrently(service: Service, client: Client, tenant: str) -> None:
    keys = [created(client) for _ in range(AT_ONCE_ON_THREADS)]
    assert refusals([lambda key=key: service.client(tenant).get(f"/blueprints/{key}") for key in keys]) == []


def test_large_blueprints_are_fixed_up_concurrently(service: Service, client: Client, tenant: str) -> None:
    keys = [created(client) for _ in range(AT_ONCE_ON_THREADS)]
    fixups = [lambda key=key: service.client(tenant).post(f"/experimental/blueprints/{key}/fixup") for key in keys]
    assert refusals(fixups) == []


def test_large_blueprints_are_built_concurrently(service: Service, client: Client, tenant: str) -> None:
    keys = [created(client) for _ in range(AT_ONCE_ON_THREADS)]
    builds = [lambda key=key: service.client(tenant).post(f"/blueprints/{key}/compose", {}) for key in keys]
    assert refusals(builds) == []
