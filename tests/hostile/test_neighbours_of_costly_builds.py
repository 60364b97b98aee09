"""Builds that cost much CPU or memory before they are submitted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, composed, insert_blueprint
from tests.support.builders import compose_request, image_request
from tests.support.databases import Parameters
from tests.support.flood import flooded
from tests.support.losing import killed_when
from tests.support.pods import RECONCILING, Pod, quotas
from tests.support.refusals import refusal
from tests.support.rows import counts
from tests.support.service import Service
from tests.support.stand_in import Client as ComposerClient
from tests.support.waiting import SOON, until

# More than a start of 36 images takes, less than a fifth of what it took when each image had everything of its own.
MOST_GROWTH = 120 * 1024**2


@pytest.fixture
def service(database: Parameters, composer: StandInComposer) -> Iterator[Service]:
    with Service(database, composer.url, environment={"COMPOSE_DEADLINE": "120"}) as running:
        yield running


@pytest.fixture
def tenant() -> str:
    return uuid4().hex


def with_users(number: int, length: int) -> dict[str, Any]:
    """A compose request with this number of users, and passwords of this number of bytes."""
    users = [{"name": f"u{each}", "password": f"{each:03}".ljust(length, "x")} for each in range(number)]
    return compose_request(customizations={"users": users})


def peak_of(service: Service) -> int:
    """The most memory, in bytes, that the service's process has had so far."""
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def test_password_hashing_of_one_organization_does_not_delay_other_organizations(service: Service, tenant: str) -> None:
    neighbour = service.client(uuid4().hex)
    with flooded(service, tenant, "/compose", with_users(200, 512), 30) as flood:
        until(lambda: flood.sent == 30, "all are sent")
        for _ in range(2):
            began = time.monotonic()
            assert neighbour.post("/compose", with_users(1, 8)).status_code == 201
            assert neighbour.post("/blueprints", {**blueprint(uuid4().hex), **_users()}).status_code == 201
            assert time.monotonic() - began < SOON
        assert flood.statuses.total() < 30, "the attack still goes on"
        assert service.process is not None
        service.process.kill()  # the rest of the attack takes a minute
        service.process.wait()


def _users() -> dict[str, Any]:
    return {"customizations": {"users": [{"name": "u", "password": "secret of the neighbour"}]}}


def test_no_password_is_hashed_if_the_quota_is_used_up(
    database: Parameters, composer: StandInComposer, tenant: str, tmp_path: Path
) -> None:
    with Service(database, composer.url, environment=quotas(tmp_path, 0)) as service:
        client = service.client(tenant)
        client.get("/composes")
        before = _cpu_of(service)
        for _ in range(10):
            refusal(client.post("/compose", with_users(200, 512)), 403)
        # Hashing them would take 2 s each.
        assert _cpu_of(service) - before < 5


def _cpu_of(service: Service) -> float:
    """Seconds of CPU that the service's process has used."""
    assert service.process is not None
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_start_whose_pod_is_killed_while_it_hashes_passwords_is_released(
    database: Parameters, composer: StandInComposer, tenant: str, tmp_path: Path
) -> None:
    environment = {**RECONCILING, "COMPOSE_DEADLINE": "30", "START_LEASE": "30", **quotas(tmp_path, 5)}
    with Pod(database, composer.url, environment) as pod:
        call = partial(pod.client(tenant).post, "/compose", with_users(200, 512))
        killed_when(pod, [call], lambda: counts(database, tenant) == (0, 1))
    assert counts(database, tenant) == (0, 1), "the quota was reserved"
    assert ComposerClient(composer)("GET", "/composes/").json()["items"] == [], "nothing was submitted"
    with Pod(database, composer.url, {**environment, **RECONCILING}) as other:
        until(lambda: counts(database, tenant) == (0, 0), "the start is released")
        assert other.client(tenant).get("/quota").json()["used"] == 0


@pytest.mark.parametrize(
    "customizations",
    [
        pytest.param({"files": [{"path": "/etc/a", "data": "x" * 3_600_000}]}, id="one large file"),
        pytest.param({"files": [{"path": f"/etc/{each}", "data": "x" * 120} for each in range(4000)]}, id="many files"),
    ],
)
def test_the_images_of_a_large_blueprint_take_little_more_memory_than_one(
    database: Parameters, service: Service, tenant: str, customizations: dict[str, Any]
) -> None:
    images = [image_request(size=(number + 1) * 1024**3) for number in range(36)]
    body = {"distribution": "centos-9", "image_requests": images, "customizations": customizations}
    large = str(insert_blueprint(database, tenant, "large", body))
    client = service.client(tenant)
    client.compose(compose_request())
    before = peak_of(service)
    assert len(composed(client, large)) == 36
    assert peak_of(service) - before < MOST_GROWTH
    assert counts(database, tenant) == (37, 0)
