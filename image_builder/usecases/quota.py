"""Tell a tenant what its quota leaves (spec: Quota)."""

from __future__ import annotations

from dataclasses import dataclass

from domain.identity import Identity
from domain.quota import Allowance
from ports.quotas import Quotas
from ports.store import Starts


@dataclass(frozen=True, slots=True)
class TellQuota:
    """Reserves nothing, and counts what a start would."""

    quotas: Quotas
    starts: Starts

    def __call__(self, identity: Identity) -> Allowance | None:
        """What the caller's tenant may start yet, None for unlimited.

        Raises ConfigurationError where the tenant has no quota, and UnavailableError when the database is away.
        """
        quota = self.quotas.of(identity.tenant)
        return None if quota is None else quota.allowance(self.starts.usage(identity.tenant, quota))
