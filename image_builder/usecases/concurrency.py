"""Runs independent calls in parallel, and checks that a back-end is configured."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from domain.errors import UnavailableError
from image_builder.fair_threads import FairThreads

Call = Callable[[], Any]
T = TypeVar("T")


def run_concurrently(
    threads: FairThreads, organization: str, calls: Sequence[Callable[[], T]], *, at_once: int | None = None
) -> list[T]:
    """Run the calls, at most `at_once` (None: all) at the same time, and return their results in the same order.

    The calling thread runs calls, too: first the first one, then those that no thread of the pool has begun. Therefore
    a busy pool delays a request but does not block it. Each call runs in a copy of the caller's context variables.

    After all calls have ended, raises the error of the first failed call, in the order of `calls`.
    """
    if len(calls) <= 1:
        return [call() for call in calls]
    outcomes: list[Callable[[], T]] = list(calls)
    pending = deque(range(len(calls)))

    def run_pending() -> None:
        while True:
            try:
                number = pending.popleft()
            except IndexError:
                return
            outcomes[number] = _run(calls[number])

    workers = min(len(calls), at_once or len(calls)) - 1
    running = [threads.submit(organization, partial(copy_context().run, run_pending)) for _ in range(workers)]
    run_pending()
    for worker in running:
        if not worker.cancel():
            worker.result()
    return [outcome() for outcome in outcomes]


def _run(call: Callable[[], T]) -> Callable[[], T]:
    """Run the call; return a function that returns its result or raises its error."""
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - the returned function raises it
        return partial(_raise, error)
    return lambda: result


def _raise(error: Exception) -> Any:
    raise error


def require_configured(back_end: T | None, name: str) -> T:
    """Return the back-end, which `name` names in the error.

    Raises UnavailableError without a time to retry if it is None, that is, not configured.
    """
    if back_end is None:
        raise UnavailableError(f"This needs {name}, which is not set up here", retry_after=None)
    return back_end
