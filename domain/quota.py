"""Quotas: how many builds a tenant may start within a sliding window of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.errors import ConfigurationError, ForbiddenError


@dataclass(frozen=True, slots=True)
class Usage:
    """The builds of a tenant that count towards its quota at the time `at`.

    `used` is at most the limit of the quota; `earliest` is when the first of these builds was started, None for no
    builds. If more builds than the limit are in the window (because the limit was lowered), only the newest are
    counted: the next build may be started when the first of those leaves the window. Times are UTC without a time zone,
    by the clock of the database.
    """

    at: datetime
    used: int
    earliest: datetime | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """The state of a quota: `used` of `limit` builds in the `window`.

    `frees_at` is when the next build leaves the window, `frees_in` the time until then; None if no build counts.
    """

    limit: int
    window: timedelta
    used: int
    frees_at: datetime | None
    frees_in: timedelta | None

    @property
    def remaining(self) -> int:
        """The number of builds that may be started now."""
        return self.limit - self.used

    @property
    def next_free_at(self) -> datetime | None:
        """When the next build may be started; None if one may be started now, or never."""
        return None if self.remaining else self.frees_at


class QuotaExceededError(ForbiddenError):
    """These builds would exceed the tenant's quota; `allowance` is the state of the quota."""

    def __init__(self, detail: str, allowance: Allowance) -> None:
        super().__init__(detail)
        self.allowance = allowance


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` builds may be started within any `window`; deleted builds count, too."""

    limit: int
    window: timedelta

    def allowance(self, usage: Usage) -> Allowance:
        """Return the state of the quota for this `usage`."""
        frees_at = None if usage.earliest is None else usage.earliest + self.window
        frees_in = None if frees_at is None else max(frees_at - usage.at, timedelta(0))
        return Allowance(self.limit, self.window, usage.used, frees_at, frees_in)

    def exceeded_error(self, usage: Usage) -> QuotaExceededError:
        """Return the error for a tenant whose usage leaves too few builds, with the text of the Go service."""
        detail = f"Quota of {self.limit} builds per {self.window.days} days exceeded for user"
        return QuotaExceededError(detail, self.allowance(usage))


@dataclass(frozen=True, slots=True)
class Reservation:
    """The result of a reservation: whether it was granted, and the usage afterwards (None for an unlimited tenant)."""

    granted: bool
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class QuotaTable:
    """The quotas by tenant, and the default for all other tenants; None for no default."""

    by_tenant: Mapping[str, Quota]
    default: Quota | None

    def get(self, tenant: str) -> Quota:
        """Return the tenant's own quota, otherwise the default. Raises ConfigurationError if neither is defined."""
        quota = self.by_tenant.get(tenant, self.default)
        if quota is None:
            raise ConfigurationError("No quota is defined for this organization")
        return quota
