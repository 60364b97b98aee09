"""The port of stored bills of materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.sboms import Sbom


@dataclass(frozen=True, slots=True)
class StoredSboms:
    """The stored bills of a build that have the wanted purpose, None if no bills of the build are stored.

    `ended`: the final status of the build is stored.
    """

    ended: bool
    sboms: tuple[Sbom, ...] | None


class Sboms(Protocol):
    """Bills of materials of builds. All methods raise UnavailableError when the database is unavailable.

    Before large documents are read, memory is reserved for them; this raises the errors of
    `ports.memory.reserve_memory`.
    """

    def get(self, tenant: str, compose_id: UUID, purpose: str) -> StoredSboms | None:
        """The bills of this purpose; None where the tenant has no build with this id, or deleted it."""

    def store(self, compose_id: UUID, sboms: Sequence[Sbom]) -> None:
        """Store the bills of a build; does nothing where some are stored."""
