"""The stand-in composer as a child process: for `make run`, the demo, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

from adapters.embedded.composer.answers import BASE
from adapters.embedded.stand_in.process import StandInProcess


class StandInComposer(StandInProcess):
    """A running stand-in composer; its counters are named such as `POST /compose`."""

    def __init__(
        self,
        state: Path | str = ":memory:",
        *,
        seconds: float = 8,
        port: int = 0,
        host: str = "127.0.0.1",
        parent_death: bool = True,
    ) -> None:
        """Start it and wait until it listens.

        Raises RuntimeError when it does not within ten seconds; its messages are on stderr.
        """
        options = {"host": host, "port": port, "state": state, "seconds": seconds}
        super().__init__("stand-in composer", "adapters.embedded.composer", options, parent_death=parent_death)

    @property
    def api_url(self) -> str:
        """Where the composer's API starts; `url` is what goes into COMPOSER_URL."""
        return self.url + BASE

    @property
    def token_url(self) -> str:
        """The address of the token endpoint."""
        return f"{self.url}/token"
