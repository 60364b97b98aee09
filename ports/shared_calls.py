"""Calls that simultaneous callers share (also known as "single flight"): one of them runs, the others wait for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# The number of calls that SharedCalls holds before it drops those without a valid outcome.
_SWEEP_ABOVE: Final = 512


class NoResultError(Exception):
    """A waiting caller got no result: the call did not end in time, or ended with an error that is not shared."""


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[V]):
    ended: Future[V]
    valid_until: float


class SharedCall(Generic[V]):
    """A function that runs only once at a time, and whose outcome is shared.

    Callers get the outcome of the running call, or the last outcome while it is valid. The function runs on the thread
    of a caller that finds neither. Thread-safe.
    """

    def __init__(
        self,
        function: Callable[[], V],
        *,
        valid_until: Callable[[V], float] | None = None,
        valid_for: float = 0.0,
        errors_valid_for: float = 0.0,
        shared_errors: type[Exception] = Exception,
        serve_last_while_running: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Share calls of `function`.

        A result is valid for `valid_for` seconds after the call, or until the time of `clock` that `valid_until` gives;
        an error for `errors_valid_for` seconds. Errors of other types than `shared_errors` reach only the caller on
        whose thread the function ran. With `serve_last_while_running`, callers that come while the function runs get
        the last outcome even if it is no longer valid.
        """
        self._function = function
        self._valid_until = valid_until or (lambda _: clock() + valid_for)
        self._errors_valid_for = errors_valid_for
        self._shared_errors = shared_errors
        self._serve_last_while_running = serve_last_while_running
        self._clock = clock
        self._lock = Lock()
        self._running: Future[V] | None = None
        self._outcome: _Outcome[V] | None = None

    def __call__(self, *, timeout: float = math.inf) -> V:
        """Return the result. Waits at most `timeout` seconds for a call that runs on another thread.

        Raises the error of the function, or NoResultError.
        """
        with self._lock:
            future = self._shared_future()
            if future is None:
                own = self._running = Future[V]()
        if future is None:
            return self._run(own)
        if not future.done():
            wait((future,), None if timeout == math.inf else timeout)
        if not future.done():
            raise NoResultError("no result in time")
        return future.result()

    def forget_if(self, condition: Callable[[V], bool]) -> None:
        """Drop the last result if `condition` holds for it: the next caller runs the function again."""
        with self._lock:
            outcome = self._outcome
            if outcome is not None and outcome.ended.exception() is None and condition(outcome.ended.result()):
                self._outcome = None

    def is_idle(self) -> bool:
        """Return whether the function is not running and there is no valid outcome."""
        with self._lock:
            return self._shared_future() is None

    def _shared_future(self) -> Future[V] | None:
        """Return the future with a caller's result; None if the caller has to run the function. Needs the lock."""
        outcome = self._outcome
        if outcome is not None and (
            self._clock() < outcome.valid_until or (self._serve_last_while_running and self._running is not None)
        ):
            return outcome.ended
        return self._running

    def _run(self, future: Future[V]) -> V:
        try:
            result = self._function()
            valid_until = self._valid_until(result)
        except BaseException as error:
            shared = isinstance(error, self._shared_errors)
            with self._lock:
                if shared and self._errors_valid_for > 0:
                    self._outcome = _Outcome(future, self._clock() + self._errors_valid_for)
                self._running = None
                future.set_exception(error if shared else NoResultError("the call failed"))
            raise
        with self._lock:
            self._outcome, self._running = _Outcome(future, valid_until), None
            future.set_result(result)
        return result


class SharedCalls(Generic[K, V]):
    """A function of one argument: calls with equal arguments are shared while they run, and for some time afterwards.

    An error is raised to all waiting callers, and is not cached. Thread-safe.
    """

    def __init__(
        self, function: Callable[[K], V], *, valid_for: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Share calls of `function`; a result is valid for `valid_for` seconds."""
        self._function = function
        self._valid_for = valid_for
        self._clock = clock
        self._lock = Lock()
        self._calls: dict[K, SharedCall[V]] = {}

    def __call__(self, key: K) -> V:
        """Return the result for `key`. Raises the error of the function."""
        with self._lock:
            call = self._calls.get(key)
            if call is None:
                self._sweep()
                function = partial(self._function, key)
                call = self._calls[key] = SharedCall(function, valid_for=self._valid_for, clock=self._clock)
        return call()

    def _sweep(self) -> None:
        if len(self._calls) > _SWEEP_ABOVE:
            self._calls = {key: call for key, call in self._calls.items() if not call.is_idle()}
