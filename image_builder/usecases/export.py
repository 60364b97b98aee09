"""Export a blueprint without secrets, and its custom repositories (openapi.yaml, operation exportBlueprint)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.blueprints.export import export_blueprint, find_community_urls
from domain.content import COMMUNITY, CUSTOM_ORIGINS, ContentRepository
from domain.errors import NotFoundError
from domain.identity import Identity
from image_builder.usecases.concurrency import require_configured
from ports.content_sources import ContentSources
from ports.deadline import until
from ports.store import Blueprints

# Seconds for all calls of content sources.
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Export:
    """An export (openapi.yaml, schema BlueprintExportResponse).

    `architecture` is that of all images; None where they have different ones.
    """

    document: dict[str, Any]
    architecture: str | None


@dataclass(frozen=True, slots=True)
class ExportBlueprint:
    """Exports blueprints. `content_sources` is None if it is not configured; `clock` returns the time in UTC."""

    blueprints: Blueprints
    content_sources: ContentSources | None
    clock: Callable[[], datetime]

    def __call__(self, identity: Identity, blueprint_id: UUID, *, with_repositories: bool = True) -> Export:
        """Return the export; `with_repositories` adds `content_sources`.

        Raises NotFoundError if the tenant has no such blueprint, ForbiddenError if content sources refuses the
        caller, and UnavailableError.
        """
        blueprint = self.blueprints.get(identity.tenant, blueprint_id)
        with until(_TIMEOUT):
            community = self._find_community_repositories(identity, find_community_urls(blueprint.customizations))
            exported = export_blueprint(blueprint, community, self.clock())
            repositories: list[Any] = []
            if with_repositories and exported.repositories:
                content_sources = require_configured(self.content_sources, "content sources")
                repositories = _export_repositories(content_sources, identity, exported.repositories)
        document = {**exported.document, **({"content_sources": repositories} if with_repositories else {})}
        return Export(document, exported.architecture)

    def _find_community_repositories(self, identity: Identity, urls: tuple[str, ...]) -> tuple[ContentRepository, ...]:
        if not urls or self.content_sources is None:
            return ()
        return self.content_sources.by_url(identity, urls, (COMMUNITY,))


def _export_repositories(content_sources: ContentSources, identity: Identity, uuids: tuple[str, ...]) -> list[Any]:
    try:
        return content_sources.bulk_export(identity, uuids)
    except NotFoundError:
        # The call fails as a whole if one of the repositories was deleted: it is repeated for the existing ones.
        existing = content_sources.by_uuid(identity, uuids, CUSTOM_ORIGINS)
        return content_sources.bulk_export(identity, [repository.uuid for repository in existing])
