"""Watch builds without a final status (docs/operations.md, Status watcher)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from typing import Final
from uuid import UUID, uuid4

import structlog

from domain.errors import UnavailableError
from domain.looks import SCHEDULE, Look, UnfinishedBuilds
from image_builder.thread_pool import ThreadPool
from image_builder.usecases.looks import LookAtBuilds
from ports.deadline import until
from ports.meter import NULL_METER, Meter
from ports.statuses import HistoryPosition, Statuses

log = structlog.get_logger()

# How long a pod remains the only one that watches. The leader renews its term after a third of it, also during a round,
# so that a composer that answers slowly never has the looks of two pods.
_TERM: Final = timedelta(seconds=18)
# Seconds after which another pod tries to become the leader again.
_RETRY_LEADERSHIP: Final = 5.0
# Seconds for one call of the composer.
_LOOK_TIMEOUT: Final = 5.0
# The number of seconds for which the budget pays the looks of one round.
_ROUND_SECONDS: Final = 2
# After this number of unanswered looks in a row, the composer counts as unavailable: the round ends, and the next one
# makes only this number of looks, one at a time.
_MAX_UNANSWERED: Final = 3
# Seconds until that next round.
_PAUSE_AFTER_UNANSWERED: Final = 5.0
# Age up to which each round searches for builds that are not watched yet.
_NEW_BUILD_AGE: Final = timedelta(minutes=1)
# Seconds between two searches of the whole history: adopted builds, and those that a slow program records late, are
# older when they appear.
_SEARCH_INTERVAL: Final = 300.0
# Builds that one statement of the search reads, and statements in a round.
_BUILDS_PER_STATEMENT: Final = 1000
_STATEMENTS_PER_ROUND: Final = 5
# Seconds between two reports of metrics.
_REPORT_INTERVAL: Final = 10.0
# What a process reports that does not watch: otherwise its last numbers would stay in the metrics of its pod.
_NOT_WATCHING: Final = UnfinishedBuilds(tuple(0 for _ in SCHEDULE), timedelta(0))


@dataclass(frozen=True, slots=True)
class LookBudget:
    """Limits of the watcher's calls of the composer; a rate of 0 turns the watcher off."""

    per_second: int
    at_once: int


@dataclass(slots=True)
class StatusWatcher:
    """The status watcher of one process. Not thread-safe: runs must follow each other, except for `stop`.

    Only the leading process looks. Its `looks` must have a composer client of its own, so that a composer that hangs
    costs requests neither connections nor a circuit breaker.
    """

    statuses: Statuses
    looks: LookAtBuilds
    budget: LookBudget
    meter: Meter = NULL_METER
    clock: Callable[[], float] = time.monotonic
    pod: UUID = field(default_factory=uuid4)
    _threads: ThreadPool = field(init=False)
    _stopped: Event = field(default_factory=Event)
    _leads: bool = False
    _leadership_at: float = float("-inf")
    _position: HistoryPosition | None = None
    _searched_at: float = float("-inf")
    _reported_at: float = float("-inf")
    _last_look_at: float = float("-inf")
    # Unanswered looks in a row.
    _unanswered: int = 0

    def __post_init__(self) -> None:
        self._threads = ThreadPool(self.budget.at_once, "look")

    def __call__(self) -> None:
        """Look at the builds that are due, if this process is the leader.

        Raises UnavailableError when the database is unavailable.
        """
        while not self._stopped.is_set() and self._keep_leadership() and self._make_round():
            pass

    @property
    def _composer_away(self) -> bool:
        return self._unanswered >= _MAX_UNANSWERED

    def _make_round(self) -> bool:
        """Search, report and look; returns whether more builds may be due."""
        self._search()
        self._report()
        limit = _MAX_UNANSWERED if self._composer_away else self.budget.per_second * _ROUND_SECONDS
        due = self.statuses.find_due(limit)
        self._look_at(due)
        if due and self._composer_away:
            self._stopped.wait(_PAUSE_AFTER_UNANSWERED)
            return False
        self.meter.status_watch_completed()
        return len(due) == limit

    def stop(self) -> None:
        """End the current round soon, and make no looks in later ones. It may be called on any thread."""
        self._stopped.set()

    def _keep_leadership(self) -> bool:
        """Become or stay the leader; other processes try again after a pause."""
        now = self.clock()
        if now - self._leadership_at < (_TERM.total_seconds() / 3 if self._leads else _RETRY_LEADERSHIP):
            return self._leads
        self._leadership_at = now
        self._leads, led_before = False, self._leads
        try:
            self._leads = self.statuses.acquire_leadership(self.pod, _TERM)
        finally:
            if led_before and not self._leads:
                self.meter.builds_unfinished(_NOT_WATCHING)
        if self._leads and not led_before:
            self._position, self._searched_at, self._reported_at = None, float("-inf"), float("-inf")
        return self._leads

    def _search(self) -> None:
        """Watch new builds. Every _SEARCH_INTERVAL, also search the whole history, a part of it in each round."""
        self.statuses.watch_new(_NEW_BUILD_AGE)
        if self.clock() - self._searched_at < _SEARCH_INTERVAL:
            return
        for _ in range(_STATEMENTS_PER_ROUND):
            self._position = self.statuses.watch_older(self._position, _BUILDS_PER_STATEMENT)
            if self._position is None:
                self._searched_at = self.clock()
                self.statuses.end_watch(_BUILDS_PER_STATEMENT)
                return

    def _report(self) -> None:
        if self.clock() - self._reported_at >= _REPORT_INTERVAL:
            self._reported_at = self.clock()
            self.meter.builds_unfinished(self.statuses.count_unfinished())

    def _look_at(self, due: Iterable[UUID]) -> None:
        """Look at these builds; ends early if the composer does not answer, or another process leads."""
        was_away, unanswered = self._composer_away, self._unanswered
        running: dict[Future[Look], UUID] = {}
        for compose_id in due:
            if len(running) >= (1 if self._composer_away else self.budget.at_once):
                self._store_answers(running)
            if self._unanswered >= unanswered + _MAX_UNANSWERED or not self._keep_leadership():
                break
            self._wait_for_turn()
            if self._stopped.is_set():
                break
            running[self._threads.submit(self._ask, compose_id)] = compose_id
        while running:
            self._store_answers(running)
        if self._composer_away and not was_away:
            log.warning("composer unavailable, statuses of builds not watched")

    def _wait_for_turn(self) -> None:
        """Wait until the budget allows another look."""
        earliest = self._last_look_at + 1 / self.budget.per_second
        self._stopped.wait(max(earliest - self.clock(), 0))
        self._last_look_at = self.clock()

    def _store_answers(self, running: dict[Future[Look], UUID]) -> None:
        """Wait for an answer, and store all answers that have arrived, one after another, over one connection."""
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for look in done:
            compose_id = running.pop(look)
            error = look.exception()
            if error is None:
                self._unanswered = 0
                self.looks.store(look.result())
                continue
            self._unanswered += 1
            # A build whose status cannot be read does not keep others from being looked at.
            self.statuses.postpone(compose_id)
            if not isinstance(error, UnavailableError):
                log.error("unforeseen error of a look at a build", compose=str(compose_id), exc_info=error)

    def _ask(self, compose_id: UUID) -> Look:
        with until(_LOOK_TIMEOUT):
            return self.looks.ask(compose_id)
