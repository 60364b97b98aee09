"""Prometheus metrics of the service (docs/operations.md, Metrics)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.registry import Collector

from domain.budgets import Budget
from domain.composer_errors import Fault
from domain.looks import LookOutcome, UnfinishedBuilds
from ports.meter import CallOutcome

# Upper bounds of histogram buckets, in seconds.
_BUCKETS: Final = (0.025, 0.05, 0.075, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20)
_BACK_END_BUCKETS: Final = (0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_PREFIX: Final = "image_builder_crc"
# Counters whose names have no suffix `_total`, as in the Go service; prometheus-client adds one to each counter.
_WITHOUT_TOTAL: Final = (f"{_PREFIX}_request_count", f"{_PREFIX}_compose_errors")
# Alerting rules written for the Go service use labels such as `le="4"`. prometheus-client writes `le="4.0"`, which is
# another label value for Prometheus before version 3.
_WHOLE_BOUND: Final = re.compile(rb'\ble="(\d+)\.0"')
# Ages of unfinished builds, for each age of domain.looks.SCHEDULE.
_AGES: Final = ("up to 30 minutes", "30 minutes to 2 hours", "2 hours to 14 days")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one process. Thread-safe. Implements ports.meter.Meter."""

    def __init__(self, templates: Iterable[str] = (), shared: Collector | None = None) -> None:
        """`templates` are the path templates of all operations: their series exist from the start, so that Prometheus
        sees the first increment. `shared` is the MetricsSlot of a worker process; the worker then reports the sums over
        all workers.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]
        if shared is None:
            values.ValueClass = values.MutexValue  # also if PROMETHEUS_MULTIPROC_DIR is set
        registry = CollectorRegistry()
        self._collected = shared or registry
        # Metrics by their label values: prometheus-client takes longer to look them up than to count.
        self._children: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}
        self._calls: dict[tuple[str, CallOutcome], Histogram] = {}

        def counter(name: str, documentation: str, labels: Iterable[str] = ()) -> Counter:
            return Counter(f"{_PREFIX}_{name}", documentation, labels, registry=registry)

        def gauge(name: str, documentation: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", documentation, labels, registry=registry, multiprocess_mode="livesum")

        def latest(name: str, documentation: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", documentation, labels, registry=registry, multiprocess_mode="mostrecent")

        self._seconds = Histogram(
            f"{_PREFIX}_http_duration_seconds",
            "Seconds from a request's arrival to its answer",
            ["path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._back_ends = Histogram(
            f"{_PREFIX}_back_end_duration_seconds",
            "Seconds of a call to a back-end, by outcome",
            ["back_end", "outcome"],
            buckets=_BACK_END_BUCKETS,
            registry=registry,
        )
        self._requests = counter("request_count", "Requests", ["method", "path", "code"])
        self._composes = counter("compose_requests_total", "Requests to start builds")
        self._failed_composes = counter("compose_errors", "Requests to start builds that failed")
        self._quota_refusals = counter("quota_refusals_total", "Builds refused because of a quota")
        self._composer_refusals = counter(
            "composer_refusals_total", "Builds that the composer refused, by the party at fault", ["fault"]
        )
        self._rate_limit_refusals = counter(
            "rate_limit_refusals_total", "Requests refused because of a rate limit", ["budget"]
        )
        self._store_failures = counter(
            "rate_limit_store_failures_total", "Requests not counted because the rate limit store was unavailable"
        )
        self._adopted = counter(
            "starts_adopted_total", "Abandoned starts that were found at the composer and recorded as builds"
        )
        self._released = counter(
            "starts_released_total", "Abandoned starts that were not found at the composer and were released"
        )
        self._conflicting_ids = counter(
            "composer_conflicting_ids_total", "New builds to which the composer gave the id of another build"
        )
        self._unmatched = latest("starts_unmatched", "Abandoned starts whose outcome is unknown")
        self._reconciled = latest(
            "starts_reconciled_timestamp_seconds",
            "Time of the last search for abandoned starts; before the first one, when the service started",
        )
        self._looks = counter(
            "status_looks_total", "Times that the composer was asked for the status of a build", ["outcome"]
        )
        self._unfinished = latest("builds_unfinished", "Watched builds without a final status, by age", ["age"])
        self._look_lag = latest("status_look_lag_seconds", "Seconds by which the most overdue look at a build is late")
        self._watched = latest(
            "statuses_watched_timestamp_seconds",
            "Time of the last look of the status watcher; before the first one, when the service started",
        )
        self._breakers = gauge(
            "back_end_breaker_open", "Processes whose circuit breaker for a back-end is open", ["back_end"]
        )
        self._pool = {
            name: gauge(f"database_pool_{name}", f"Database connections: {description}")
            for name, description in {
                "limit": "maximum number",
                "size": "open",
                "in_use": "in use, or being opened",
                "waiting": "requests that wait for one",
            }.items()
        }
        for template in templates:
            self._seconds.labels(template)
        for fault in Fault:
            self._composer_refusals.labels(fault.value)
        for outcome in LookOutcome:
            self._looks.labels(outcome)
        for budget in Budget:
            self._rate_limit_refusals.labels(budget.value)

    def record_start(self) -> None:
        """Record that the process begins to serve.

        The time counts as that of the last search for abandoned starts: a process that never searches, because another
        one does, would report no time otherwise.
        """
        self._reconciled.set(time.time())

    def observe(self, template: str, method: str, status: int, seconds: float) -> None:
        """Count a request below a base path.

        `template` is empty if it matched no operation, `status` 0 if it has no answer.
        """
        status = status or 500  # the service was shut down before it could answer
        children = self._children.get((template, method, status))
        if children is None:
            children = self._seconds.labels(template), self._requests.labels(method, template, str(status))
            self._children[template, method, status] = children
        children[0].observe(seconds)
        children[1].inc()
        if template.endswith(("/compose", "/rerun")):
            self._composes.inc()
            if status >= 500:
                self._failed_composes.inc()

    def back_end_called(self, back_end: str, outcome: CallOutcome, seconds: float) -> None:
        """Implements `Meter.back_end_called`."""
        calls = self._calls.get((back_end, outcome))
        if calls is None:
            calls = self._calls[back_end, outcome] = self._back_ends.labels(back_end, outcome)
        calls.observe(seconds)

    def quota_refused(self) -> None:
        """Implements `Meter.quota_refused`."""
        self._quota_refusals.inc()

    def build_refused(self, fault: Fault) -> None:
        """Implements `Meter.build_refused`."""
        self._composer_refusals.labels(fault.value).inc()

    def rate_limited(self, budget: str) -> None:
        """Implements `Meter.rate_limited`."""
        self._rate_limit_refusals.labels(budget).inc()

    def rate_limit_store_unavailable(self) -> None:
        """Implements `Meter.rate_limit_store_unavailable`."""
        self._store_failures.inc()

    def starts_unmatched(self, number: int) -> None:
        """Implements `Meter.starts_unmatched`."""
        self._unmatched.set(number)

    def reconciliation_completed(self) -> None:
        """Implements `Meter.reconciliation_completed`."""
        self._reconciled.set(time.time())

    def starts_adopted(self, number: int = 1) -> None:
        """Implements `Meter.starts_adopted`."""
        self._adopted.inc(number)

    def starts_released(self, number: int = 1) -> None:
        """Implements `Meter.starts_released`."""
        self._released.inc(number)

    def build_id_conflicted(self) -> None:
        """Implements `Meter.build_id_conflicted`."""
        self._conflicting_ids.inc()

    def status_looked(self, outcome: LookOutcome) -> None:
        """Implements `Meter.status_looked`."""
        self._looks.labels(outcome).inc()

    def builds_unfinished(self, builds: UnfinishedBuilds) -> None:
        """Implements `Meter.builds_unfinished`."""
        for age, count in zip(_AGES, builds.counts, strict=True):
            self._unfinished.labels(age).set(count)
        self._look_lag.set(builds.lag.total_seconds())

    def status_watch_completed(self) -> None:
        """Implements `Meter.status_watch_completed`."""
        self._watched.set(time.time())

    def set_breaker(self, back_end: str, *, is_open: bool) -> None:
        """Set whether this process' circuit breaker for a back-end is open."""
        self._breakers.labels(back_end).set(is_open)

    def set_pool_usage(self, figures: Mapping[str, int]) -> None:
        """Set the numbers of this process' database connections: `limit`, `size`, `in_use` and `waiting`."""
        for name, gauge in self._pool.items():
            gauge.set(figures[name])

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        text = generate_latest(self._collected)
        for name in _WITHOUT_TOTAL:
            text = text.replace(f"{name}_total".encode(), name.encode())
        return _WHOLE_BOUND.sub(rb'le="\1"', text)
