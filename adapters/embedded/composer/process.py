"""The stand-in composer as a child process: for `make run`, the demo, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

from adapters.embedded.composer.answers import BASE
from adapters.embedded.stand_in.process import StandInProcess


class StandInComposer(StandInProcess):
    """A running stand-in composer; its counters have names such as `POST /compose`."""

    def __init__(
        self,
        state: Path | str = ":memory:",
        *,
        seconds: float = 8,
        port: int = 0,
        host: str = "127.0.0.1",
        parent_death: bool = True,
    ) -> None:
        """Start the stand-in and wait until it listens. A build takes `seconds`.

        Raises RuntimeError if it does not start within 30 seconds; its messages are on stderr.
        """
        options = {"host": host, "port": port, "state": state, "seconds": seconds}
        super().__init__("stand-in composer", "adapters.embedded.composer", options, parent_death=parent_death)

    @property
    def api_url(self) -> str:
        """The base URL of the composer's API; the value of COMPOSER_URL is `url`."""
        return self.url + BASE

    @property
    def token_url(self) -> str:
        """The address of the token endpoint."""
        return f"{self.url}/token"
