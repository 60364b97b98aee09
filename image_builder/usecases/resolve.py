"""Resolve packages at the composer: equal requests share one answer, and a tenant may run only few at the same time."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from concurrent.futures import Future, wait
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any, Final

import orjson

from domain.errors import ImageBuilderError, RateLimitedError, UnavailableError
from domain.failures import Responsible, explain
from ports.deadline import remaining_seconds
from ports.resolver import PackageResolver, Resolution

# Seconds to wait for a resolution that runs already, and for which its answer is shared.
_TIMEOUT: Final = 20.0
_VALID_FOR: Final = 300.0
# The resolutions that one tenant may have running in this process.
_MOST_PER_TENANT: Final = 2
# The answers that are kept, and the number of all their packages (each takes about 0.5 kB).
_MOST_ANSWERS: Final = 256
_MOST_PACKAGES: Final = 50_000
_RETRY_AFTER: Final = 5


@dataclass(slots=True)
class _Entry:
    """A resolution that runs, or one that has ended and is valid until `valid_until`."""

    ended: Future[Resolution]
    valid_until: float = float("inf")
    packages: int = 0


class ResolvePackages:
    """Resolves packages; the answers and the limit belong to one process. Thread-safe.

    `ports.shared_calls` does not serve here: taking one of a tenant's places and beginning a shared call is one step,
    so that those who wait for the answer need no place.
    """

    def __init__(self, resolver: PackageResolver) -> None:
        self._resolver = resolver
        self._lock = Lock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._running: Counter[str] = Counter()

    def __call__(self, tenant: str, request: dict[str, Any]) -> Resolution:
        """Return the resolution of a DepsolveRequest of the composer's API.

        The answer is shared for 5 minutes, unless it is an error of the platform, such as a repository that cannot be
        read.

        Raises RateLimitedError if the tenant has too many running, and UnavailableError if there is no answer in time.
        """
        key = sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).digest()
        with self._lock:
            self._drop_old()
            entry = self._entries.get(key)
            is_new = entry is None
            if entry is None:
                if self._running[tenant] >= _MOST_PER_TENANT:
                    raise RateLimitedError(
                        f"At most {_MOST_PER_TENANT} checks of an organization may resolve packages at the same time",
                        retry_after=_RETRY_AFTER,
                    )
                self._running[tenant] += 1
                entry = self._entries[key] = _Entry(Future())
        if is_new:
            self._run(tenant, key, entry, request)
        elif not entry.ended.done():
            wait((entry.ended,), max(0.0, min(_TIMEOUT, remaining_seconds())))
            if not entry.ended.done():
                raise UnavailableError("The composer did not resolve the packages in time")
        return entry.ended.result()

    def _run(self, tenant: str, key: bytes, entry: _Entry, request: dict[str, Any]) -> None:
        # What those who wait get after an unforeseen error.
        error: ImageBuilderError | None = UnavailableError("The packages could not be resolved")
        resolution = Resolution()
        try:
            # No deadline of its own: the circuit breaker disregards calls that end early because of a deadline.
            resolution = self._resolver.resolve_packages(request)
            error = None
        except ImageBuilderError as raised:
            error = raised
        finally:
            with self._lock:
                self._running[tenant] -= 1
                if not self._running[tenant]:
                    del self._running[tenant]
                if error is None and _is_about_request(resolution):
                    entry.packages = len(resolution.packages)
                    entry.valid_until = time.monotonic() + _VALID_FOR
                else:
                    self._entries.pop(key, None)
            if error is None:
                entry.ended.set_result(resolution)
            else:
                entry.ended.set_exception(error)

    def _drop_old(self) -> None:
        """Drop expired answers, then the oldest ones until the limits hold. Needs the lock; running calls stay."""
        now = time.monotonic()
        ended = [key for key, entry in self._entries.items() if entry.ended.done()]
        packages = sum(self._entries[key].packages for key in ended)
        for number, key in enumerate(ended):
            too_many = len(ended) - number > _MOST_ANSWERS or packages > _MOST_PACKAGES
            if too_many or self._entries[key].valid_until < now:
                packages -= self._entries.pop(key).packages


def _is_about_request(resolution: Resolution) -> bool:
    """Whether an equal request would get an equal answer: the packages, or an error that the request causes."""
    return resolution.error is None or explain(resolution.error).responsible is Responsible.REQUEST
