"""The metrics of one process, by the names that dashboards know."""

from __future__ import annotations

import re

import pytest

from image_builder.telemetry.metrics import Metrics
from ports.meter import CallOutcome
from tests.support.metrics import CRC, Exposition

BUCKETS = "0.025 0.05 0.075 0.1 0.2 0.5 0.75 1 1.5 2 3 4 5 6 8 10 12 14 16 20 +Inf"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["/compose", "/composes/{composeId}"])


def told(metrics: Metrics) -> Exposition:
    return Exposition.of(metrics.exposition().decode())


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("http_duration_seconds", "histogram", None),
        ("request_count", "counter", {"method", "path", "code"}),
        ("compose_requests_total", "counter", set()),
        ("compose_errors", "counter", set()),
    ],
)
def test_the_metrics_of_old_keep_names_and_labels(
    metrics: Metrics, name: str, kind: str, labels: set[str] | None
) -> None:
    metrics.observe("/compose", "POST", 201, 0.3)
    exposition = told(metrics)
    assert exposition.type_of(name) == kind
    if labels is not None:
        assert [set(each) for each in exposition.label_sets(name)] == [labels]


def test_durations_go_by_path_alone_and_into_the_buckets_of_old(metrics: Metrics) -> None:
    found = [
        labels for labels in told(metrics).label_sets("http_duration_seconds_bucket") if labels["path"] == "/compose"
    ]
    assert " ".join(labels["le"] for labels in found) == BUCKETS
    assert all(set(labels) == {"path", "le"} for labels in found)


def test_a_duration_is_in_its_bucket_and_all_larger_ones(metrics: Metrics) -> None:
    metrics.observe("/compose", "POST", 201, 0.3)
    exposition = told(metrics)
    assert exposition.value("http_duration_seconds_bucket", path="/compose", le="0.2") == 0
    assert exposition.value("http_duration_seconds_bucket", path="/compose", le="0.5") == 1
    assert exposition.value("http_duration_seconds_bucket", path="/compose", le="+Inf") == 1
    assert exposition.value("http_duration_seconds_count", path="/compose") == 1
    assert exposition.value("http_duration_seconds_sum", path="/compose") == 0.3


def test_nothing_else_is_told_under_other_names(metrics: Metrics) -> None:
    metrics.observe("/compose", "POST", 500, 0.3)
    metrics.back_end_called("composer", CallOutcome.LATE, 10.0)
    names = {name for name, _ in told(metrics).samples}
    assert not {name for name in names if re.search("_created$|request_count_total|compose_errors_total", name)}
    assert all(name.startswith(CRC) for name in names)


def test_every_route_is_there_before_its_first_request(metrics: Metrics) -> None:
    exposition = told(metrics)
    assert exposition.value("http_duration_seconds_count", path="/composes/{composeId}") == 0
    assert {"path": "/composes/{composeId}"} in list(exposition.label_sets("http_duration_seconds_count"))


@pytest.mark.parametrize("template", ["/compose", "/blueprints/{id}/compose"])
@pytest.mark.parametrize(("status", "errors"), [(201, 0), (400, 0), (403, 0), (429, 0), (500, 1), (503, 1), (0, 1)])
def test_builds_count_and_of_their_failures_those_that_are_ours(
    metrics: Metrics, template: str, status: int, errors: int
) -> None:
    metrics.observe(template, "POST", status, 0.1)
    exposition = told(metrics)
    assert exposition.value("compose_requests_total") == 1
    assert exposition.value("compose_errors") == errors


@pytest.mark.parametrize("template", ["/composes", "/composes/{composeId}", "/blueprints/{id}/composes", ""])
def test_nothing_else_counts_as_a_build(metrics: Metrics, template: str) -> None:
    metrics.observe(template, "POST", 500, 0.1)
    exposition = told(metrics)
    assert exposition.value("compose_requests_total") == 0
    assert exposition.value("compose_errors") == 0


def test_a_request_without_an_answer_counts_as_a_failure(metrics: Metrics) -> None:
    metrics.observe("/compose", "POST", 0, 0.1)
    assert told(metrics).value("request_count", code="500") == 1


def test_calls_of_back_ends_go_by_back_end_and_outcome(metrics: Metrics) -> None:
    metrics.back_end_called("composer", CallOutcome.LATE, 10.0)
    metrics.back_end_called("composer", CallOutcome.SUCCESS, 0.1)
    exposition = told(metrics)
    assert exposition.value("back_end_duration_seconds_count", back_end="composer", outcome="late") == 1
    assert exposition.value("back_end_duration_seconds_count", back_end="composer") == 2


def test_refusals_by_rate_go_by_budget(metrics: Metrics) -> None:
    metrics.rate_limited("builds")
    metrics.rate_limited("builds")
    metrics.rate_limited("reads")
    exposition = told(metrics)
    assert exposition.value("rate_limit_refusals_total", budget="builds") == 2
    assert exposition.value("rate_limit_refusals_total") == 3


def test_what_becomes_of_starts_cut_short_is_told(metrics: Metrics) -> None:
    metrics.starts_unmatched(7)
    metrics.starts_unmatched(4)
    metrics.reconciliation_completed()
    metrics.starts_adopted()
    metrics.starts_released(2)
    exposition = told(metrics)
    assert exposition.value("starts_unmatched") == 4
    assert exposition.value("starts_reconciled_timestamp_seconds") > 1.7e9
    assert exposition.value("starts_adopted_total") == 1
    assert exposition.value("starts_released_total") == 2


def test_without_a_word_of_the_operator_nothing_is_written_to_files(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    metrics.observe("/compose", "GET", 405, 0.1)
    assert told(metrics).value("request_count") == 1
