"""The stand-in platform as a child process: for `make run`, the demo, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

from adapters.embedded.platform import known
from adapters.embedded.stand_in.process import StandInProcess


class StandInPlatform(StandInProcess):
    """Running stand-ins; their counters are named such as `content_sources GET /repositories/`."""

    def __init__(
        self,
        state: Path | str = ":memory:",
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        distributions: Path | None = None,
        parent_death: bool = True,
    ) -> None:
        """Start it and wait until it listens; the Red Hat repositories it knows are those of `distributions`.

        Raises RuntimeError when it does not within ten seconds; its messages are on stderr.
        """
        options: dict[str, object] = {"host": host, "port": port, "state": state}
        options |= {"distributions": distributions} if distributions else {}
        super().__init__("stand-in platform", "adapters.embedded.platform", options, parent_death=parent_death)

    @property
    def content_sources_url(self) -> str:
        """What goes into CONTENT_SOURCES_URL."""
        return self.url + known.CONTENT_SOURCES_BASE

    @property
    def provisioning_url(self) -> str:
        """What goes into PROVISIONING_URL."""
        return self.url + known.PROVISIONING_BASE

    @property
    def compliance_url(self) -> str:
        """What goes into COMPLIANCE_URL."""
        return self.url + known.COMPLIANCE_BASE

    @property
    def recommendations_url(self) -> str:
        """What goes into RECOMMENDATIONS_URL."""
        return self.url + known.RECOMMENDATIONS_BASE

    @property
    def token_url(self) -> str:
        """What goes into RECOMMENDATIONS_TOKEN_URL."""
        return f"{self.recommendations_url}/token"
