"""Work of several organizations that share a limited number of places, served in turn (round robin)."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Generic, TypeVar

W = TypeVar("W")


class FairQueue(Generic[W]):
    """Work that waits, and the number of pieces that run, by organization. Not thread-safe.

    Organizations are served in turn, one piece of work each, however much one of them has waiting. One organization
    runs at most half of what may run at once, and waits with at most half of what may wait: the others always find
    room. What has no organization shares one that is named by the empty text.
    """

    def __init__(self, places: int, most_waiting: float = math.inf) -> None:
        """`places` is how many pieces of work may run at once, `most_waiting` (from 1) how many may wait."""
        self._places = places
        self._places_of_one = max(1, places // 2)
        self._most_waiting = most_waiting
        self._most_waiting_of_one = max(1.0, most_waiting / 2)
        # The organization whose turn is next comes first; none is empty.
        self._waiting: dict[str, deque[W]] = {}
        self._number_waiting = 0
        self._running: Counter[str] = Counter()
        self._number_running = 0

    def has_place(self, organization: str) -> bool:
        """Whether work of this organization would run at once."""
        return self._number_running < self._places and self._running[organization] < self._places_of_one

    def put(self, organization: str, work: W) -> W | None:
        """Let work wait for its turn.

        Returns the work that has to be refused, None where there is none: this one where its organization has its
        share waiting already; where the queue is full, the newest of the organization that has most waiting.
        """
        own = len(self._waiting.get(organization, ()))
        if own + 1 > self._most_waiting_of_one:
            return work
        refused = None
        if self._number_waiting >= self._most_waiting:
            longest = max(self._waiting, key=lambda each: len(self._waiting[each]))
            if len(self._waiting[longest]) <= own + 1:
                return work
            refused = self._waiting[longest].pop()
            self._number_waiting -= 1
        self._waiting.setdefault(organization, deque()).append(work)
        self._number_waiting += 1
        return refused

    def take(self) -> tuple[str, W] | None:
        """The work whose turn it is, and its organization; from now on it runs. None where none may run now."""
        if self._number_running >= self._places:
            return None
        organization = next(filter(self.has_place, self._waiting), None)
        if organization is None:
            return None
        waiting = self._waiting[organization]
        work = waiting.popleft()
        self._number_waiting -= 1
        del self._waiting[organization]
        if waiting:
            self._waiting[organization] = waiting  # behind all others
        self._running[organization] += 1
        self._number_running += 1
        return organization, work

    def finish(self, organization: str) -> None:
        """Free the place of a piece of work that ran."""
        self._number_running -= 1
        self._running[organization] -= 1
        if not self._running[organization]:
            del self._running[organization]

    def clear(self) -> list[W]:
        """Take out all work that waits."""
        work = [each for waiting in self._waiting.values() for each in waiting]
        self._waiting.clear()
        self._number_waiting = 0
        return work
