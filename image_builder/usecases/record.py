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

# How often a compose that cannot be recorded is tried to be cancelled, and the seconds between.
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
        except Exception as error:
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
                try:
                    self._settle(late)
                except Exception as error:
                    tried = self.clock() - late.since
                    if isinstance(error, UnavailableError) and tried < self.patience.total_seconds():
                        raise
                    log.error("a build cannot be recorded", compose=str(late.compose), exc_info=error)
                    self._give_up(late.start, late.compose)
                self._late.popleft()

    def end(self) -> None:
        """Leave nothing late behind; for a service that ends."""
        with self._trying:
            away = False
            while self._late:
                late = self._late.popleft()
                try:
                    if not away:
                        self._settle(late)
                except Exception as error:
                    log.error("a build cannot be recorded", compose=str(late.compose), exc_info=error)
                    away = True
                if away:
                    self._give_up(late.start, late.compose)

    def _settle(self, late: _Late) -> None:
        self.starts.record(late.start.id, late.compose, late.start.compose)
        self.keys.settle(late.key)
        log.warning("recorded a build late", compose=str(late.compose), start=str(late.start.id))

    def _give_up(self, start: NewStart, compose: UUID) -> None:
        # Nobody would ever see this build, so nobody shall pay for it either.
        if self._cancelled(compose):
            self.give_back([start.id])

    def _cancelled(self, compose: UUID) -> bool:
        for attempt in range(1, _CANCEL_ATTEMPTS + 1):
            try:
                self.composer.cancel(compose)
            except UnavailableError:
                log.warning("cannot cancel a build that could not be recorded", compose=str(compose))
                time.sleep(_CANCEL_PAUSE * attempt)
            else:
                log.warning("cancelled a build that could not be recorded", compose=str(compose))
                return True
        log.error("a build runs that nobody knows of", compose=str(compose))
        return False
