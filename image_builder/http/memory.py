"""Limits the memory that the requests of one process hold at the same time, in total and for each organization.

The sizes are estimates: code that is about to hold large data reserves its size first (see `ports.memory`). A request
that finds too little memory waits until other requests end. Small requests may overtake a large request that waits; a
request that waits too long is refused.

A request that needs much memory should reserve it in one step: two requests that each hold a part would wait for each
other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from domain.errors import InvalidRequestError, UnavailableError
from ports.memory import Reserved

# Seconds that a request waits for memory on a thread, which other requests may need.
MAX_THREAD_WAIT: Final = 5.0
# Seconds that a request waits for memory on the event loop, where it blocks nothing.
MAX_LOOP_WAIT: Final = 20.0
# Requests of one organization that may wait for memory at a time.
_MAX_WAITING: Final = 64


@dataclass(slots=True, eq=False)
class _WaitingReservation:
    """A reservation that waits for memory.

    It is for `size` bytes, of which `later` bytes will be set aside. `taken` is the number of further bytes, which it
    has taken from those that the account had set aside before. `grant` is called when the memory is reserved.
    """

    account: Account
    size: int
    later: int
    taken: int
    grant: Callable[[], object]
    granted: bool = False


class RequestMemory:
    """The memory of all requests of a process, in bytes. It is thread-safe.

    At most `limit` bytes are reserved at the same time, and at most half of them for one organization.
    """

    def __init__(
        self, limit: int, max_thread_wait: float = MAX_THREAD_WAIT, max_loop_wait: float = MAX_LOOP_WAIT
    ) -> None:
        """Seconds that a reservation may wait: `max_thread_wait` on a thread, `max_loop_wait` on the event loop."""
        self.tenant_limit: Final = limit // 2
        self.max_thread_wait: Final = max_thread_wait
        self.max_loop_wait: Final = max_loop_wait
        self._limit = limit
        self._lock = Lock()
        self._used = 0
        self._used_by: Counter[str] = Counter()
        self._waiting: list[_WaitingReservation] = []
        self._waiting_by: Counter[str] = Counter()

    @property
    def used(self) -> int:
        """The bytes that are reserved now."""
        return self._used

    def reserve_or_queue(
        self, account: Account, size: int, later: int, grant: Callable[[], object]
    ) -> _WaitingReservation | None:
        """Reserve `size` bytes and return None, or else queue the reservation and call `grant` when it is made.

        Bytes that the account has set aside are used first. In addition, `later` bytes are set aside, or as many as the
        limit of an organization allows.

        Raises InvalidRequestError if the request's memory would exceed the limit of an organization, and
        UnavailableError if too many reservations of the organization wait.
        """
        with self._lock:
            tenant = account.tenant
            total = account.total
            taken = min(size, account.set_aside)
            size -= taken
            if total + size > self.tenant_limit:
                raise InvalidRequestError(
                    f"Serving this request takes more memory than the {self.tenant_limit >> 20} MiB that one may have: "
                    "split it into smaller ones"
                )
            later = max(min(later - (account.set_aside - taken), self.tenant_limit - total - size), 0)
            size += later
            if self._fits(tenant, size):
                account.set_aside -= taken
                self._reserve(account, size, later)
                return None
            if self._waiting_by[tenant] >= _MAX_WAITING:
                raise _memory_in_use()
            account.set_aside -= taken
            waiting = _WaitingReservation(account, size, later, taken, grant)
            self._waiting.append(waiting)
            self._waiting_by[tenant] += 1
            return waiting

    def cancel_waiting(self, waiting: _WaitingReservation) -> bool:
        """Remove a waiting reservation; returns False if the memory has been reserved in the meantime."""
        with self._lock:
            if waiting.granted:
                return False
            waiting.account.set_aside += waiting.taken
            self._waiting.remove(waiting)
            self._count_waiting_down(waiting.account.tenant)
            return True

    def release(self, account: Account, kept: Reserved) -> None:
        """Release the memory of an account except `kept`, and make the waiting reservations for which it suffices."""
        with self._lock:
            size = max(account.total - kept.size, 0)
            account.set_aside = kept.set_aside
            if not size:
                return
            self._used -= size
            self._used_by[account.tenant] -= size
            if not self._used_by[account.tenant]:
                del self._used_by[account.tenant]
            account.total -= size
            for waiting in list(self._waiting):
                if self._fits(waiting.account.tenant, waiting.size):
                    self._reserve(waiting.account, waiting.size, waiting.later)
                    self._waiting.remove(waiting)
                    self._count_waiting_down(waiting.account.tenant)
                    waiting.granted = True
                    waiting.grant()

    def _fits(self, tenant: str, size: int) -> bool:
        return self._used + size <= self._limit and self._used_by[tenant] + size <= self.tenant_limit

    def _reserve(self, account: Account, size: int, later: int) -> None:
        account.total += size
        account.set_aside += later
        self._used += size
        self._used_by[account.tenant] += size

    def _count_waiting_down(self, tenant: str) -> None:
        self._waiting_by[tenant] -= 1
        if not self._waiting_by[tenant]:
            del self._waiting_by[tenant]


@dataclass(slots=True, eq=False)
class Account:
    """The reservations of one request (implements ports.memory.MemoryAccount).

    `tenant` is the organization, which must be set before the first reservation; it is empty for a request without an
    identity. `total` is the number of reserved bytes, of which `set_aside` are for later reservations.
    """

    memory: RequestMemory
    tenant: str = ""
    total: int = field(default=0, init=False)
    set_aside: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def size(self) -> int:
        """Implements `MemoryAccount.size`."""
        return self.total - self.set_aside

    def snapshot(self) -> Reserved:
        """Implements `MemoryAccount.snapshot`."""
        return Reserved(self.total, self.set_aside)

    def reserve(self, size: int, later: int = 0) -> None:
        """Implements `MemoryAccount.reserve`."""
        if self._closed:
            return  # the server is shutting down, and has ended the request
        granted = Lock()  # released by the grant; it takes a tenth of the time of an Event
        granted.acquire()
        waiting = self.memory.reserve_or_queue(self, size, later, granted.release)
        if (
            waiting is not None
            and not granted.acquire(timeout=self.memory.max_thread_wait)
            and self.memory.cancel_waiting(waiting)
        ):
            raise _memory_in_use()

    async def reserve_async(self, size: int, later: int = 0) -> None:
        """Reserve memory as `reserve` does, from the event loop and without blocking it."""
        loop = asyncio.get_running_loop()
        granted = asyncio.Event()
        waiting = self.memory.reserve_or_queue(self, size, later, lambda: loop.call_soon_threadsafe(granted.set))
        if waiting is None:
            return
        try:
            async with asyncio.timeout(self.memory.max_loop_wait):
                await granted.wait()
        except TimeoutError:
            if self.memory.cancel_waiting(waiting):
                raise _memory_in_use() from None
        except asyncio.CancelledError:
            self.memory.cancel_waiting(waiting)
            raise

    def restore(self, reserved: Reserved) -> None:
        """Implements `MemoryAccount.restore`."""
        self.memory.release(self, reserved)

    def close(self) -> None:
        """Release all reservations at the end of the request."""
        self._closed = True
        self.restore(Reserved(0, 0))


def _memory_in_use() -> UnavailableError:
    return UnavailableError("Too many large requests are being served")
