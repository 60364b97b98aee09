"""List, show and delete a tenant's builds (openapi.yaml, operations on /composes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Self
from uuid import UUID

import structlog

from domain.composes import ComposesPage, ComposesQuery
from domain.errors import NotFoundError, UnavailableError
from domain.identity import Identity
from domain.status import ComposeStatus, ImageStatus, as_document, from_document
from ports.composer import Composer
from ports.shared_calls import SharedCalls
from ports.store import Blueprints, Composes
from ports.waiting import about_to_wait

log = structlog.get_logger()

# Seconds for which a status of the composer serves others who ask for the same build.
_STATUS_VALID_FOR: Final = 2.0


@dataclass(frozen=True, slots=True)
class ComposeWithStatus:
    """A build's request (as in StoredCompose) and its status."""

    request: str | bytes
    status: ImageStatus


@dataclass(frozen=True, slots=True)
class ManageComposes:
    """The operations on existing builds of a tenant.

    All raise UnavailableError when the database or the composer is unavailable.
    """

    composes: Composes
    blueprints: Blueprints
    composer: Composer
    composer_statuses: SharedCalls[UUID, ComposeStatus]

    @classmethod
    def over(cls, composes: Composes, blueprints: Blueprints, composer: Composer) -> Self:
        """Create it so that simultaneous requests for the status of one build share one call of the composer."""
        return cls(composes, blueprints, composer, SharedCalls(composer.status, valid_for=_STATUS_VALID_FOR))

    def list(self, query: ComposesQuery) -> ComposesPage:
        """A page of a tenant's builds.

        Raises InvalidRequestError for filters by a time in the future, or by an empty range of time, and for a cursor
        that no link of the list had.
        """
        query.filters.check_times(datetime.now(UTC).replace(tzinfo=None))
        return self.composes.find_page(query)

    def of_blueprint(self, query: ComposesQuery, blueprint_id: UUID, version: int | None) -> ComposesPage:
        """A page of the builds of a blueprint, or of one `version` of it; a negative version is the latest.

        Raises NotFoundError where the tenant has no such blueprint, and the errors of `list`.
        """
        latest = self.blueprints.latest_version(query.tenant, blueprint_id)
        wanted = latest if version is not None and version < 0 else version
        return self.list(replace(query, blueprint=blueprint_id, version=wanted))

    def status(self, identity: Identity, compose_id: UUID) -> ComposeWithStatus:
        """The request and the status of a build.

        Raises NotFoundError where the tenant has no such build, or where no final status is stored and the composer
        does not know the build.
        """
        stored = self.composes.get(identity.tenant, compose_id)
        if stored is None:
            raise _not_found()
        if stored.status is not None:
            return ComposeWithStatus(stored.request, from_document(stored.status))
        return ComposeWithStatus(stored.request, self._read_status(compose_id).image)

    def metadata(self, identity: Identity, compose_id: UUID) -> Mapping[str, Any] | str | bytes:
        """The metadata of a built image: JSON as a string or UTF-8 bytes if it is stored, else the composer's answer.

        Raises NotFoundError as `status` does.
        """
        stored = self.composes.get_metadata(identity.tenant, compose_id)
        if stored is None:
            raise _not_found()
        if stored.metadata is not None:
            return stored.metadata
        # The status is read before the metadata, because the metadata may be incomplete while the build is running.
        ended = stored.ended or self._has_ended(compose_id)
        metadata = self.composer.metadata(compose_id)
        if ended:
            _try_to_store(partial(self.composes.store_metadata, compose_id, metadata))
        return metadata

    def delete(self, identity: Identity, compose_id: UUID) -> None:
        """Mark a build as deleted; it counts towards the quota further on.

        Raises NotFoundError where the tenant has no such build.
        """
        if not self.composes.delete(identity.tenant, compose_id):
            raise _not_found()

    def _read_status(self, compose_id: UUID) -> ComposeStatus:
        """The composer's status of a build; a final one is stored."""
        about_to_wait()  # before the shared call: only requests that may wait may share it
        status = self.composer_statuses(compose_id)
        if status.is_final:
            _try_to_store(partial(self.composes.store_status, compose_id, as_document(status.image)))
        return status

    def _has_ended(self, compose_id: UUID) -> bool:
        """Whether the composer reports a final status; False where it does not answer."""
        try:
            return self._read_status(compose_id).is_final
        except (NotFoundError, UnavailableError):
            return False


def _try_to_store(store: Callable[[], None]) -> None:
    """Store an answer of the composer; an error is only logged, because the answer is valid without being stored."""
    try:
        store()
    except Exception:
        log.warning("answer of the composer not stored", exc_info=True)


def _not_found() -> NotFoundError:
    return NotFoundError("Compose not found")
