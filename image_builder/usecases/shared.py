"""Answers that simultaneous askers share."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Seconds for which an answer stands; how many may stand before those that do not any more are looked for.
_GOOD_FOR: Final = 2.0
_SWEEP_ABOVE: Final = 512


@dataclass(slots=True)
class _Asked(Generic[V]):
    answer: Future[V] = field(default_factory=Future)
    stands_until: float | None = None


class Shared(Generic[K, V]):
    """`ask`, of which those who ask the same within a while get one answer. Errors are shared only while it is asked.

    Thread-safe.
    """

    def __init__(
        self, ask: Callable[[K], V], *, good_for: float = _GOOD_FOR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._good_for = good_for
        self._clock = clock
        self._lock = Lock()
        self._asked: dict[K, _Asked[V]] = {}

    def __call__(self, key: K) -> V:
        """The answer. Raises what `ask` raised."""
        with self._lock:
            asked = self._asked.get(key)
            ours = asked is None or self._is_stale(asked)
            if asked is None or ours:
                self._sweep()
                asked = self._asked[key] = _Asked()
        if ours:
            self._answer(key, asked)
        return asked.answer.result()

    def _answer(self, key: K, asked: _Asked[V]) -> None:
        try:
            answer = self._ask(key)
        except BaseException as error:
            self._forget(key, asked)
            asked.answer.set_exception(error)
            raise
        asked.stands_until = self._clock() + self._good_for
        asked.answer.set_result(answer)

    def _is_stale(self, asked: _Asked[V]) -> bool:
        return asked.stands_until is not None and self._clock() >= asked.stands_until

    def _forget(self, key: K, asked: _Asked[V]) -> None:
        with self._lock:
            if self._asked.get(key) is asked:
                del self._asked[key]

    def _sweep(self) -> None:
        if len(self._asked) > _SWEEP_ABOVE:
            self._asked = {key: asked for key, asked in self._asked.items() if not self._is_stale(asked)}
