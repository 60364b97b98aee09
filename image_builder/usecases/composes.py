"""List, show and delete a tenant's builds (openapi.yaml, operations on /composes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self
from uuid import UUID

import structlog

from domain.composes import ComposesPage, ComposesQuery, StoredCompose
from domain.errors import NotFoundError, UnavailableError
from domain.identity import Identity
from domain.labels import Labels, check_labels
from domain.looks import LookOutcome
from domain.status import ImageStatus, from_document
from image_builder.usecases.complete_cancellations import CompleteCancellations
from image_builder.usecases.looks import AnsweredLook, LookAtBuilds
from ports.composer import Composer
from ports.shared_calls import SharedCalls
from ports.store import Blueprints, Composes
from ports.waiting import about_to_wait

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ComposeWithStatus:
    """A build and its status.

    `age` is that of a status that is answered because the composer is unavailable, None otherwise.
    """

    compose: StoredCompose
    status: ImageStatus
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ManageComposes:
    """The operations on existing builds of a tenant.

    All raise UnavailableError if the database is unavailable, or if the composer is needed and unavailable.
    """

    composes: Composes
    blueprints: Blueprints
    composer: Composer
    shared_looks: SharedCalls[UUID, AnsweredLook]
    cancellations: CompleteCancellations

    @classmethod
    def over(
        cls,
        composes: Composes,
        blueprints: Blueprints,
        composer: Composer,
        looks: LookAtBuilds,
        cancellations: CompleteCancellations,
    ) -> Self:
        """Create an instance whose simultaneous requests for one build's status share one call of the composer."""
        return cls(composes, blueprints, composer, SharedCalls(looks, valid_for=0.0), cancellations)

    def list(self, query: ComposesQuery) -> ComposesPage:
        """Return a page of a tenant's builds.

        Raises InvalidRequestError for filters by a time in the future, or by an empty range of time, and for a cursor
        that is not from a link of the list.
        """
        query.filters.check_times(datetime.now(UTC).replace(tzinfo=None))
        return self.composes.find_page(query)

    def of_blueprint(self, query: ComposesQuery, blueprint_id: UUID, version: int | None) -> ComposesPage:
        """Return a page of the builds of a blueprint, or of one `version` of it; a negative version is the latest.

        Raises NotFoundError if the tenant has no such blueprint, and the errors of `list`.
        """
        latest = self.blueprints.latest_version(query.tenant, blueprint_id)
        wanted = latest if version is not None and version < 0 else version
        return self.list(replace(query, blueprint=blueprint_id, version=wanted))

    def status(self, identity: Identity, compose_id: UUID) -> ComposeWithStatus:
        """Return a build with its status: the stored one if it is final or fresh, else the composer's.

        If the composer is unavailable, the last known status is returned with its age. Raises NotFoundError if the
        tenant has no such build, or if no final status is stored and the composer does not know the build.
        """
        stored = self._find(identity, compose_id)
        if stored.status is not None or (stored.seen is not None and stored.seen.is_fresh):
            return with_stored_status(stored)
        try:
            answer = self._look_at(compose_id)
        except UnavailableError:
            if stored.seen is None:
                raise
            return replace(with_stored_status(stored), age=stored.seen.age)
        if answer.is_superseded:
            # A status that was answered once, such as a final one, must not be taken back.
            stored = self._find(identity, compose_id)
            if stored.status is not None or stored.seen is not None:
                return with_stored_status(stored)
        if answer.look.status is None:
            self.cancellations.complete_pending(compose_id)
            # Another request may have completed the cancellation, and removed its intent, meanwhile.
            stored = self._find(identity, compose_id)
            if stored.status is None:
                raise _not_found()
            return with_stored_status(stored)
        return ComposeWithStatus(replace(stored, times=answer.times or stored.times), answer.look.status.image)

    def metadata(self, identity: Identity, compose_id: UUID) -> Mapping[str, Any] | str | bytes:
        """Return the metadata of a built image: stored JSON (a string or UTF-8 bytes) or the composer's answer.

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

    def replace_labels(self, identity: Identity, compose_id: UUID, labels: Labels) -> None:
        """Give a build these labels in place of those that it has.

        Raises InvalidRequestError for labels that are not allowed, NotFoundError if the tenant has no such build.
        """
        check_labels(labels)
        if not self.composes.replace_labels(identity.tenant, compose_id, labels):
            raise _not_found()

    def delete(self, identity: Identity, compose_id: UUID) -> None:
        """Mark a build as deleted; it still counts towards the quota.

        Raises NotFoundError if the tenant has no such build.
        """
        if not self.composes.delete(identity.tenant, compose_id):
            raise _not_found()

    def _find(self, identity: Identity, compose_id: UUID) -> StoredCompose:
        stored = self.composes.get(identity.tenant, compose_id)
        if stored is None:
            raise _not_found()
        return stored

    def _look_at(self, compose_id: UUID) -> AnsweredLook:
        """Ask the composer about a build. Raises UnavailableError if it gives no usable answer."""
        about_to_wait()  # before the shared call: only requests that may wait may share it
        return self.shared_looks(compose_id)

    def _has_ended(self, compose_id: UUID) -> bool:
        """Return whether the composer reports a final status; False if it does not answer."""
        try:
            return self._look_at(compose_id).look.outcome is LookOutcome.FINAL
        except UnavailableError:
            return False


def with_stored_status(stored: StoredCompose) -> ComposeWithStatus:
    """A build whose status is stored, with that status."""
    document = stored.status
    if document is None:
        assert stored.seen is not None  # noqa: S101 - for the type checker
        document = stored.seen.document
    return ComposeWithStatus(stored, from_document(document))


def _try_to_store(store: Callable[[], None]) -> None:
    """Store an answer of the composer; an error is only logged, because the answer is valid without being stored."""
    try:
        store()
    except Exception:
        log.warning("answer of the composer not stored", exc_info=True)


def _not_found() -> NotFoundError:
    return NotFoundError("Compose not found")
