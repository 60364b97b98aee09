"""Small things of the world: who may build how much, fingerprints and hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from domain.quota import Quota


class Quotas(Protocol):
    """The quotas in force."""

    def of(self, tenant: str) -> Quota | None:
        """The tenant's quota, None for unlimited. Raises ConfigurationError where none is defined for it."""


class Fingerprints(Protocol):
    """Fingerprints of JSON documents, the same in every pod; without the secret nobody can try documents out."""

    def of(self, document: Mapping[str, Any]) -> bytes:
        """The document's, whatever the order of its keys."""

    def comparable(self, fingerprint: bytes) -> bool:
        """Whether it was made with the secret that is in force."""


class PasswordHasher(Protocol):
    """One-way hashing of passwords."""

    def __call__(self, password: str, salt: str) -> str:
        """SHA-512 crypt, `$6$`, of these 16 characters of salt, with the usual number of rounds, which is not named."""
