"""How much memory the requests of one process hold at a time, in all and for each organization.

Estimates, not measurements: code that is about to hold something large reserves its cost first (see `ports.memory`).
A request that finds too little waits for others to end. Small requests may pass by a large one that waits; a request
that waits too long is refused.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Final

from domain.errors import InvalidRequestError, UnavailableError

# Seconds that a request waits for memory.
PATIENCE: Final = 5.0
# Requests of one organization that may wait for memory at a time.
_MOST_WAITING: Final = 64


@dataclass(slots=True, eq=False)
class _Waiting:
    account: Account
    size: int
    grant: Callable[[], object]
    granted: bool = False


class RequestMemory:
    """The memory of all requests of a process, in bytes; thread-safe.

    At most `most` are reserved at a time, and at most half of it for one organization.
    """

    def __init__(self, most: int, patience: float = PATIENCE) -> None:
        """`patience` is how many seconds a reservation may wait."""
        self.most_of_one: Final = most // 2
        self.patience: Final = patience
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

    def ask(self, account: Account, size: int, grant: Callable[[], object]) -> _Waiting | None:
        """Reserve now and return None; or else have `grant` called as soon as it is reserved.

        Raises InvalidRequestError when one request may never have so much, and UnavailableError when too many wait.
        """
        with self._lock:
            tenant = account.tenant
            if account.size + size > self.most_of_one:
                raise InvalidRequestError(
                    f"Serving this request takes more memory than the {self.most_of_one >> 20} MiB that one may have: "
                    "split it into smaller ones"
                )
            if self._fits(tenant, size):
                self._take(account, size)
                return None
            if self._waiting_of[tenant] >= _MOST_WAITING:
                raise _busy()
            waiting = _Waiting(account, size, grant)
            self._waiting.append(waiting)
            self._waiting_of[tenant] += 1
            return waiting

    def give_up(self, waiting: _Waiting) -> bool:
        """Wait no more; False where it has been reserved meanwhile."""
        with self._lock:
            if waiting.granted:
                return False
            self._waiting.remove(waiting)
            self._forget(waiting.account.tenant)
            return True

    def release(self, account: Account, size: int) -> None:
        """Release some of what an account has reserved, and let others have it."""
        with self._lock:
            self._used -= size
            self._used_by[account.tenant] -= size
            if not self._used_by[account.tenant]:
                del self._used_by[account.tenant]
            account.size -= size
            for waiting in list(self._waiting):
                if self._fits(waiting.account.tenant, waiting.size):
                    self._take(waiting.account, waiting.size)
                    self._waiting.remove(waiting)
                    self._forget(waiting.account.tenant)
                    waiting.granted = True
                    waiting.grant()

    def _fits(self, tenant: str, size: int) -> bool:
        return self._used + size <= self._most and self._used_by[tenant] + size <= self.most_of_one

    def _take(self, account: Account, size: int) -> None:
        account.size += size
        self._used += size
        self._used_by[account.tenant] += size

    def _forget(self, tenant: str) -> None:
        self._waiting_of[tenant] -= 1
        if not self._waiting_of[tenant]:
            del self._waiting_of[tenant]


@dataclass(slots=True, eq=False)
class Account:
    """What one request has reserved (fulfils ports.memory.MemoryAccount).

    `tenant` is set, before the first reservation, once the request has shown an identity. `size` is in bytes.
    """

    memory: RequestMemory
    tenant: str = ""
    size: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)

    def reserve(self, size: int) -> None:
        """See the port."""
        if self._closed:
            return  # the request has been answered for us, by the end of the server
        event = Event()
        waiting = self.memory.ask(self, size, event.set)
        if waiting is not None and not event.wait(self.memory.patience) and self.memory.give_up(waiting):
            raise _busy()

    async def reserve_soon(self, size: int) -> None:
        """The same on the event loop, which goes on meanwhile."""
        loop = asyncio.get_running_loop()
        granted = asyncio.Event()
        waiting = self.memory.ask(self, size, lambda: loop.call_soon_threadsafe(granted.set))
        if waiting is None:
            return
        try:
            async with asyncio.timeout(self.memory.patience):
                await granted.wait()
        except TimeoutError:
            if self.memory.give_up(waiting):
                raise _busy() from None
        except asyncio.CancelledError:
            self.memory.give_up(waiting)
            raise

    def shrink(self, size: int) -> None:
        """Release what is reserved beyond `size` bytes."""
        if self.size > size:
            self.memory.release(self, self.size - size)

    def close(self) -> None:
        """Release everything; the request has ended."""
        self._closed = True
        self.shrink(0)


def _busy() -> UnavailableError:
    return UnavailableError("Too many large requests are being served")
