"""Look at a build: ask the composer for the build's status, and store the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from domain.composes import BuildTimes
from domain.errors import NotFoundError, UnavailableError
from domain.looks import Look, LookOutcome
from ports.composer import Composer
from ports.meter import NULL_METER, Meter
from ports.statuses import Statuses

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AnsweredLook:
    """An answer of the composer, and the stored times of the build; `times` is None if the answer could not be stored.

    `is_superseded` says that the answer was not stored, because a final status or a newer answer is stored already.
    """

    look: Look
    times: BuildTimes | None
    is_superseded: bool = False


@dataclass(frozen=True, slots=True)
class LookAtBuilds:
    """Asks the composer for statuses of builds, for a request or for the status watcher."""

    composer: Composer
    statuses: Statuses
    meter: Meter = NULL_METER
    clock: Callable[[], float] = time.monotonic

    def ask(self, compose_id: UUID) -> Look:
        """Ask the composer for the status of a build. Raises UnavailableError if it gives no usable answer."""
        asked_at = self.clock()
        try:
            status = self.composer.status(compose_id)
        except NotFoundError:
            status = None
        except UnavailableError:
            self.meter.status_looked(LookOutcome.UNANSWERED)
            raise
        look = Look(compose_id, status, timedelta(seconds=self.clock() - asked_at))
        self.meter.status_looked(look.outcome)
        return look

    def store(self, look: Look) -> BuildTimes | None:
        """Store an answer of the composer (ports.statuses.Statuses.store). Raises UnavailableError."""
        return self.statuses.store(look)

    def __call__(self, compose_id: UUID) -> AnsweredLook:
        """Ask the composer, and store the answer; an error in storing is only logged, because the answer is valid.

        Raises UnavailableError if the composer gives no usable answer.
        """
        look = self.ask(compose_id)
        try:
            times = self.store(look)
        except Exception:
            log.warning("status of a build not stored", exc_info=True)
            return AnsweredLook(look, None)
        return AnsweredLook(look, times, is_superseded=times is None)
