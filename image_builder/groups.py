"""Settings that go together to whoever needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from domain.budgets import Budget


@dataclass(frozen=True, slots=True)
class BackEndSettings:
    """Where a back-end is, and who we are there; no `token_url` means it asks for no token."""

    url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    ca_path: str
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class UnleashSettings:
    """Where feature flags are kept."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """How many requests of each kind an organization may make in any `window` of seconds.

    Counted in the store at `storage_url`, which has to answer within `patience`; by each process for itself where there
    is none.
    """

    amounts: Mapping[Budget, int]
    window: int
    storage_url: str = field(repr=False)
    patience: timedelta
