"""Bring builds that the composer accepted into the history; what cannot be brought there is cancelled (spec 10)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from uuid import UUID

import structlog

from domain.errors import BuildIdTakenError, UnavailableError
from domain.starts import NewStart
from image_builder.usecases.orphans import CancelOrphans
from ports.meter import SILENT, Meter
from ports.store import IdempotencyKeys, Starts

log = structlog.get_logger()


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
    already, and then the key names it. It is tried for again, for `patience`. A reservation whose release the database
    did not answer is released later. Thread-safe.
    """

    starts: Starts
    keys: IdempotencyKeys
    cancel: CancelOrphans
    patience: timedelta
    meter: Meter = SILENT
    clock: Callable[[], float] = time.monotonic
    _late: deque[_Late] = field(default_factory=deque)
    _trying: Lock = field(default_factory=Lock)
    # Starts to be released, and whether they are known to have been recorded.
    _unreleased: dict[UUID, bool] = field(default_factory=dict)

    def __call__(self, start: NewStart, compose: UUID, key: UUID | None = None) -> None:
        """Record it now.

        Raises BuildIdTakenError where the id is another build's: then the start stays, and nothing is cancelled. Raises
        UnavailableError where it cannot be recorded: then it is cancelled, or under a key tried for again.
        """
        try:
            self._record(start, compose)
        except BuildIdTakenError:
            raise
        except Exception as error:  # whatever it is: a build without a row is not left running
            if key is not None and isinstance(error, UnavailableError):
                log.warning("a build is not recorded yet", compose=str(compose), start=str(start.id))
                self._late.append(_Late(start, compose, key, self.clock()))
            else:
                self._give_up(start, compose)
            raise UnavailableError("The build could not be recorded") from error

    def release(self, starts: Sequence[UUID], *, recorded: bool = True) -> None:
        """Release the reservations of starts that became no builds: now, or when the database is there again.

        `recorded` is False where the database did not answer the reservation.
        """
        try:
            self.starts.release(starts)
        except UnavailableError:
            log.warning("release of reservations postponed", starts=[str(start) for start in starts])
            self._unreleased.update(dict.fromkeys(starts, recorded))

    def again(self) -> None:
        """Try for what is late once more, the oldest first. Raises UnavailableError as long as the database is away."""
        with self._trying:
            self._release_postponed()
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
            try:
                self._release_postponed()
            except UnavailableError:
                self._tell_unreleased()

    def _record(self, start: NewStart, compose: UUID) -> None:
        try:
            self.starts.record(start.id, compose, start.compose)
        except BuildIdTakenError:
            self.meter.build_id_conflicted()
            log.error(
                "composer answered with the id of another build, reservation kept",
                compose=str(compose),
                start=str(start.id),
            )
            raise
        self.cancel.remember(compose)

    def _tried(self, late: _Late) -> Exception | None:
        """Why it is not recorded and may be given up; None where it is, or is another build."""
        try:
            self._record(late.start, late.compose)
        except BuildIdTakenError:
            return None  # the reconciler settles the start, and after it the key
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
        if self.cancel(start, compose):
            self.release([start.id])

    def _release_postponed(self) -> None:
        starts = list(self._unreleased)
        if starts:
            self.starts.release(starts)
            for start in starts:
                self._unreleased.pop(start, None)

    def _tell_unreleased(self) -> None:
        """Say, once for each start, that it keeps counting towards its tenant's quota."""
        while self._unreleased:
            start, recorded = self._unreleased.popitem()
            if recorded:
                log.warning("reservation kept: the database did not answer the release", start=str(start))
            else:
                log.warning("reservation unknown: the database answered neither it nor its release", start=str(start))
