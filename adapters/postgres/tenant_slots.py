"""Limits how many connections of the pool the requests of one tenant use at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock

from domain.errors import UnavailableError


@dataclass(slots=True)
class _Slots:
    """The slots of one tenant; `users` is the number of threads that hold a slot or wait for one."""

    free: BoundedSemaphore
    users: int = 0


class TenantSlots:
    """Lets at most `number` threads work for one tenant at the same time. Thread-safe.

    Further threads wait at most `timeout` seconds for a slot.
    """

    def __init__(self, number: int, timeout: float) -> None:
        self._number = number
        self._timeout = timeout
        self._lock = Lock()
        self._tenants: dict[str, _Slots] = {}

    @contextmanager
    def slot(self, tenant: str) -> Iterator[None]:
        """Hold a slot of the tenant within the context. Raises UnavailableError if no slot becomes free in time."""
        with self._lock:
            slots = self._tenants.setdefault(tenant, _Slots(BoundedSemaphore(self._number)))
            slots.users += 1
        try:
            if not slots.free.acquire(timeout=self._timeout):
                raise UnavailableError("Too many builds of this organization are being recorded", retry_after=1)
            try:
                yield
            finally:
                slots.free.release()
        finally:
            with self._lock:
                slots.users -= 1
                if not slots.users:
                    del self._tenants[tenant]
