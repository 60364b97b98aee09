"""Tells the metrics what nobody reports as it happens: the use of the database pool, and which breakers are open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Final, Protocol

from image_builder.telemetry.metrics import Metrics

# Seconds. Whichever worker process is asked tells what the others said last.
_INTERVAL: Final = 1.0


class Openable(Protocol):
    """A circuit breaker."""

    @property
    def is_open(self) -> bool:
        """Whether it turns calls away at the moment."""


class Sampler:
    """`pool` gives what Metrics.pool takes, `breakers` go by their back-ends' names.

    Start it in the process that it is to speak of: a thread does not survive a fork.
    """

    def __init__(
        self, metrics: Metrics, pool: Callable[[], Mapping[str, int]], breakers: Mapping[str, Openable]
    ) -> None:
        self._metrics = metrics
        self._pool = pool
        self._breakers = breakers
        self._ending = Event()
        self._thread = Thread(target=self._keep_sampling, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin; what a predecessor of this process last said is replaced at once."""
        self.sample()
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._ending.set()
        self._thread.join()

    def sample(self) -> None:
        """Tell how things are now."""
        self._metrics.pool(self._pool())
        for back_end, breaker in self._breakers.items():
            self._metrics.breaker(back_end, is_open=breaker.is_open)

    def _keep_sampling(self) -> None:
        while not self._ending.wait(_INTERVAL):
            self.sample()
