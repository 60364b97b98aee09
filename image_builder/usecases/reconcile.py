"""Reconcile abandoned starts: find out whether the composer has their builds.

Starts are abandoned by a crash, or by a composer that did not answer (docs/operations.md, Reservations and the
reconciler).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from domain.errors import NotFoundError, UnavailableError
from domain.idempotency import RequestFailure
from domain.starts import AbandonedStart, UnrecordedBuild, match_starts, names_blueprint, normalized_variants
from domain.submission import name_started_builds
from ports.composer import Composer
from ports.deadline import until
from ports.fingerprints import Fingerprints
from ports.meter import NULL_METER, Meter
from ports.store import AbandonedStarts, IdempotencyKeys, Starts

log = structlog.get_logger()

# Starts, keys, and requests of builds that one run reads.
_BATCH: Final = 1000
# The age after which a start is ignored, because the composer may have forgotten its build. It counts towards the quota
# until its window ends.
_MAX_AGE: Final = timedelta(hours=24)
# Seconds for which one run may ask the composer for requests of builds.
_REQUESTS_WITHIN: Final = 60.0
# Unanswered calls in a row after which the run assumes that the composer is unavailable.
_MAX_UNANSWERED: Final = 3

_PARTLY_UNKNOWN: Final = UnavailableError("The composer did not answer for every image")


@dataclass(slots=True)
class _BuildRecord:
    """An unrecorded build at the composer; times are of the reconciler's clock.

    `fingerprints` are None until the composer shows the request; `requested_at` is when it was last asked for it.
    """

    first_seen: float
    fingerprints: frozenset[bytes] | None = None
    has_blueprint: bool = False
    requested_at: float = -math.inf


@dataclass(slots=True)
class ReconcileStarts:
    """The reconciler of one pod. Not thread-safe: runs must follow each other.

    It only handles starts with a fingerprint that are older than `lease`, and adopts only builds that have stayed
    unrecorded for as long. It never cancels a build. It releases a start when two runs in a row found no build of it.
    After a run, this pod remains the only one that reconciles for `term`. `complete_cancellations` completes
    cancellations of builds that were interrupted.
    """

    abandoned_starts: AbandonedStarts
    starts: Starts
    keys: IdempotencyKeys
    composer: Composer
    fingerprints: Fingerprints
    lease: timedelta
    term: timedelta
    complete_cancellations: Callable[[], None] = lambda: None
    meter: Meter = NULL_METER
    clock: Callable[[], float] = time.monotonic
    pod: UUID = field(default_factory=uuid4)
    _builds: dict[UUID, _BuildRecord] = field(default_factory=dict)
    # Starts without a build in the last run.
    _missing: frozenset[UUID] = frozenset()
    _leadership_acquired_at: float = 0.0

    def __call__(self) -> int:
        """Run once, if this pod is the leader; returns how many abandoned starts remain.

        Raises UnavailableError when the database becomes unavailable.
        """
        if self._acquire_leadership():
            reconciled = self._reconcile_starts()
            self._settle_keys()
            self.complete_cancellations()
            if reconciled:
                self.meter.reconciliation_completed()
        remaining = self.abandoned_starts.count(self.lease)
        self.meter.starts_unmatched(remaining)
        return remaining

    def _reconcile_starts(self) -> bool:
        """Adopt and release starts; returns False where the composer cannot list its builds."""
        # The time is taken before the ages are read, so that a slow listing makes no build seem older than its start.
        began = self.clock()
        found = self.abandoned_starts.find_abandoned(self.lease, _MAX_AGE, _BATCH)
        abandoned = [start for start in found if self._is_comparable(start)]
        if not abandoned:
            return True
        try:
            builds = self.composer.builds()
        except UnavailableError:
            log.warning("composer unavailable, abandoned starts not reconciled", starts=len(abandoned))
            return False
        matched = match_starts(abandoned, self._unrecorded_builds(builds.ids, began), complete=builds.complete)
        for adoption in matched.adopted:
            if self.abandoned_starts.adopt(adoption):
                self.meter.starts_adopted()
                log.warning("adopted a build", compose=str(adoption.compose), start=str(adoption.start))
        # Only after the second run, because the composer's list may lack a build for a moment.
        missing = frozenset(matched.released)
        self._release(sorted(missing & self._missing))
        self._missing = missing
        return True

    def _release(self, starts: Sequence[UUID]) -> None:
        if starts:
            self.starts.release(starts)
            self.meter.starts_released(len(starts))
            log.warning("released reservations without a build", starts=[str(start) for start in starts])

    def _is_comparable(self, start: AbandonedStart) -> bool:
        return self.fingerprints.is_comparable(start.fingerprint)

    def _unrecorded_builds(self, builds: frozenset[UUID], began: float) -> list[UnrecordedBuild]:
        """The composer's builds that the history does not contain, with their requests' fingerprints."""
        unrecorded = builds - self.abandoned_starts.find_recorded(builds)
        now = self.clock()
        self._builds = {compose: self._builds.get(compose) or _BuildRecord(now) for compose in sorted(unrecorded)}
        self._read_requests(self._without_request(now))
        ages = {compose: timedelta(seconds=max(began - build.first_seen, 0)) for compose, build in self._builds.items()}
        return [
            UnrecordedBuild(
                compose, build.fingerprints, ages[compose], ages[compose] >= self.lease, build.has_blueprint
            )
            for compose, build in self._builds.items()
        ]

    def _without_request(self, now: float) -> list[UUID]:
        """Builds whose request is unknown, never requested ones first; each is requested once per lease."""
        lease = self.lease.total_seconds()
        unknown = [
            compose
            for compose, build in self._builds.items()
            if build.fingerprints is None and now - build.requested_at >= lease
        ]
        return sorted(unknown, key=lambda compose: self._builds[compose].requested_at)[:_BATCH]

    def _read_requests(self, composes: Sequence[UUID]) -> None:
        """Ask the composer for the requests of these builds, and store their fingerprints."""
        unanswered = 0
        with until(_REQUESTS_WITHIN):
            for compose in composes:
                if unanswered == _MAX_UNANSWERED or not self._keep_leadership():
                    return
                build = self._builds[compose]
                build.requested_at = self.clock()
                try:
                    request = self.composer.request(compose)
                except NotFoundError:
                    request = None
                except UnavailableError:
                    unanswered += 1  # a build whose request cannot be read does not delay the adoption of others
                    continue
                unanswered = 0
                if request is not None:
                    build.fingerprints = frozenset(map(self.fingerprints.compute, normalized_variants(request)))
                    build.has_blueprint = names_blueprint(request)

    def _keep_leadership(self) -> bool:
        """Renew the leadership in time, however slowly the composer answers; returns whether this pod has it."""
        if self.clock() - self._leadership_acquired_at < self.term.total_seconds() / 3:
            return True
        return self._acquire_leadership()

    def _acquire_leadership(self) -> bool:
        self._leadership_acquired_at = self.clock()
        return self.abandoned_starts.acquire_leadership(self.pod, self.term)

    def _settle_keys(self) -> None:
        """Settle Idempotency-Keys whose request has ended, or was interrupted, without settling its key."""
        for key_id, created in self.keys.find_unsettled(self.lease, _BATCH):
            builds = [each for each in created if each is not None]
            if created and len(builds) == len(created):
                self.keys.settle(key_id)
            else:
                self.keys.settle_failed(key_id, RequestFailure.from_error(name_started_builds(_PARTLY_UNKNOWN, builds)))
