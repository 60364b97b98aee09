"""Show the state of a tenant's quota (openapi.yaml, operation getQuota)."""

from __future__ import annotations

from dataclasses import dataclass

from domain.identity import Identity
from domain.quota import Allowance
from ports.quotas import Quotas
from ports.store import Starts


@dataclass(frozen=True, slots=True)
class ShowQuota:
    """Shows the quota of a tenant. Builds are counted as for a reservation, but nothing is reserved."""

    quotas: Quotas
    starts: Starts

    def __call__(self, identity: Identity) -> Allowance | None:
        """Return the state of the quota of the caller's tenant; None if it is unlimited.

        Raises ConfigurationError if no quota applies to the tenant, and UnavailableError if the database is
        unavailable.
        """
        quota = self.quotas.get(identity.tenant)
        return None if quota is None else quota.allowance(self.starts.get_usage(identity.tenant, quota))
