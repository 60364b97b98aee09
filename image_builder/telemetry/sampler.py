"""Tells the metrics what nobody reports as it happens: the use of the database pool, and which breakers are open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from image_builder.telemetry.metrics import Metrics


class Openable(Protocol):
    """A circuit breaker."""

    @property
    def is_open(self) -> bool:
        """Whether it leaves the back-end alone until a trial is answered."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """`pool` gives what Metrics.pool takes; `breakers` go by their back-ends' names."""

    metrics: Metrics
    pool: Callable[[], Mapping[str, int]]
    breakers: Mapping[str, Openable]

    def sample(self) -> None:
        """Tell how things are now."""
        self.metrics.pool(self.pool())
        for back_end, breaker in self.breakers.items():
            self.metrics.breaker(back_end, is_open=breaker.is_open)
