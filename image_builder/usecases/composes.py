"""Watch builds: the list, one build's status and metadata, and hiding one (spec: Composes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self
from uuid import UUID

import structlog

from domain.composes import ComposesPage, ComposesQuery
from domain.errors import NotFoundError, UnavailableError
from domain.identity import Identity
from domain.paging import Page
from domain.status import ComposeStatus, ImageStatus, as_document, from_document
from ports.composer import Composer
from ports.shared_calls import SharedCalls
from ports.store import Blueprints, Composes
from ports.waiting import about_to_wait

log = structlog.get_logger()

# Seconds for which a status of the composer serves others who ask for the same build.
_STATUS_VALID_FOR: Final = 2.0


@dataclass(frozen=True, slots=True)
class WatchedCompose:
    """A build and how it goes; `request` is as in KeptCompose."""

    request: str | bytes
    status: ImageStatus


@dataclass(frozen=True, slots=True)
class WatchComposes:
    """A tenant's view of its builds. All raise UnavailableError when the database or the composer is away."""

    composes: Composes
    blueprints: Blueprints
    composer: Composer
    composer_statuses: SharedCalls[UUID, ComposeStatus]

    @classmethod
    def over(cls, composes: Composes, blueprints: Blueprints, composer: Composer) -> Self:
        """A view of these, in which simultaneous askers share one status of the composer."""
        return cls(composes, blueprints, composer, SharedCalls(composer.status, valid_for=_STATUS_VALID_FOR))

    def list(self, identity: Identity, page: Page, ignored: tuple[str, ...]) -> ComposesPage:
        """A page of the tenant's builds, newest first."""
        return self.composes.page(ComposesQuery(identity.tenant, page, ignored))

    def of_blueprint(
        self, identity: Identity, blueprint_id: UUID, version: int | None, page: Page, ignored: tuple[str, ...]
    ) -> ComposesPage:
        """A page of the builds of a blueprint, or of one version of it; a negative one is the latest.

        Raises NotFoundError unless the blueprint is this tenant's.
        """
        latest = self.blueprints.latest_version(identity.tenant, blueprint_id)
        wanted = latest if version is not None and version < 0 else version
        return self.composes.page(ComposesQuery(identity.tenant, page, ignored, blueprint_id, wanted))

    def status(self, identity: Identity, compose_id: UUID) -> WatchedCompose:
        """How a build goes.

        Raises NotFoundError unless it is this tenant's, and the composer knows it or has said how it ended.
        """
        kept = self.composes.get(identity.tenant, compose_id)
        if kept is None:
            raise _not_found()
        if kept.status is not None:
            return WatchedCompose(kept.request, from_document(kept.status))
        return WatchedCompose(kept.request, self._asked(compose_id).image)

    def metadata(self, identity: Identity, compose_id: UUID) -> Mapping[str, Any] | str | bytes:
        """What is in a built image; JSON text or UTF-8 where it is kept. Raises NotFoundError as `status` does."""
        kept = self.composes.get_metadata(identity.tenant, compose_id)
        if kept is None:
            raise _not_found()
        if kept.metadata is not None:
            return kept.metadata
        # First: before the end there may be less to tell.
        ended = kept.ended or self._has_ended(compose_id)
        metadata = self.composer.metadata(compose_id)
        if ended:
            _keep(partial(self.composes.keep_metadata, compose_id, metadata))
        return metadata

    def delete(self, identity: Identity, compose_id: UUID) -> None:
        """Hide a build; it keeps counting. Raises NotFoundError unless it is this tenant's."""
        if not self.composes.delete(identity.tenant, compose_id):
            raise _not_found()

    def _asked(self, compose_id: UUID) -> ComposeStatus:
        """The composer's status, which is kept if it is the last."""
        about_to_wait()  # before others may share the answer, who may wait for it
        status = self.composer_statuses(compose_id)
        if status.is_final:
            _keep(partial(self.composes.keep_status, compose_id, as_document(status.image)))
        return status

    def _has_ended(self, compose_id: UUID) -> bool:
        """Whether the composer says so."""
        try:
            return self._asked(compose_id).is_final
        except (NotFoundError, UnavailableError):
            return False


def _keep(keep: Callable[[], None]) -> None:
    """Keep an answer for later; it is not worth less where it cannot be kept."""
    try:
        keep()
    except Exception:
        log.warning("what the composer says of a build cannot be kept", exc_info=True)


def _not_found() -> NotFoundError:
    return NotFoundError("Compose not found")
