"""What tests of use cases share."""

import pytest

from image_builder.usecases import compose
from tests.support.starting import World


@pytest.fixture
def world(monkeypatch):
    """Everything around a start, in which nobody sleeps."""
    monkeypatch.setattr(compose.time, "sleep", lambda _seconds: None)
    return World()
