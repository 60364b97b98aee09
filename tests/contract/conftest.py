"""What the contract's tests may ask for: the service with everything that the document describes, and the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support.databases import Parameters
from tests.support.platform import service_with
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """The running service, all back-ends set up: what is not answers 503, which says nothing of a contract."""
    with StandInPlatform() as platform, service_with(module_database, composer_process.url, platform) as running:
        yield running


@pytest.fixture(scope="module")
def contract(service: Service) -> Any:
    """The served document, able to judge answers."""
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    served: dict[str, Any] = requests.get(f"{service.url}{BASE}/openapi.json", timeout=PATIENCE).json()
    return served
