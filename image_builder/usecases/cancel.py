"""Cancel builds (openapi.yaml, operation cancelCompose; docs/operations.md, Cancelled builds)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import structlog

from domain.cancellations import Cancellation, was_cancelled
from domain.composes import StoredCompose
from domain.errors import ConflictError, NotFoundError, OutcomeUnknownError, UnavailableError
from domain.identity import Identity
from domain.status import from_document
from image_builder.usecases.complete_cancellations import CompleteCancellations
from image_builder.usecases.looks import LookAtBuilds
from ports.cancellations import Cancellations
from ports.store import Composes
from ports.waiting import about_to_wait

log = structlog.get_logger()

# Seconds after which the caller may ask again: the reconciler may have completed the cancellation by then.
_RETRY_AFTER: Final = 60


@dataclass(frozen=True, slots=True)
class CancelBuilds:
    """Cancels builds, in an order that survives a crash between any two steps.

    1. The composer is asked for the status: a build that has ended is not cancelled.
    2. The intent to cancel the build is recorded.
    3. `completion` has the composer delete the build, stores the final status, and removes the intent.

    After a crash between these steps the reconciler completes the recorded intent.
    """

    composes: Composes
    cancellations: Cancellations
    looks: LookAtBuilds
    completion: CompleteCancellations

    def __call__(self, identity: Identity, compose_id: UUID) -> StoredCompose:
        """Cancel a build of the tenant; returns it with its final status.

        Raises NotFoundError if the tenant has no such build or the composer does not know it, ConflictError if the
        build has ended, and UnavailableError if the composer or the database does not answer. The text of the latter
        says whether the cancellation may be completed later; otherwise nothing has changed.
        """
        self._require_unfinished(identity, compose_id)
        about_to_wait()
        status = self.looks(compose_id).look.status
        # Again: the look may have stored a final status, or another request may have.
        self._require_unfinished(identity, compose_id)
        if status is None:
            self._complete_earlier(identity, compose_id)
        elif status.is_final:  # it could not be stored
            raise _ended_error(status.image.status)
        else:
            self._cancel(compose_id, identity.username)
        return self._require_cancelled(identity, compose_id)

    def _complete_earlier(self, identity: Identity, compose_id: UUID) -> None:
        """Complete the earlier cancellation of a build that the composer does not know any more."""
        try:
            is_completed = self.completion.complete_pending(compose_id)
        except UnavailableError as error:
            raise _incomplete_error() from error
        if not is_completed:
            # Again: another request may have completed the cancellation, and removed its intent, meanwhile.
            self._require_unfinished(identity, compose_id)
            raise NotFoundError("The composer does not know this build any more")

    def _cancel(self, compose_id: UUID, cancelled_by: str) -> None:
        try:
            intent = self.cancellations.record(uuid4(), compose_id, cancelled_by)
        except UnavailableError as error:  # the intent may have been recorded
            raise UnavailableError(
                "The database did not answer; the cancellation may be completed later", retry_after=_RETRY_AFTER
            ) from error
        if intent is None:
            return  # a final status was stored meanwhile
        try:
            self.completion.complete(intent)
        except OutcomeUnknownError as error:
            log.warning("cancellation of a build not confirmed, intent kept", compose=str(compose_id))
            raise _incomplete_error() from error
        except UnavailableError:
            self._withdraw(intent)
            raise

    def _withdraw(self, intent: Cancellation) -> None:
        try:
            self.cancellations.withdraw(intent.id)
        except UnavailableError as error:
            log.warning("intent to cancel a build not withdrawn", compose=str(intent.compose_id))
            raise _incomplete_error() from error

    def _find(self, identity: Identity, compose_id: UUID) -> StoredCompose:
        stored = self.composes.get(identity.tenant, compose_id)
        if stored is None:
            raise NotFoundError("Compose not found")
        return stored

    def _require_unfinished(self, identity: Identity, compose_id: UUID) -> None:
        stored = self._find(identity, compose_id)
        if stored.status is not None:
            is_cancelled = was_cancelled(from_document(stored.status))
            raise _ended_error(stored.status["status"], is_cancelled=is_cancelled)

    def _require_cancelled(self, identity: Identity, compose_id: UUID) -> StoredCompose:
        try:
            stored = self._find(identity, compose_id)
        except UnavailableError as error:
            raise _incomplete_error() from error
        if stored.status is not None and not was_cancelled(from_document(stored.status)):
            raise _ended_error(stored.status["status"])
        return stored


def _incomplete_error() -> UnavailableError:
    return UnavailableError("The cancellation is not confirmed; it will be completed later", retry_after=_RETRY_AFTER)


def _ended_error(status: str, *, is_cancelled: bool = False) -> ConflictError:
    suffix = "; it was cancelled" if is_cancelled else ""
    return ConflictError(f"The build cannot be cancelled: it has ended with status {status}{suffix}")
