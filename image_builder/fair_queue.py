"""A queue of work of several organizations, served in turn (round robin) with a limited number of places."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Generic, TypeVar

W = TypeVar("W")


class FairQueue(Generic[W]):
    """Waiting and running work items by organization. Not thread-safe.

    Organizations are served in turn, one work item each, however many items one of them has waiting. One organization
    has at most half of the running items and half of the waiting items, so there is room for the others. Work without
    an organization belongs to an organization whose name is the empty text.
    """

    def __init__(self, places: int, max_waiting: float = math.inf) -> None:
        """`places` is the number of items that may run at once, `max_waiting` (from 1) the number that may wait."""
        self._places = places
        self._places_of_one = max(1, places // 2)
        self._max_waiting = max_waiting
        self._max_waiting_of_one = max(1.0, max_waiting / 2)
        # In the order of turns, the next organization first. No entry is empty.
        self._waiting: dict[str, deque[W]] = {}
        self._number_waiting = 0
        self._running: Counter[str] = Counter()
        self._number_running = 0

    def has_place(self, organization: str) -> bool:
        """Whether work of this organization would run without waiting."""
        return self._number_running < self._places and self._running[organization] < self._places_of_one

    def take_at_once(self, organization: str) -> bool:
        """Take a place for work of this organization if it would run without waiting; returns whether it may run."""
        if not self.has_place(organization):
            return False
        self._start(organization)
        return True

    def put(self, organization: str, work: W) -> W | None:
        """Add a work item to the queue.

        Returns the work item that the caller has to refuse, or None. It is the new one if its organization has half of
        the queue already; if the queue is full, it is the newest item of the organization with the most waiting items.
        """
        own = len(self._waiting.get(organization, ()))
        if own + 1 > self._max_waiting_of_one:
            return work
        refused = None
        if self._number_waiting >= self._max_waiting:
            longest = max(self._waiting, key=lambda each: len(self._waiting[each]))
            if len(self._waiting[longest]) <= own + 1:
                return work
            refused = self._waiting[longest].pop()
            self._number_waiting -= 1
        self._waiting.setdefault(organization, deque()).append(work)
        self._number_waiting += 1
        return refused

    def take(self) -> tuple[str, W] | None:
        """Start the next work item: returns its organization and the item, or None if no item may run now."""
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
            self._waiting[organization] = waiting  # its next turn comes after all others
        self._start(organization)
        return organization, work

    def finish(self, organization: str) -> None:
        """Free the place of a work item that has ended."""
        self._number_running -= 1
        self._running[organization] -= 1
        if not self._running[organization]:
            del self._running[organization]

    def _start(self, organization: str) -> None:
        self._running[organization] += 1
        self._number_running += 1

    def clear(self) -> list[W]:
        """Remove all waiting work items, and return them."""
        work = [each for waiting in self._waiting.values() for each in waiting]
        self._waiting.clear()
        self._number_waiting = 0
        return work
