"""Cancel builds that the composer accepted and that could not be recorded."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from uuid import UUID

import structlog

from domain.errors import NotFoundError, UnavailableError
from domain.starts import NewStart, names_blueprint, normalized_variants
from ports.composer import Composer
from ports.fingerprints import Fingerprints
from ports.store import Starts

log = structlog.get_logger()

# The number of attempts to cancel a build.
_ATTEMPTS: Final = 3
# Seconds before the second attempt; before the third attempt, twice as many.
_PAUSE: Final = 0.2
# The number of ids of recorded builds that a process remembers: a megabyte, for hours of builds.
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class CancelOrphans:
    """Cancels a build at the composer, unless its id is known to belong to another build. Thread-safe.

    A composer may answer with an id that it has used before. The history shows whether another build has the id. While
    the database is unavailable, the ids that this process recorded and the composer's copy of the request are used.
    """

    starts: Starts
    composer: Composer
    fingerprints: Fingerprints
    _recorded: OrderedDict[UUID, None] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def remember(self, compose: UUID) -> None:
        """Remember that a build was recorded, so that it is never cancelled."""
        with self._lock:
            self._recorded[compose] = None
            if len(self._recorded) > _REMEMBERED:
                self._recorded.popitem(last=False)

    def __call__(self, start: NewStart, compose: UUID) -> bool:
        """Cancel the build of a start; return whether the composer has cancelled it."""
        if self._is_recorded(compose) or self._has_another_request(start, compose):
            log.error("build not cancelled: its id may be another build's", compose=str(compose), start=str(start.id))
            return False
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE * attempt)  # a composer that restarts is available soon; 0 before the first attempt
            try:
                self.composer.cancel(compose)
            except UnavailableError:
                log.warning("cancellation of an unrecorded build failed", compose=str(compose))
            else:
                log.warning("cancelled an unrecorded build", compose=str(compose))
                return True
        log.error("orphaned build: neither recorded nor cancelled", compose=str(compose), start=str(start.id))
        return False

    def _is_recorded(self, compose: UUID) -> bool:
        with self._lock:
            if compose in self._recorded:
                return True
        try:
            return self.starts.is_recorded(compose)
        except Exception:  # noqa: BLE001 - any error: the history cannot be read
            return False

    def _has_another_request(self, start: NewStart, compose: UUID) -> bool:
        """Return whether the composer shows a request for the build that is not the start's.

        Returns False if it shows no request.
        """
        try:
            request = self.composer.request(compose)
        except (NotFoundError, UnavailableError):
            return False
        if request is None:
            return False
        if names_blueprint(request) and start.compose.blueprint_version is None:
            return True
        return start.fingerprint not in map(self.fingerprints.compute, normalized_variants(request))
