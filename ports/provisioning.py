"""The port of the provisioning service, which stores customers' cloud accounts (API v1)."""

from __future__ import annotations

from typing import Protocol

from domain.identity import Identity


class Provisioning(Protocol):
    """Calls are made with the identity of the caller."""

    def aws_account(self, identity: Identity, source: str) -> str | None:
        """Return the 12-digit AWS account of a source, None for no account. Raises UnavailableError."""
