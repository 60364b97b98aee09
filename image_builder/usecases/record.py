"""Bring builds that the composer accepted into the history; what cannot be brought there is cancelled (spec 10)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Final
from uuid import UUID

import structlog

from domain.errors import UnavailableError
from domain.starts import NewStart
from ports.composer import Composer
from ports.store import IdempotencyKeys, Starts

log = structlog.get_logger()

# How often a compose that cannot be recorded is tried to be cancelled; seconds before the second time, then twice that.
_CANCEL_ATTEMPTS: Final = 3
_CANCEL_PAUSE: Final = 0.2


@dataclass(frozen=True, slots=True)
class _Late:
    """A build whose row is still wanted; tried for `since` then."""

    start: NewStart
    compose: UUID
    key: UUID
    since: float


@dataclass(slots=True)
class RecordBuilds:
    """The end of a start: a row of the history, or nothing.

    A build that was ordered under an Idempotency-Key goes on where the database goes away: its row may be there
    already, and then the key names it. It is tried for again, for `patience`. Thread-safe.
    """

    starts: Starts
    keys: IdempotencyKeys
    composer: Composer
    patience: timedelta
    clock: Callable[[], float] = time.monotonic
    _late: deque[_Late] = field(default_factory=deque)
    _trying: Lock = field(default_factory=Lock)

    def __call__(self, start: NewStart, compose: UUID, key: UUID | None = None) -> None:
        """Record it now.

        Raises UnavailableError where that cannot be: then it is cancelled, or under a key tried for again.
        """
        try:
            self.starts.record(start.id, compose, start.compose)
        except Exception as error:  # whatever it is: a build without a row is not left running
            if key is not None and isinstance(error, UnavailableError):
                log.warning("a build is not recorded yet", compose=str(compose), start=str(start.id))
                self._late.append(_Late(start, compose, key, self.clock()))
            else:
                self._give_up(start, compose)
            raise UnavailableError("The build could not be recorded") from error

    def give_back(self, starts: Sequence[UUID]) -> None:
        """Let starts that came to nothing count no more, as far as the database is there."""
        try:
            self.starts.release(starts)
        except UnavailableError:
            log.warning("starts that came to nothing stay counted", starts=[str(start) for start in starts])

    def again(self) -> None:
        """Try for what is late once more, the oldest first. Raises UnavailableError as long as the database is away."""
        with self._trying:
            while self._late:
                late = self._late[0]
                error = self._tried(late)
                if isinstance(error, UnavailableError) and self.clock() - late.since < self.patience.total_seconds():
                    raise error
                self._late.popleft()
                if error is not None:
                    self._give_up(late.start, late.compose)

    def end(self) -> None:
        """Leave nothing late behind; for a service that ends. A database that is away is tried for once, for all."""
        with self._trying:
            away: Exception | None = None
            while self._late:
                late = self._late.popleft()
                error = away or self._tried(late)
                if error is not None:
                    self._give_up(late.start, late.compose)
                if isinstance(error, UnavailableError):
                    away = error

    def _tried(self, late: _Late) -> Exception | None:
        """Why it is not recorded; None where it is."""
        try:
            self.starts.record(late.start.id, late.compose, late.start.compose)
        except UnavailableError as error:
            return error
        except Exception as error:  # whatever it is: one build that has no row holds up no other's
            log.error("a build cannot be recorded", compose=str(late.compose), exc_info=error)
            return error
        log.warning("recorded a build late", compose=str(late.compose), start=str(late.start.id))
        try:
            self.keys.settle(late.key)
        except UnavailableError:
            log.warning("the key of a build that was recorded late is not settled: the reconciler will do it")
        return None

    def _give_up(self, start: NewStart, compose: UUID) -> None:
        # Nobody would ever see this build, so nobody shall pay for it either.
        if self._cancelled(compose):
            self.give_back([start.id])

    def _cancelled(self, compose: UUID) -> bool:
        for attempt in range(_CANCEL_ATTEMPTS):
            time.sleep(_CANCEL_PAUSE * attempt)  # a composer that restarts is back soon; not before the first attempt
            try:
                self.composer.cancel(compose)
            except UnavailableError:
                log.warning("cannot cancel a build that could not be recorded", compose=str(compose))
            else:
                log.warning("cancelled a build that could not be recorded", compose=str(compose))
                return True
        log.error("a build runs that nobody knows of", compose=str(compose))
        return False
