"""The rules and the dashboard of deploy/, and the series that they use."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
RULES = DEPLOY / "prometheus" / "image-builder.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "image-builder.json"

_SELECTOR = re.compile(r"\b(image_builder(?:_crc)?[\w:]*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')

# Debian's package `prometheus`; CI has it.
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and not os.environ.get("CI"), reason="promtool is not installed"
)


def promtool(*arguments: str | Path, given: str = "") -> tuple[int, str]:
    """The exit status and the output of promtool."""
    ended = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric with the conditions for its labels."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether Prometheus would select a series with these labels; the labels of the target are ignored."""
        return all(
            (re.fullmatch(value, labels.get(name, "")) is not None) == (operator[0] == "=")
            if "~" in operator
            else (labels.get(name, "") == value) == (operator == "=")
            for name, operator, value in self.matchers
            if name != "namespace"
        )


def rules() -> list[dict[str, Any]]:
    """All recording and alerting rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def recorded() -> frozenset[str]:
    """The names of the series that rules record."""
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


def dashboard_expressions() -> Iterator[str]:
    """The expressions of the dashboard's panels and variables, with filled-in variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$namespace", ".*").replace("$__rate_interval", "5m")
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            (metric,) = re.findall(r"label_values\((\w+), \w+\)", variable["definition"])
            yield metric


def selectors(expression: str) -> Iterator[Selector]:
    """The selectors of this service's series in a PromQL expression."""
    for metric, matchers in _SELECTOR.findall(expression):
        yield Selector(metric, tuple(_MATCHER.findall(matchers)))
