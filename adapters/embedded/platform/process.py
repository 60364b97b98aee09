"""The stand-in platform as a child process: for `make run`, the demo, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

from adapters.embedded.platform import sample_data
from adapters.embedded.stand_in.process import StandInProcess


class StandInPlatform(StandInProcess):
    """The running stand-in platform; its counters have names such as `content_sources GET /repositories/`."""

    def __init__(
        self,
        state: Path | str = ":memory:",
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        distributions: Path | None = None,
        parent_death: bool = True,
    ) -> None:
        """Start the stand-in and wait until it listens. Its Red Hat repositories are those of `distributions`.

        Raises RuntimeError if it does not start within 30 seconds; its messages are on stderr.
        """
        options: dict[str, object] = {"host": host, "port": port, "state": state}
        options |= {"distributions": distributions} if distributions else {}
        super().__init__("stand-in platform", "adapters.embedded.platform", options, parent_death=parent_death)

    @property
    def content_sources_url(self) -> str:
        """The value for the setting CONTENT_SOURCES_URL."""
        return self.url + sample_data.CONTENT_SOURCES_BASE

    @property
    def provisioning_url(self) -> str:
        """The value for the setting PROVISIONING_URL."""
        return self.url + sample_data.PROVISIONING_BASE

    @property
    def compliance_url(self) -> str:
        """The value for the setting COMPLIANCE_URL."""
        return self.url + sample_data.COMPLIANCE_BASE

    @property
    def recommendations_url(self) -> str:
        """The value for the setting RECOMMENDATIONS_URL."""
        return self.url + sample_data.RECOMMENDATIONS_BASE

    @property
    def token_url(self) -> str:
        """The value for the setting RECOMMENDATIONS_TOKEN_URL."""
        return f"{self.recommendations_url}/token"
