"""The service levels of a load test, and whether they were kept (deploy/prometheus has the same over 30 days)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any


def number(name: str, default: float) -> float:
    """What the environment says, or the default."""
    return float(os.environ.get(name) or default)


@dataclass(slots=True)
class Level:
    """A share of requests that has to be good."""

    name: str
    meaning: str
    objective: float
    requests: int = 0
    good: int = 0

    def count(self, good: bool) -> None:
        """One more request."""
        self.requests += 1
        self.good += good

    @property
    def share(self) -> float:
        """The share of good ones; none of none, since nothing was tried."""
        return self.good / self.requests if self.requests else 0.0

    @property
    def kept(self) -> bool:
        """Whether it was reached."""
        return self.share >= self.objective


@dataclass(slots=True)
class Levels:
    """Latency and stability; times in seconds. A request without an answer has status 0."""

    seconds: float = field(default_factory=lambda: number("LATENCY_SECONDS", 0.5))
    compose_seconds: float = field(default_factory=lambda: number("COMPOSE_SECONDS", 4.0))
    latency: Level = field(init=False)
    compose_latency: Level = field(init=False)
    compose_stability: Level = field(init=False)

    def __post_init__(self) -> None:
        self.latency = Level("latency", f"within {self.seconds:g} s", number("LATENCY_OBJECTIVE", 0.95))
        self.compose_latency = Level(
            "compose latency", f"within {self.compose_seconds:g} s", number("COMPOSE_LATENCY_OBJECTIVE", 0.95)
        )
        self.compose_stability = Level(
            "compose stability", "no 5xx, and an answer", number("COMPOSE_STABILITY_OBJECTIVE", 0.99)
        )

    def count(self, name: str, status: int, seconds: float) -> None:
        """One answer, or none, to a request for this route."""
        if name.endswith("/compose"):
            self.compose_latency.count(status > 0 and seconds <= self.compose_seconds)
            self.compose_stability.count(0 < status < 500)
        else:
            self.latency.count(status > 0 and seconds <= self.seconds)

    @property
    def all(self) -> tuple[Level, Level, Level]:
        """Each of them."""
        return self.latency, self.compose_latency, self.compose_stability

    @property
    def kept(self) -> bool:
        """Whether all were reached."""
        return all(level.kept for level in self.all)

    def summary(self) -> dict[str, Any]:
        """What was measured, by name."""
        return {
            level.name: {"share": round(level.share, 4), "objective": level.objective, "requests": level.requests}
            for level in self.all
        }

    def __str__(self) -> str:
        return "\n".join(
            f"{level.name:<18} {level.meaning:<22} {level.share:8.2%} of {level.requests} "
            f"(objective {level.objective:.0%}): {'kept' if level.kept else 'MISSED'}"
            for level in self.all
        )
