"""Gauges that are read at intervals: the usage of the database pool, and the state of circuit breakers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from image_builder.telemetry.metrics import Metrics


class CircuitBreaker(Protocol):
    """A circuit breaker of a back-end."""

    @property
    def is_open(self) -> bool:
        """Whether calls are refused until a trial call succeeds."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """Copies the state of the process to gauges.

    `pool` returns the argument of Metrics.set_pool_usage; `breakers` are by the names of their back-ends.
    """

    metrics: Metrics
    pool: Callable[[], Mapping[str, int]]
    breakers: Mapping[str, CircuitBreaker]

    def sample(self) -> None:
        """Set the gauges to the present state."""
        self.metrics.set_pool_usage(self.pool())
        for back_end, breaker in self.breakers.items():
            self.metrics.set_breaker(back_end, is_open=breaker.is_open)
