"""How much memory the requests of one process hold at a time, in all and for each organization.

Estimates, not measurements: code that is about to hold something large reserves its cost first (see `ports.memory`).
A request that finds too little waits for others to end. Small requests may pass by a large one that waits; a request
that waits too long is refused.

A request that holds much should reserve once: two that hold a part each would wait for each other's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Final

from domain.errors import InvalidRequestError, UnavailableError
from ports.memory import Reserved

# Seconds that a request waits for memory on a thread, which others may need; and on the event loop, where it only waits
# in line.
PATIENCE: Final = 5.0
PATIENCE_IN_LINE: Final = 20.0
# Requests of one organization that may wait for memory at a time.
_MOST_WAITING: Final = 64


@dataclass(slots=True, eq=False)
class _Waiting:
    """`size` bytes, `later` of them to be set aside; `taken` are those taken from what the account had set aside."""

    account: Account
    size: int
    later: int
    taken: int
    grant: Callable[[], object]
    granted: bool = False


class RequestMemory:
    """The memory of all requests of a process, in bytes; thread-safe.

    At most `most` are reserved at a time, and at most half of it for one organization.
    """

    def __init__(self, most: int, patience: float = PATIENCE, patience_in_line: float = PATIENCE_IN_LINE) -> None:
        """Reservations may block a thread for `patience` seconds, or wait on the event loop for `patience_in_line`."""
        self.most_of_one: Final = most // 2
        self.patience: Final = patience
        self.patience_in_line: Final = patience_in_line
        self._most = most
        self._lock = Lock()
        self._used = 0
        self._used_by: Counter[str] = Counter()
        self._waiting: list[_Waiting] = []
        self._waiting_of: Counter[str] = Counter()

    @property
    def used(self) -> int:
        """The bytes that are reserved now."""
        return self._used

    def ask(self, account: Account, size: int, later: int, grant: Callable[[], object]) -> _Waiting | None:
        """Reserve now and return None; or else have `grant` called as soon as it is reserved.

        What the account has set aside is taken first. `later` bytes, or as many as one may have, are set aside then.

        Raises InvalidRequestError when one request may never have so much, and UnavailableError when too many wait.
        """
        with self._lock:
            tenant = account.tenant
            total = account.total
            taken = min(size, account.set_aside)
            size -= taken
            if total + size > self.most_of_one:
                raise InvalidRequestError(
                    f"Serving this request takes more memory than the {self.most_of_one >> 20} MiB that one may have: "
                    "split it into smaller ones"
                )
            later = min(later - (account.set_aside - taken), self.most_of_one - total - size)
            waiting = _Waiting(account, size + max(later, 0), max(later, 0), taken, grant)
            if self._fits(tenant, waiting.size):
                account.set_aside -= taken
                self._take(waiting)
                return None
            if self._waiting_of[tenant] >= _MOST_WAITING:
                raise _busy()
            account.set_aside -= taken
            self._waiting.append(waiting)
            self._waiting_of[tenant] += 1
            return waiting

    def give_up(self, waiting: _Waiting) -> bool:
        """Wait no more; False where it has been reserved meanwhile."""
        with self._lock:
            if waiting.granted:
                return False
            waiting.account.set_aside += waiting.taken
            self._waiting.remove(waiting)
            self._forget(waiting.account.tenant)
            return True

    def release(self, account: Account, kept: Reserved) -> None:
        """Release what an account has reserved beyond `kept`, and let others have it."""
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
                    self._take(waiting)
                    self._waiting.remove(waiting)
                    self._forget(waiting.account.tenant)
                    waiting.granted = True
                    waiting.grant()

    def _fits(self, tenant: str, size: int) -> bool:
        return self._used + size <= self._most and self._used_by[tenant] + size <= self.most_of_one

    def _take(self, waiting: _Waiting) -> None:
        waiting.account.total += waiting.size
        waiting.account.set_aside += waiting.later
        self._used += waiting.size
        self._used_by[waiting.account.tenant] += waiting.size

    def _forget(self, tenant: str) -> None:
        self._waiting_of[tenant] -= 1
        if not self._waiting_of[tenant]:
            del self._waiting_of[tenant]


@dataclass(slots=True, eq=False)
class Account:
    """What one request has reserved (fulfils ports.memory.MemoryAccount).

    `tenant` is set, before the first reservation, once the request has shown an identity. `total` are the bytes that it
    holds, `set_aside` those of them that are for later.
    """

    memory: RequestMemory
    tenant: str = ""
    total: int = field(default=0, init=False)
    set_aside: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def size(self) -> int:
        """See the port."""
        return self.total - self.set_aside

    def snapshot(self) -> Reserved:
        """See the port."""
        return Reserved(self.total, self.set_aside)

    def reserve(self, size: int, later: int = 0) -> None:
        """See the port."""
        if self._closed:
            return  # the request has been answered for us, by the end of the server
        event = Event()
        waiting = self.memory.ask(self, size, later, event.set)
        if waiting is not None and not event.wait(self.memory.patience) and self.memory.give_up(waiting):
            raise _busy()

    async def reserve_soon(self, size: int, later: int = 0) -> None:
        """The same on the event loop, which goes on meanwhile."""
        loop = asyncio.get_running_loop()
        granted = asyncio.Event()
        waiting = self.memory.ask(self, size, later, lambda: loop.call_soon_threadsafe(granted.set))
        if waiting is None:
            return
        try:
            async with asyncio.timeout(self.memory.patience_in_line):
                await granted.wait()
        except TimeoutError:
            if self.memory.give_up(waiting):
                raise _busy() from None
        except asyncio.CancelledError:
            self.memory.give_up(waiting)
            raise

    def restore(self, reserved: Reserved) -> None:
        """See the port."""
        self.memory.release(self, reserved)

    def close(self) -> None:
        """Release everything; the request has ended."""
        self._closed = True
        self.restore(Reserved(0, 0))


def _busy() -> UnavailableError:
    return UnavailableError("Too many large requests are being served")
