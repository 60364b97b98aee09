"""Metrics under the names that dashboards know (spec: Running it)."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS: Final = (0.025, 0.05, 0.075, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one process.

    Three are counters by nature and gauges by type: prometheus-client appends `_total` to every Counter's name, and
    the names are given.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # The labelled metrics by what they are labelled with: looking them up costs more than counting.
        self._children: dict[tuple[str, str, int], tuple[Histogram, Gauge]] = {}
        self._seconds = Histogram(
            "image_builder_crc_http_duration_seconds",
            "Seconds from a request's arrival to its answer",
            ["path"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._requests = Gauge(
            "image_builder_crc_request_count", "Requests", ["method", "path", "code"], registry=self._registry
        )
        self._composes = Gauge(
            "image_builder_crc_compose_requests_total", "Requests to start builds", registry=self._registry
        )
        self._failed_composes = Gauge(
            "image_builder_crc_compose_errors",
            "Requests to start builds that failed",
            registry=self._registry,
        )
        self._rate_limit_refusals = Counter(
            "image_builder_crc_rate_limit_refusals",
            "Requests refused because of a rate",
            ["budget"],
            registry=self._registry,
        )
        self._store_failures = Counter(
            "image_builder_crc_rate_limit_store_failures",
            "Requests that passed uncounted because the store of rates was away",
            registry=self._registry,
        )

    def observe(self, template: str, method: str, status: int, seconds: float) -> None:
        """Count a request to a route under a base path; `template` is empty where it is no operation's."""
        children = self._children.get((template, method, status))
        if children is None:
            children = self._seconds.labels(template), self._requests.labels(method, template, str(status))
            self._children[template, method, status] = children
        children[0].observe(seconds)
        children[1].inc()
        if template.endswith("/compose"):
            self._composes.inc()
            if status >= 500:
                self._failed_composes.inc()

    def rate_limited(self, budget: str) -> None:
        """Count a request that was refused because of a rate limit."""
        self._rate_limit_refusals.labels(budget).inc()

    def rate_limit_store_away(self) -> None:
        """Count a request that passed because the store of rate limits was away."""
        self._store_failures.inc()

    def exposition(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return generate_latest(self._registry)
