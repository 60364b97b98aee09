"""What the tests of the running service may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support.databases import Parameters
from tests.support.platform import service_with
from tests.support.service import Client, Service


@pytest.fixture
def tenant() -> str:
    """The organization of one test."""
    return uuid4().hex


@pytest.fixture
def client(service: Service, composer: StandInComposer, tenant: str) -> Client:
    """A client of the test's organization, with a reset composer."""
    return service.client(tenant)


@pytest.fixture(scope="session")
def platform_process() -> Iterator[StandInPlatform]:
    """The stand-ins of the platform; request `platform` to have them reset."""
    with StandInPlatform() as running:
        yield running


@pytest.fixture
def platform(platform_process: StandInPlatform) -> Iterator[StandInPlatform]:
    """The stand-ins of the platform, behaving as usual, their counters at zero."""
    platform_process.reset()
    yield platform_process
    # Other tests use them as they are.
    platform_process.reset()


@pytest.fixture(scope="module")
def platform_service(
    module_database: Parameters, composer_process: StandInComposer, platform_process: StandInPlatform
) -> Iterator[Service]:
    """The running service with all optional back-ends, for one module of tests."""
    with service_with(module_database, composer_process.url, platform_process) as running:
        yield running


@pytest.fixture
def unspoiled(module_database: Parameters, composer: StandInComposer, platform: StandInPlatform) -> Iterator[Service]:
    """A `platform_service` for one test, whose circuit breakers are all closed."""
    with service_with(module_database, composer.url, platform) as running:
        yield running
