"""Small things of the world: who may build how much, and hashing."""

from __future__ import annotations

from typing import Protocol

from domain.quota import Quota


class Quotas(Protocol):
    """The quotas in force."""

    def of(self, tenant: str) -> Quota | None:
        """The tenant's quota, None for unlimited. Raises ConfigurationError where none is defined for it."""


class PasswordHasher(Protocol):
    """One-way hashing of passwords."""

    def __call__(self, password: str) -> str:
        """SHA-512 crypt, `$6$`, with 16 random characters of salt."""
