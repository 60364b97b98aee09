"""The server around the application."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from adapters.embedded import serving
from adapters.embedded.platform.app import build
from adapters.embedded.platform.built_in import built_in
from adapters.embedded.platform.state import Known
from adapters.embedded.platform.steering import Steering

NAME: Final = "stand-in platform"


def serve(host: str, port: int, state: str, distributions: Path) -> None:
    """Answer until SIGTERM or SIGINT comes."""
    steering = Steering()
    serving.serve(NAME, host, port, build(Known(state, built_in(distributions)), steering), steering.close)
