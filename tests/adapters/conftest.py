"""What the tests of adapters may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.http.composer import HttpComposer
from tests.support.composer_adapter import a_composer
from tests.support.stand_in import Client


@pytest.fixture
def call(composer: StandInComposer) -> Iterator[Client]:
    """A client of the stand-in composer."""
    client = Client(composer)
    yield client
    client.session.close()


@pytest.fixture
def real(composer: StandInComposer) -> Iterator[HttpComposer]:
    """The adapter on the stand-in composer."""
    with a_composer(composer.url) as adapter:
        yield adapter
