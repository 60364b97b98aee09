"""Cancel builds that the composer accepted and that could not be recorded (spec 10, Composes)."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from uuid import UUID

import structlog

from domain.errors import NotFoundError, UnavailableError
from domain.starts import NewStart, essences_of_build, names_blueprint
from ports.composer import Composer
from ports.fingerprints import Fingerprints
from ports.store import Starts

log = structlog.get_logger()

# How often the composer is asked to cancel a build; seconds before the second time, then twice that.
_ATTEMPTS: Final = 3
_PAUSE: Final = 0.2
# So many ids that this process recorded are remembered: a megabyte, and hours of builds.
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class CancelOrphans:
    """Cancels a build at the composer, unless its id is known to be another build's. Thread-safe.

    A composer may answer with an id that it has used before. The history tells whose an id is; while the database is
    away, the ids that this process recorded do, and what the composer says was ordered with the build.
    """

    starts: Starts
    composer: Composer
    fingerprints: Fingerprints
    _recorded: OrderedDict[UUID, None] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def remember(self, compose: UUID) -> None:
        """A build was recorded: it is never cancelled from now on."""
        with self._lock:
            self._recorded[compose] = None
            if len(self._recorded) > _REMEMBERED:
                self._recorded.popitem(last=False)

    def __call__(self, start: NewStart, compose: UUID) -> bool:
        """Cancel the build of a start; whether the composer has dropped it."""
        if self._is_recorded(compose) or self._was_ordered_otherwise(start, compose):
            log.error("build not cancelled: its id may be another build's", compose=str(compose), start=str(start.id))
            return False
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE * attempt)  # a composer that restarts is back soon; not before the first attempt
            try:
                self.composer.cancel(compose)
            except UnavailableError:
                log.warning("cannot cancel a build that could not be recorded", compose=str(compose))
            else:
                log.warning("cancelled a build that could not be recorded", compose=str(compose))
                return True
        log.error("orphaned build: neither recorded nor cancelled", compose=str(compose), start=str(start.id))
        return False

    def _is_recorded(self, compose: UUID) -> bool:
        with self._lock:
            if compose in self._recorded:
                return True
        try:
            return self.starts.is_recorded(compose)
        except Exception:  # noqa: BLE001 - whatever it is: the database says nothing
            return False

    def _was_ordered_otherwise(self, start: NewStart, compose: UUID) -> bool:
        """Whether the composer says so; one that says nothing is taken to build what it was asked for."""
        try:
            request = self.composer.request(compose)
        except (NotFoundError, UnavailableError):
            return False
        if request is None:
            return False
        if names_blueprint(request) and start.compose.blueprint_version is None:
            return True
        return start.fingerprint not in map(self.fingerprints.of, essences_of_build(request))
