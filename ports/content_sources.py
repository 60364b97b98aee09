"""The service that knows repositories and keeps their snapshots (contract: content sources v1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from domain.content import ContentRepository, Snapshot, Template
from domain.identity import Identity


class ContentSources(Protocol):
    """Asked in the name of the caller. All raise ForbiddenError where the caller may not read repositories there, and
    UnavailableError where there is no usable answer. Nothing is asked for an empty sequence.
    """

    def by_url(self, identity: Identity, urls: Sequence[str], origins: Sequence[str]) -> tuple[ContentRepository, ...]:
        """All repositories of these origins at these addresses."""

    def by_uuid(
        self, identity: Identity, uuids: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        """All repositories of these origins with these ids; what is no UUID is not asked for."""

    def snapshots(self, identity: Identity, date: str, uuids: Sequence[str]) -> tuple[Snapshot, ...]:
        """The snapshot of each repository for `date` (RFC 3339, UTC), those left out that have none."""

    def template(self, identity: Identity, uuid: str) -> Template:
        """A template. Raises NotFoundError for one content sources does not know, or an id that is none."""

    def bulk_export(self, identity: Identity, uuids: Sequence[str]) -> list[Any]:
        """The repositories with these ids as they may be imported elsewhere, as content sources writes them; what is
        no UUID is not asked for. Raises NotFoundError where content sources does not know one of them.
        """
