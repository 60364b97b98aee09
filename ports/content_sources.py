"""The port of content sources, which stores repositories and their snapshots (API v1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from domain.content import ContentRepository, Snapshot, Template
from domain.identity import Identity


class ContentSources(Protocol):
    """Calls are made with the identity of the caller; none is made for an empty sequence.

    All raise ForbiddenError if the caller may not read repositories, and UnavailableError for no usable answer.
    """

    def by_url(self, identity: Identity, urls: Sequence[str], origins: Sequence[str]) -> tuple[ContentRepository, ...]:
        """Return all repositories of these origins with these URLs."""

    def by_uuid(
        self, identity: Identity, uuids: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        """Return all repositories of these origins with these ids; texts that are no UUIDs are ignored."""

    def snapshots(self, identity: Identity, date: str, uuids: Sequence[str]) -> tuple[Snapshot, ...]:
        """Return the snapshot of each repository for `date` (RFC 3339, UTC); repositories without one are left out."""

    def template(self, identity: Identity, uuid: str) -> Template:
        """Return a template. Raises NotFoundError for an unknown id, or a text that is no UUID."""

    def bulk_export(self, identity: Identity, uuids: Sequence[str]) -> list[Any]:
        """Return the repositories with these ids in content sources' export format.

        Texts that are not UUIDs are ignored. Raises NotFoundError if content sources does not know one of them.
        """
