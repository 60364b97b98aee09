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
from image_builder.usecases.concurrency import set_up
from ports.content_sources import ContentSources
from ports.deadline import until
from ports.store import Blueprints

# Seconds for all calls of content sources.
_WITHIN: Final = 30.0


@dataclass(frozen=True, slots=True)
class Export:
    """An export (openapi.yaml, schema BlueprintExportResponse).

    `architecture` is that of all images; None where they have different ones.
    """

    document: dict[str, Any]
    architecture: str | None


@dataclass(frozen=True, slots=True)
class ExportBlueprint:
    """Exports blueprints. `content_sources` is None where it is not configured; `clock` returns the time in UTC."""

    blueprints: Blueprints
    content_sources: ContentSources | None
    clock: Callable[[], datetime]

    def __call__(self, identity: Identity, blueprint_id: UUID, *, with_repositories: bool = True) -> Export:
        """Export the blueprint; `with_repositories` adds `content_sources`.

        Raises NotFoundError where the tenant has no such blueprint, ForbiddenError where content sources refuses the
        caller, and UnavailableError.
        """
        blueprint = self.blueprints.get(identity.tenant, blueprint_id)
        with until(_WITHIN):
            known = self._community(identity, find_community_urls(blueprint.customizations))
            exported = export_blueprint(blueprint, known, self.clock())
            repositories: list[Any] = []
            if with_repositories and exported.repositories:
                content = set_up(self.content_sources, "content sources")
                repositories = _export_repositories(content, identity, exported.repositories)
        document = {**exported.document, **({"content_sources": repositories} if with_repositories else {})}
        return Export(document, exported.architecture)

    def _community(self, identity: Identity, urls: tuple[str, ...]) -> tuple[ContentRepository, ...]:
        if not urls or self.content_sources is None:
            return ()
        return self.content_sources.by_url(identity, urls, (COMMUNITY,))


def _export_repositories(content: ContentSources, identity: Identity, uuids: tuple[str, ...]) -> list[Any]:
    try:
        return content.bulk_export(identity, uuids)
    except NotFoundError:
        # The call fails as a whole if one of the repositories was deleted: it is repeated for the existing ones.
        known = content.by_uuid(identity, uuids, CUSTOM_ORIGINS)
        return content.bulk_export(identity, [repository.uuid for repository in known])
