"""Quotas that operators set."""

from __future__ import annotations

from typing import Protocol

from domain.quota import Quota


class Quotas(Protocol):
    """The quotas in force."""

    def of(self, tenant: str) -> Quota | None:
        """The tenant's quota; None for unlimited. Raises ConfigurationError if no quota is defined for it."""
