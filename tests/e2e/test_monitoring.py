"""Whatever rules and dashboard ask Prometheus for, the running service really tells."""

from __future__ import annotations

from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import composed, kept
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.metrics import Exposition, eventually
from tests.support.monitoring import dashboard_expressions, needs_promtool, promtool, recorded, rules, selectors
from tests.support.platform import service_with


@pytest.fixture(scope="module")
def told(
    module_database: Parameters, composer_process: StandInComposer, platform_process: StandInPlatform
) -> Exposition:
    """What the service tells after a short load."""
    watching = {"STATUS_LOOKS_PER_SECOND": "20"}
    with service_with(module_database, composer_process.url, platform_process, **watching) as running:
        client = running.client(uuid4().hex)
        compose = client.compose(compose_request())
        composed(client, kept(client))
        for path in ("/composes", f"/composes/{compose}", "/distributions", f"/composes/{uuid4()}", "/nothing"):
            client.get(path)
        client.post("/compose", {})
        composer_process.steer(post_raw={"status": 500, "body": ""})
        assert client.post("/compose", compose_request()).status_code >= 500
        composer_process.reset()
        return eventually(
            running.url,
            lambda now: (
                now.value("compose_errors")
                and now.value("database_pool_size")
                and now.value("starts_reconciled_timestamp_seconds")
                and now.value("builds_unfinished")
            ),
        )


@pytest.mark.parametrize("expression", sorted({*dashboard_expressions(), *(rule["expr"] for rule in rules())}))
def test_every_series_that_is_asked_for_is_told_or_recorded(told: Exposition, expression: str) -> None:
    found = list(selectors(expression))
    assert found or "image_builder" not in expression
    for selector in found:
        if selector.metric in recorded():
            continue
        assert [labels for name, labels in told.samples if name == selector.metric and selector.takes(dict(labels))], (
            selector
        )


def test_every_label_that_is_summed_by_is_told(told: Exposition) -> None:
    known = {name for _, labels in told.samples for name, _ in labels}
    theirs = {"namespace", "slo", "alertname"}  # Prometheus' own, and the rules'
    for expression in [*dashboard_expressions(), *(rule["expr"] for rule in rules())]:
        assert _summed_by(expression) <= known | theirs, expression


@needs_promtool
def test_prometheus_takes_what_is_told_and_minds_the_names_that_are_given_alone(told: Exposition) -> None:
    status, remarks = promtool("check", "metrics", given=told.text)
    assert status in {0, 3}, remarks
    assert {line.split()[0] for line in remarks.splitlines()} == {
        "image_builder_crc_request_count",
        "image_builder_crc_compose_errors",
    }


def _summed_by(expression: str) -> set[str]:
    return {label.strip() for listed in expression.split("by (")[1:] for label in listed.partition(")")[0].split(",")}
