"""The rules of deploy/prometheus and the dashboard of deploy/grafana, checked by promtool."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.monitoring import (
    DASHBOARD,
    DEPLOY,
    RULES,
    dashboard_expressions,
    needs_promtool,
    promtool,
    recorded,
    rules,
)
from tests.support.rounds import sampled

PROMETHEUS = DEPLOY / "prometheus"
OPERATIONS = DEPLOY.parent / "docs" / "operations.md"


def accepted(*arguments: str | Path) -> None:
    status, output = promtool(*arguments)
    assert status == 0, output


@needs_promtool
def test_prometheus_accepts_the_rules() -> None:
    accepted("check", "rules", RULES)


@needs_promtool
@pytest.mark.parametrize("file", sorted(PROMETHEUS.glob("*.tests.yml")), ids=lambda file: file.name)
def test_the_alerts_fire_exactly_when_expected(file: Path, tmp_path: Path) -> None:
    # Not parsed as YAML: there `0x400`, 400 values of 0, is a hexadecimal number.
    head, *cases = re.split(r"(?m)^(?=  - name: )", file.read_text())
    assert cases
    absolute = head.replace("rule_files: [", f"rule_files: [{PROMETHEUS}/")
    some = tmp_path / file.name
    some.write_text(absolute + "".join(sampled(cases, 3)))
    accepted("test", "rules", some)


@needs_promtool
def test_prometheus_accepts_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    asked = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(dashboard_expressions())]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    accepted("check", "rules", file)


def test_every_alert_has_a_promtool_test() -> None:
    tried = "".join(file.read_text() for file in PROMETHEUS.glob("*.tests.yml"))
    assert not [rule["alert"] for rule in rules() if "alert" in rule and f'"{rule["alert"]}"' not in tried]


@pytest.mark.parametrize("alert", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"])
def test_every_alert_has_texts_and_a_runbook_section_that_exists(alert: dict[str, dict[str, str]]) -> None:
    assert {"summary", "description", "runbook"} <= set(alert["annotations"])
    file, anchor = alert["annotations"]["runbook"].split("#")
    assert DEPLOY.parent / file == OPERATIONS
    headings = re.findall(r"^#+ (.+)$", OPERATIONS.read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_recorded_series_is_used() -> None:
    asked = " ".join([*dashboard_expressions(), *(rule["expr"] for rule in rules())])
    assert not {name for name in recorded() if not re.search(rf"\b{name}\b", asked)}


def test_the_dashboard_works_with_any_data_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    (variable,) = [each for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    for panel in dashboard["panels"]:
        for asks in [panel, *panel.get("targets", ())] if panel["type"] != "row" else ():
            assert asks["datasource"] == {"type": "prometheus", "uid": f"${{{variable['name']}}}"}


def test_no_panel_overlaps_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
