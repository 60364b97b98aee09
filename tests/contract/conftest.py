"""What the contract's tests may ask for: the service with everything that the document describes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support.databases import Parameters
from tests.support.service import Service


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """The running service, recommendations set up: what is not answers 503, which says nothing of a contract."""
    with StandInPlatform() as platform:
        environment = {
            "RECOMMENDATIONS_URL": platform.recommendations_url,
            "RECOMMENDATIONS_TOKEN_URL": platform.token_url,
            "RECOMMENDATIONS_CLIENT_ID": "image-builder",
            "RECOMMENDATIONS_CLIENT_SECRET": "stand-in",
        }
        with Service(module_database, composer_process.url, environment=environment) as running:
            yield running
