"""Cancel builds (openapi.yaml, operation cancelCompose; docs/operations.md, Cancelled builds)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from domain.cancellations import Cancellation, was_cancelled
from domain.composes import StoredCompose
from domain.errors import ConflictError, NotFoundError, OutcomeUnknownError, UnavailableError
from domain.identity import Identity
from domain.looks import Look
from domain.status import from_document
from image_builder.usecases.looks import LookAtBuilds
from ports.cancellations import Cancellations
from ports.composer import Composer
from ports.deadline import until
from ports.store import Composes
from ports.waiting import about_to_wait

log = structlog.get_logger()

# Seconds after which the caller may ask again: the reconciler may have completed the cancellation then.
_RETRY_AFTER: Final = 60
# Intents that one run of the reconciler reads, and seconds for which it may call the composer.
_BATCH: Final = 1000
_COMPLETE_WITHIN: Final = 60.0
# Unanswered calls in a row after which the run assumes that the composer is unavailable.
_MAX_UNANSWERED: Final = 3


@dataclass(frozen=True, slots=True)
class CancelBuilds:
    """Cancels builds, in an order that survives a crash between any two steps.

    The composer is asked for the status, the intent is recorded, the composer cancels the build, the final status is
    stored. The reconciler completes intents that are older than `lease`.
    """

    composes: Composes
    cancellations: Cancellations
    composer: Composer
    looks: LookAtBuilds
    lease: timedelta

    def __call__(self, identity: Identity, compose_id: UUID) -> StoredCompose:
        """Cancel a build of the tenant; returns it with its final status.

        Raises NotFoundError where the tenant has no such build or the composer does not know it, ConflictError where
        the build has ended, and UnavailableError where the composer or the database does not answer. If the composer
        may have got the cancellation, the reconciler completes it later; otherwise nothing has changed.
        """
        _require_unfinished(self._find(identity, compose_id))
        about_to_wait()
        answer = self.looks(compose_id)
        # Again: the look may have stored a final status, or another request may have.
        _require_unfinished(self._find(identity, compose_id))
        if answer.look.status is None:
            if not self.complete_pending(compose_id):
                # Again: another request may have completed the cancellation, and removed its intent, meanwhile.
                _require_unfinished(self._find(identity, compose_id))
                raise NotFoundError("The composer does not know this build any more")
        else:
            if answer.look.status.is_final:  # it could not be stored
                raise _ended(answer.look.status.image.status)
            self._cancel(compose_id, identity.email)
        return self._require_cancelled(identity, compose_id)

    def complete_pending(self, compose_id: UUID) -> bool:
        """Complete the cancellation of a build that the composer does not know any more; False where none is pending.

        Raises UnavailableError.
        """
        intent = self.cancellations.find(compose_id)
        if intent is None:
            return False
        self._complete(intent)
        return True

    def complete_abandoned(self) -> None:
        """Complete the cancellations that a crash, or a composer that did not answer, left. Raises UnavailableError."""
        unanswered = 0
        with until(_COMPLETE_WITHIN):
            for intent in self.cancellations.find_abandoned(self.lease, _BATCH):
                if unanswered == _MAX_UNANSWERED:
                    return
                try:
                    self._complete_abandoned(intent)
                except OutcomeUnknownError:
                    unanswered += 1
                else:
                    unanswered = 0

    def _cancel(self, compose_id: UUID, cancelled_by: str) -> None:
        intent = self.cancellations.record(uuid4(), compose_id, cancelled_by)
        if intent is None:
            return  # a final status was stored meanwhile
        try:
            self.composer.cancel(compose_id)
        except OutcomeUnknownError as error:
            log.warning("cancellation of a build not answered, intent kept", compose=str(compose_id))
            raise UnavailableError(
                "The composer did not answer the cancellation; it will be completed later", retry_after=_RETRY_AFTER
            ) from error
        except UnavailableError:
            self.cancellations.withdraw(intent.id)
            raise
        self._complete(intent)

    def _complete(self, intent: Cancellation) -> None:
        """Store the final status of a build that the composer has cancelled; an earlier final status stays."""
        self.looks.store(Look(intent.compose_id, intent.status))
        self.cancellations.end(intent.compose_id)

    def _complete_abandoned(self, intent: Cancellation) -> None:
        """Complete one intent. Raises OutcomeUnknownError where the composer does not answer."""
        compose_id = intent.compose_id
        try:
            answer = self.looks(compose_id)
        except UnavailableError as error:
            raise OutcomeUnknownError(error.detail) from error
        if answer.look.status is not None:
            if answer.look.status.is_final:
                self.looks.store(answer.look)
                self.cancellations.end(compose_id)
                return
            try:
                self.composer.cancel(compose_id)
            except UnavailableError as error:
                raise OutcomeUnknownError(error.detail) from error
        self._complete(intent)
        log.warning("completed the cancellation of a build", compose=str(compose_id))

    def _find(self, identity: Identity, compose_id: UUID) -> StoredCompose:
        stored = self.composes.get(identity.tenant, compose_id)
        if stored is None:
            raise NotFoundError("Compose not found")
        return stored

    def _require_cancelled(self, identity: Identity, compose_id: UUID) -> StoredCompose:
        stored = self._find(identity, compose_id)
        if stored.status is not None and not was_cancelled(from_document(stored.status)):
            raise _ended(stored.status["status"])
        return stored


def _require_unfinished(stored: StoredCompose) -> None:
    if stored.status is not None:
        cancelled = was_cancelled(from_document(stored.status))
        raise _ended(stored.status["status"], cancelled=cancelled)


def _ended(status: str, *, cancelled: bool = False) -> ConflictError:
    suffix = "; it was cancelled" if cancelled else ""
    return ConflictError(f"The build cannot be cancelled: it has ended with status {status}{suffix}")
