"""The port of the quotas that operators set."""

from __future__ import annotations

from typing import Protocol

from domain.quota import Quota


class Quotas(Protocol):
    """The current quotas of all tenants."""

    def get(self, tenant: str) -> Quota | None:
        """Return the tenant's quota; None if it is unlimited. Raises ConfigurationError if no quota applies to it."""
