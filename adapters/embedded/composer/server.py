"""The server around the application."""

from __future__ import annotations

from typing import Final

from adapters.embedded import serving
from adapters.embedded.composer.app import build
from adapters.embedded.composer.state import Composes
from adapters.embedded.composer.steering import Steering

NAME: Final = "stand-in composer"


def serve(host: str, port: int, state: str, seconds: float) -> None:
    """Answer until SIGTERM or SIGINT comes."""
    composes, steering = Composes(state), Steering()
    serving.serve(NAME, host, port, build(composes, steering, seconds), steering.close)
    composes.close()
