"""Find out what became of starts that were left behind by a crash, or by a composer that did not answer."""

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
from domain.idempotency import Failure
from domain.starts import LeftStart, Sighting, essences_of_build, judge, names_blueprint
from domain.submission import part_way
from ports.composer import Composer
from ports.deadline import until
from ports.fingerprints import Fingerprints
from ports.meter import SILENT, Meter
from ports.store import IdempotencyKeys, LeftStarts, Starts

log = structlog.get_logger()

# Starts and keys that one run looks at, and builds whose request it asks the composer for.
_MOST: Final = 1000
# After so long a start is left alone: the composer may have forgotten its build. It counts until its window ends.
_PATIENCE: Final = timedelta(hours=24)
# Seconds for which one run may ask the composer.
_WITHIN: Final = 60.0
# After so many builds in a row that it gives no answer about, it is the composer that gives none.
_UNANSWERED: Final = 3

_UNKNOWN: Final = UnavailableError("The composer did not answer for every image")


@dataclass(slots=True)
class _Seen:
    """A build that no compose stood for when seen `first`, and its request's fingerprints as soon as it is told.

    The composer was `asked` for it then.
    """

    first: float
    fingerprints: frozenset[bytes] | None = None
    of_blueprint: bool = False
    asked: float = -math.inf


@dataclass(slots=True)
class ReconcileStarts:
    """One pod's part in it. Not thread-safe: runs follow each other.

    It touches only starts of ours that are older than `lease`, and adopts only builds that nobody else has recorded for
    as long; it never cancels one. It releases what two runs did not find. `term` is for how long this pod goes on alone
    after a run.
    """

    left: LeftStarts
    starts: Starts
    keys: IdempotencyKeys
    composer: Composer
    fingerprints: Fingerprints
    lease: timedelta
    term: timedelta
    meter: Meter = SILENT
    clock: Callable[[], float] = time.monotonic
    pod: UUID = field(default_factory=uuid4)
    _seen: dict[UUID, _Seen] = field(default_factory=dict)
    _missed: frozenset[UUID] = frozenset()
    _led: float = 0.0

    def __call__(self) -> int:
        """Look after them once; how many there are still. Raises UnavailableError when the database goes away."""
        if self._leads():
            looked = self._starts()
            self._keys()
            if looked:
                self.meter.starts_looked_after()
        left = self.left.count(self.lease)
        self.meter.starts_unmatched(left)
        return left

    def _starts(self) -> bool:
        """Whether that was possible."""
        began = self.clock()  # before ages are told: no build seems older than its start because it takes long to list
        left = [start for start in self.left.left(self.lease, _PATIENCE, _MOST) if self._comparable(start)]
        if not left:
            return True
        try:
            builds = self.composer.builds()
        except UnavailableError:
            log.warning("the composer cannot be asked about starts that were left", starts=len(left))
            return False
        verdict = judge(left, self._look(builds.ids, began), complete=builds.complete)
        for adoption in verdict.adopted:
            if self.left.adopt(adoption):
                self.meter.starts_adopted()
                log.warning("adopted a build", compose=str(adoption.compose), start=str(adoption.start))
        # A list may lack a build for a moment.
        missed = frozenset(verdict.released)
        self._release(sorted(missed & self._missed))
        self._missed = missed
        return True

    def _release(self, starts: Sequence[UUID]) -> None:
        if starts:
            self.starts.release(starts)
            self.meter.starts_released(len(starts))
            log.warning("released reservations without a build", starts=[str(start) for start in starts])

    def _comparable(self, start: LeftStart) -> bool:
        return self.fingerprints.comparable(start.fingerprint)

    def _look(self, builds: frozenset[UUID], began: float) -> list[Sighting]:
        """What the composer builds that is in no history."""
        unknown = builds - self.left.known(builds)
        now = self.clock()
        self._seen = {compose: self._seen.get(compose) or _Seen(now) for compose in sorted(unknown)}
        self._ask(self._unasked(now))
        ages = {compose: timedelta(seconds=max(began - seen.first, 0)) for compose, seen in self._seen.items()}
        return [
            Sighting(compose, seen.fingerprints, ages[compose], ages[compose] >= self.lease, seen.of_blueprint)
            for compose, seen in self._seen.items()
        ]

    def _unasked(self, now: float) -> list[UUID]:
        """Builds nobody knows the request of, those never asked for first; the others again after a lease."""
        lease = self.lease.total_seconds()
        untold = [
            compose for compose, seen in self._seen.items() if seen.fingerprints is None and now - seen.asked >= lease
        ]
        return sorted(untold, key=lambda compose: self._seen[compose].asked)[:_MOST]

    def _ask(self, composes: Sequence[UUID]) -> None:
        """Get to know what was ordered with these builds, as far as the composer tells."""
        unanswered = 0
        with until(_WITHIN):
            for compose in composes:
                if unanswered == _UNANSWERED or not self._still_leads():
                    return
                seen = self._seen[compose]
                seen.asked = self.clock()
                try:
                    request = self.composer.request(compose)
                except NotFoundError:
                    request = None
                except UnavailableError:
                    unanswered += 1  # one build that cannot be told of holds up no other's adoption
                    continue
                unanswered = 0
                if request is not None:
                    seen.fingerprints = frozenset(map(self.fingerprints.of, essences_of_build(request)))
                    seen.of_blueprint = names_blueprint(request)

    def _still_leads(self) -> bool:
        """Whether this pod goes on alone, however long the composer takes."""
        if self.clock() - self._led < self.term.total_seconds() / 3:
            return True
        return self._leads()

    def _leads(self) -> bool:
        self._led = self.clock()
        return self.left.lead(self.pod, self.term)

    def _keys(self) -> None:
        """Settle keys whose request ended, or died, without saying so."""
        for key_id, made in self.keys.left(self.lease, _MOST):
            done = [each for each in made if each is not None]
            if made and len(done) == len(made):
                self.keys.settle(key_id)
            else:
                self.keys.close(key_id, Failure.of(part_way(_UNKNOWN, done)))
