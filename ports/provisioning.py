"""The service that knows customers' cloud accounts (contract: provisioning v1)."""

from __future__ import annotations

from typing import Protocol

from domain.identity import Identity


class Provisioning(Protocol):
    """Asked in the name of the caller."""

    def aws_account(self, identity: Identity, source: str) -> str | None:
        """The 12-digit account behind a source, None where there is none. Raises UnavailableError."""
