"""What the tests of the running service may ask for."""

from __future__ import annotations

from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.service import Client, Service


@pytest.fixture
def tenant() -> str:
    """The organization of one test."""
    return uuid4().hex


@pytest.fixture
def client(service: Service, composer: StandInComposer, tenant: str) -> Client:
    """A client that is a user of the test's organization, with the composer as new."""
    return service.client(tenant)
