"""Metrics under the names that dashboards know (spec: Running it)."""

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
from ports.meter import CallOutcome

_BUCKETS: Final = (0.025, 0.05, 0.075, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20)
_BACK_END_BUCKETS: Final = (0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_PREFIX: Final = "image_builder_crc"
# prometheus-client ends the name of every counter in `_total`; these are given without.
_WITHOUT_TOTAL: Final = (f"{_PREFIX}_request_count", f"{_PREFIX}_compose_errors")
# Rules of before ask for `le="4"`; prometheus-client writes `4.0`, which Prometheus takes for another before version 3.
_WHOLE: Final = re.compile(rb'\ble="(\d+)\.0"')
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What a process counts, and tells. Thread-safe; fulfils ports.meter.Meter.

    One of several workers tells what `shared`, its slot, collects from all of them.

    `templates` are the routes' paths below a base path: what can be is there at zero from the start, so that Prometheus
    sees the first one come.
    """

    def __init__(self, templates: Iterable[str] = (), shared: Collector | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        if shared is None:
            values.ValueClass = values.MutexValue  # whatever PROMETHEUS_MULTIPROC_DIR says
        registry = CollectorRegistry()
        self._collected = shared or registry
        # The labelled metrics by what they are labelled with: looking them up costs more than counting.
        self._children: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}
        self._calls: dict[tuple[str, CallOutcome], Histogram] = {}

        def counter(name: str, documentation: str, labels: Iterable[str] = ()) -> Counter:
            return Counter(f"{_PREFIX}_{name}", documentation, labels, registry=registry)

        def gauge(name: str, documentation: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", documentation, labels, registry=registry, multiprocess_mode="livesum")

        def latest(name: str, documentation: str) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", documentation, registry=registry, multiprocess_mode="mostrecent")

        self._seconds = Histogram(
            f"{_PREFIX}_http_duration_seconds",
            "Seconds from a request's arrival to its answer",
            ["path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._back_ends = Histogram(
            f"{_PREFIX}_back_end_duration_seconds",
            "Seconds of a back-end's call, and what became of it",
            ["back_end", "outcome"],
            buckets=_BACK_END_BUCKETS,
            registry=registry,
        )
        self._requests = counter("request_count", "Requests", ["method", "path", "code"])
        self._composes = counter("compose_requests_total", "Requests to start builds")
        self._failed_composes = counter("compose_errors", "Requests to start builds that failed")
        self._quota_refusals = counter("quota_refusals_total", "Builds refused because of a quota")
        self._composer_refusals = counter(
            "composer_refusals_total", "Builds that the composer refused, by whose fault it is", ["fault"]
        )
        self._rate_limit_refusals = counter(
            "rate_limit_refusals_total", "Requests refused because of a rate", ["budget"]
        )
        self._store_failures = counter(
            "rate_limit_store_failures_total", "Requests that passed uncounted because the store of rates was away"
        )
        self._adopted = counter("starts_adopted_total", "Starts cut short that were found to be builds")
        self._released = counter("starts_released_total", "Starts cut short that were found to be no builds")
        self._conflicting_ids = counter(
            "composer_conflicting_ids_total", "New builds that the composer named with the id of another build"
        )
        self._unmatched = latest("starts_unmatched", "Starts cut short of which nobody knows what became")
        self._reconciled = latest(
            "starts_reconciled_timestamp_seconds",
            "When starts cut short were last looked after; at first, when the service started",
        )
        self._breakers = gauge(
            "back_end_breaker_open", "Processes that leave a back-end alone but for trials", ["back_end"]
        )
        self._pool = {
            name: gauge(f"database_pool_{name}", f"Database connections: {what}")
            for name, what in {
                "limit": "so many there may be",
                "size": "so many there are",
                "in_use": "in use, or being made",
                "waiting": "requests that wait for one",
            }.items()
        }
        for template in templates:
            self._seconds.labels(template)
        for fault in Fault:
            self._composer_refusals.labels(fault.value)
        for budget in Budget:
            self._rate_limit_refusals.labels(budget.value)

    def started(self) -> None:
        """The process begins to serve: until somebody has looked after starts, the time counts from here.

        Of several processes, one that never looks would tell nothing at all otherwise.
        """
        self._reconciled.set(time.time())

    def observe(self, template: str, method: str, status: int, seconds: float) -> None:
        """Count a request to a route under a base path; `template` is empty where it is no operation's."""
        status = status or 500  # the end of the service cut it off before there was an answer
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

    def back_end_called(self, back_end: str, outcome: CallOutcome, seconds: float) -> None:
        """See ports.meter."""
        calls = self._calls.get((back_end, outcome))
        if calls is None:
            calls = self._calls[back_end, outcome] = self._back_ends.labels(back_end, outcome)
        calls.observe(seconds)

    def quota_refused(self) -> None:
        """See ports.meter."""
        self._quota_refusals.inc()

    def build_refused(self, fault: Fault) -> None:
        """See ports.meter."""
        self._composer_refusals.labels(fault.value).inc()

    def rate_limited(self, budget: str) -> None:
        """See ports.meter."""
        self._rate_limit_refusals.labels(budget).inc()

    def rate_limit_store_unavailable(self) -> None:
        """See ports.meter."""
        self._store_failures.inc()

    def starts_unmatched(self, number: int) -> None:
        """See ports.meter."""
        self._unmatched.set(number)

    def reconciliation_completed(self) -> None:
        """See ports.meter."""
        self._reconciled.set(time.time())

    def starts_adopted(self, number: int = 1) -> None:
        """See ports.meter."""
        self._adopted.inc(number)

    def starts_released(self, number: int = 1) -> None:
        """See ports.meter."""
        self._released.inc(number)

    def build_id_conflicted(self) -> None:
        """See ports.meter."""
        self._conflicting_ids.inc()

    def breaker(self, back_end: str, *, is_open: bool) -> None:
        """Tell whether this process leaves a back-end alone, but for trials."""
        self._breakers.labels(back_end).set(is_open)

    def pool(self, figures: Mapping[str, int]) -> None:
        """Tell how this process' database connections are used: `limit`, `size`, `in_use`, `waiting`."""
        for name, gauge in self._pool.items():
            gauge.set(figures[name])

    def exposition(self) -> bytes:
        """The metrics as Prometheus reads them."""
        text = generate_latest(self._collected)
        for name in _WITHOUT_TOTAL:
            text = text.replace(f"{name}_total".encode(), name.encode())
        return _WHOLE.sub(rb'le="\1"', text)
