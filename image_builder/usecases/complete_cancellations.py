"""Complete recorded intents to cancel builds (docs/operations.md, Cancelled builds)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from domain.cancellations import Cancellation
from domain.errors import OutcomeUnknownError, UnavailableError
from domain.looks import Look
from image_builder.usecases.looks import LookAtBuilds
from ports.cancellations import Cancellations
from ports.composer import Composer
from ports.deadline import until

log = structlog.get_logger()

# The number of intents that one run of the reconciler reads, and the seconds for which it may call the composer.
_BATCH: Final = 1000
_COMPLETE_WITHIN: Final = 60.0
# Failed attempts in a row after which the run assumes that the composer is unavailable.
_MAX_FAILED: Final = 3


@dataclass(frozen=True, slots=True)
class CompleteCancellations:
    """Has the composer delete builds that are to be cancelled, and stores their final status.

    Every step may be repeated, also by several processes at the same time. `lease` is the time after which an intent
    counts as abandoned, and between two attempts to complete it.
    """

    cancellations: Cancellations
    composer: Composer
    looks: LookAtBuilds
    lease: timedelta

    def complete(self, intent: Cancellation) -> None:
        """Have the composer delete the build, store the final status, and remove all intents to cancel this build.

        A final status that is stored already stays. Raises OutcomeUnknownError if the composer may have deleted the
        build but no final status could be stored, and UnavailableError if the composer did not get the request.
        """
        self.composer.cancel(intent.compose_id)
        try:
            self._store_status(intent)
        except UnavailableError as error:
            raise OutcomeUnknownError(error.detail) from error

    def complete_pending(self, compose_id: UUID) -> bool:
        """Complete the oldest intent to cancel this build; returns False if there is none. Raises UnavailableError."""
        intent = self.cancellations.find(compose_id)
        if intent is None:
            return False
        self.complete(intent)
        return True

    def complete_abandoned(self) -> None:
        """Complete abandoned intents, which a crash or a composer that did not answer has left.

        Raises UnavailableError if the database is unavailable.
        """
        failed = 0
        with until(_COMPLETE_WITHIN):
            for intent in self.cancellations.find_abandoned(self.lease, _BATCH):
                if failed == _MAX_FAILED:
                    return
                try:
                    self._complete_abandoned(intent)
                except UnavailableError:
                    failed += 1
                    # Otherwise a few builds for which the composer never answers would always come first.
                    self.cancellations.postpone(intent.id)
                else:
                    failed = 0

    def _complete_abandoned(self, intent: Cancellation) -> None:
        look = self.looks(intent.compose_id).look
        if look.status is not None and look.status.is_final:
            # The build ended before the composer got the request to delete it.
            self.looks.store(look)
            self.cancellations.remove_all(intent.compose_id)
            return
        self.complete(intent)
        log.warning("completed the cancellation of a build", compose=str(intent.compose_id))

    def _store_status(self, intent: Cancellation) -> None:
        """Store the final status of a build that the composer says it has deleted.

        The composer must not show the build as running any more. A build that it still shows as successful has ended,
        and has an image, in spite of the deletion.
        """
        confirmed = self.looks.ask(intent.compose_id).status
        status = intent.status
        if confirmed is not None:
            if not confirmed.is_final:
                raise OutcomeUnknownError("The composer still shows the build")
            if confirmed.status == "success":
                status = confirmed
        self.looks.store(Look(intent.compose_id, status))
        self.cancellations.remove_all(intent.compose_id)
