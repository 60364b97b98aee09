"""Show what a tenant's quota leaves (openapi.yaml, operation getQuota)."""

from __future__ import annotations

from dataclasses import dataclass

from domain.identity import Identity
from domain.quota import Allowance
from ports.quotas import Quotas
from ports.store import Starts


@dataclass(frozen=True, slots=True)
class ShowQuota:
    """Shows the quota of a tenant, by the same count as a start of builds, without a reservation."""

    quotas: Quotas
    starts: Starts

    def __call__(self, identity: Identity) -> Allowance | None:
        """Return what the quota of the caller's tenant leaves, None for unlimited.

        Raises ConfigurationError if no quota applies to the tenant, and UnavailableError when the database is
        unavailable.
        """
        quota = self.quotas.get(identity.tenant)
        return None if quota is None else quota.allowance(self.starts.get_usage(identity.tenant, quota))
