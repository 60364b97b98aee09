"""How much a tenant may build: a number of starts in a sliding window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.errors import ConfigurationError, ForbiddenError


@dataclass(frozen=True, slots=True)
class Usage:
    """The builds that count at `at`, of a tenant whose quota is `limit`.

    `used` goes no higher than the limit; `earliest` is when the first of these was started, None where there is none.
    Of more builds than the limit (it was higher once) the newest are meant: until the first of those has left the
    window, none may be started. Times are naive UTC, by the clock that counts.
    """

    at: datetime
    used: int
    earliest: datetime | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a tenant may start yet; `frees_at` is when that becomes one more, `frees_in` the time until then.

    Both are None where nothing counts that could leave the window.
    """

    limit: int
    window: timedelta
    used: int
    frees_at: datetime | None
    frees_in: timedelta | None

    @property
    def remaining(self) -> int:
        """How many builds may be started now."""
        return self.limit - self.used

    @property
    def next_free_at(self) -> datetime | None:
        """When the next build may be started; None where one may be now, and where none ever may."""
        return None if self.remaining else self.frees_at


class QuotaExceededError(ForbiddenError):
    """These builds would exceed the tenant's quota; `allowance` is what it may still start."""

    def __init__(self, detail: str, allowance: Allowance) -> None:
        super().__init__(detail)
        self.allowance = allowance


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` builds started within any `window`; deleted builds count like the others."""

    limit: int
    window: timedelta

    def allowance(self, usage: Usage) -> Allowance:
        """What `usage` leaves."""
        frees_at = None if usage.earliest is None else usage.earliest + self.window
        frees_in = None if frees_at is None else max(frees_at - usage.at, timedelta(0))
        return Allowance(self.limit, self.window, usage.used, frees_at, frees_in)

    def exceeded(self, usage: Usage) -> QuotaExceededError:
        """The refusal for a tenant whose usage leaves too little, in the words clients know."""
        detail = f"Quota of {self.limit} builds per {self.window.days} days exceeded for user"
        return QuotaExceededError(detail, self.allowance(usage))


@dataclass(frozen=True, slots=True)
class Reservation:
    """Whether starts were reserved, and the usage after that, or after the refusal; None where there is no quota."""

    granted: bool
    usage: Usage | None


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
