"""How much a tenant may build: a number of starts in a sliding window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import ConfigurationError, QuotaExceededError


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` builds started within any `window`; deleted builds count like the others."""

    limit: int
    window: timedelta

    def exceeded(self) -> QuotaExceededError:
        """The refusal for a tenant who has used it up, in the words clients know."""
        return QuotaExceededError(f"Quota of {self.limit} builds per {self.window.days} days exceeded for user")


@dataclass(frozen=True, slots=True)
class QuotaTable:
    """Each tenant's quota, and the one for everybody else; `default` None where operators gave none."""

    by_tenant: Mapping[str, Quota]
    default: Quota | None

    def of(self, tenant: str) -> Quota:
        """The tenant's own quota, else the default one. Raises ConfigurationError where there is neither."""
        quota = self.by_tenant.get(tenant, self.default)
        if quota is None:
            raise ConfigurationError("No quota is defined for this organization")
        return quota
