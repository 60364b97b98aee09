"""Watch builds: the list, one build's status and metadata, and hiding one (spec: Composes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.composes import ComposesPage, ComposesQuery
from domain.errors import NotFoundError
from domain.identity import Identity
from domain.paging import Page
from domain.status import ImageStatus
from ports.composer import Composer
from ports.store import Blueprints, Composes


@dataclass(frozen=True, slots=True)
class WatchedCompose:
    """A build and how it goes; `request` is JSON text as stored."""

    request: str
    status: ImageStatus


@dataclass(frozen=True, slots=True)
class WatchComposes:
    """A tenant's view of its builds. All raise UnavailableError when the database or the composer is away."""

    composes: Composes
    blueprints: Blueprints
    composer: Composer

    def list(self, identity: Identity, page: Page, ignored: tuple[str, ...]) -> ComposesPage:
        """A page of the tenant's builds, newest first."""
        return self.composes.page(ComposesQuery(identity.tenant, page, ignored))

    def of_blueprint(
        self, identity: Identity, blueprint_id: UUID, version: int | None, page: Page, ignored: tuple[str, ...]
    ) -> ComposesPage:
        """A page of the builds of a blueprint, or of one version of it; a negative one is the latest.

        Raises NotFoundError unless the blueprint is this tenant's.
        """
        latest = self.blueprints.get(identity.tenant, blueprint_id).version
        wanted = latest if version is not None and version < 0 else version
        return self.composes.page(ComposesQuery(identity.tenant, page, ignored, blueprint_id, wanted))

    def status(self, identity: Identity, compose_id: UUID) -> WatchedCompose:
        """How a build goes. Raises NotFoundError unless it is this tenant's and the composer knows it."""
        request = self._request(identity, compose_id)
        return WatchedCompose(request, self.composer.status(compose_id))

    def metadata(self, identity: Identity, compose_id: UUID) -> dict[str, Any]:
        """What is in a built image. Raises NotFoundError as `status` does."""
        self._request(identity, compose_id)
        return self.composer.metadata(compose_id)

    def delete(self, identity: Identity, compose_id: UUID) -> None:
        """Hide a build; it keeps counting. Raises NotFoundError unless it is this tenant's."""
        if not self.composes.delete(identity.tenant, compose_id):
            raise _not_found()

    def _request(self, identity: Identity, compose_id: UUID) -> str:
        request = self.composes.request_of(identity.tenant, compose_id)
        if request is None:
            raise _not_found()
        return request


def _not_found() -> NotFoundError:
    return NotFoundError("Compose not found")
