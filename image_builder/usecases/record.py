"""Record builds that the composer accepted in the history; a build that cannot be recorded is cancelled.

docs/operations.md, Orphaned builds and kept reservations, explains the log lines.
"""

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
from ports.meter import NULL_METER, Meter
from ports.store import IdempotencyKeys, Starts

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _PendingBuild:
    """A build that has to be recorded later; `since` is the time of the clock at which its recording first failed."""

    start: NewStart
    compose: UUID
    key_id: UUID
    since: float


@dataclass(slots=True)
class RecordBuilds:
    """Ends starts: records the build, or cancels it and releases the reservation. Thread-safe.

    While the database is unavailable, a build that was started with an Idempotency-Key stays pending for up to
    `patience` instead of being cancelled: it may have been recorded although the database did not answer, and then the
    key names it. Releases of reservations that the database did not answer are repeated later.
    """

    starts: Starts
    keys: IdempotencyKeys
    cancel: CancelOrphans
    patience: timedelta
    meter: Meter = NULL_METER
    clock: Callable[[], float] = time.monotonic
    _pending: deque[_PendingBuild] = field(default_factory=deque)
    _retrying: Lock = field(default_factory=Lock)
    # Starts whose release has to be repeated, with whether they are known to have been recorded.
    _unreleased: dict[UUID, bool] = field(default_factory=dict)

    def __call__(self, start: NewStart, compose: UUID, key_id: UUID | None = None) -> None:
        """Record the build `compose` of a start.

        Raises BuildIdTakenError if the id belongs to another build: the start stays, and nothing is cancelled.
        Raises UnavailableError if the build cannot be recorded: it is cancelled or, with a `key`, pending.
        """
        try:
            self._record(start, compose)
        except BuildIdTakenError:
            raise
        except Exception as error:  # any error: a build without a row must not stay running
            if key_id is not None and isinstance(error, UnavailableError):
                log.warning("recording of a build postponed", compose=str(compose), start=str(start.id))
                self._pending.append(_PendingBuild(start, compose, key_id, self.clock()))
            else:
                self._give_up(start, compose)
            raise UnavailableError("The build could not be recorded") from error

    def release(self, starts: Sequence[UUID], *, recorded: bool = True) -> None:
        """Release the reservations of starts without a build: now, or when the database is available again.

        `recorded` is False if the database did not answer the reservation.
        """
        try:
            self.starts.release(starts)
        except UnavailableError:
            log.warning("release of reservations postponed", starts=[str(start) for start in starts])
            self._unreleased.update(dict.fromkeys(starts, recorded))

    def retry_pending(self) -> None:
        """Retry postponed releases and pending builds, oldest first.

        Raises UnavailableError while the database is unavailable.
        """
        with self._retrying:
            self._retry_releases()
            while self._pending:
                pending = self._pending[0]
                error = self._try_to_record(pending)
                if isinstance(error, UnavailableError) and self.clock() - pending.since < self.patience.total_seconds():
                    raise error
                self._pending.popleft()
                if error is not None:
                    self._give_up(pending.start, pending.compose)

    def finish(self) -> None:
        """Record or cancel all pending builds before the service ends.

        If the database is unavailable, this is tried only once.
        """
        with self._retrying:
            unavailable: Exception | None = None
            while self._pending:
                pending = self._pending.popleft()
                error = unavailable or self._try_to_record(pending)
                if error is not None:
                    self._give_up(pending.start, pending.compose)
                if isinstance(error, UnavailableError):
                    unavailable = error
            try:
                self._retry_releases()
            except UnavailableError:
                self._log_unreleased()

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

    def _try_to_record(self, pending: _PendingBuild) -> Exception | None:
        """Record a pending build and settle its key; return the error if it could not be recorded.

        Returns None also if the id belongs to another build: then nothing may be cancelled.
        """
        try:
            self._record(pending.start, pending.compose)
        except BuildIdTakenError:
            return None  # the reconciler settles the start, and then the key
        except UnavailableError as error:
            return error
        except Exception as error:  # any error: one build that cannot be recorded must not delay the others
            log.error("a build cannot be recorded", compose=str(pending.compose), exc_info=error)
            return error
        log.warning("recorded a build late", compose=str(pending.compose), start=str(pending.start.id))
        try:
            self.keys.settle(pending.key_id)
        except UnavailableError:
            log.warning("idempotency key of a late build not settled: the reconciler settles it")
        return None

    def _give_up(self, start: NewStart, compose: UUID) -> None:
        # A cancelled build must not count towards the quota, because its owner cannot see it.
        if self.cancel(start, compose):
            self.release([start.id])

    def _retry_releases(self) -> None:
        starts = list(self._unreleased)
        if starts:
            self.starts.release(starts)
            for start in starts:
                self._unreleased.pop(start, None)

    def _log_unreleased(self) -> None:
        """Log for each unreleased start, only once, that it keeps counting towards its tenant's quota."""
        while self._unreleased:
            start, recorded = self._unreleased.popitem()
            if recorded:
                log.warning("reservation kept: the database did not answer the release", start=str(start))
            else:
                log.warning("reservation unknown: the database answered neither it nor its release", start=str(start))
