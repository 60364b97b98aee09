"""Asking back-ends: questions that do not need each other's answers are asked at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, TypeVar

from domain.errors import UnavailableError

Call = Callable[[], Any]
T = TypeVar("T")


def together(threads: Executor, calls: Mapping[str, Call]) -> dict[str, Any]:
    """What the calls return, all made at once; the first error in their order is raised, when all have ended."""
    names = list(calls)
    running = [threads.submit(copy_context().run, calls[name]) for name in names[1:]]
    outcomes: list[Call] = [*(calls[name] for name in names[:1]), *(future.result for future in running)]
    results: dict[str, Any] = {}
    error: Exception | None = None
    for name, outcome in zip(names, outcomes, strict=True):
        try:
            results[name] = outcome()
        except Exception as raised:  # noqa: BLE001 - raised below, when nothing runs any more
            error = error or raised
    if error is not None:
        raise error
    return results


def set_up(back_end: T | None, name: str) -> T:
    """The back-end. Raises UnavailableError where it is None: asking again will not help."""
    if back_end is None:
        raise UnavailableError(f"This needs {name}, which is not set up here", retry_after=None)
    return back_end
