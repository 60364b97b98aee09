"""A load test that misses a service level fails, one that keeps all does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.load.levels import Levels
from tests.support.service import PROJECT, Service
from tests.support.waiting import PATIENCE

# The machine may be busy: only what the composer is told to take counts as slow.
PATIENT = {"LATENCY_SECONDS": "60", "COMPOSE_SECONDS": "60"}


def load(service: Service, report: Path, **options: str) -> tuple[int, str]:
    """The exit status and the output of six seconds of a few users."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load"],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "BASE_URL": service.url,
            "USERS": "5",
            "SPAWN_RATE": "5",
            "DURATION": "6s",
            "REPORT": str(report),
            **PATIENT,
            **options,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


def missed(output: str) -> list[str]:
    return [line.split("  ")[0] for line in output.splitlines() if line.endswith("MISSED")]


def test_a_load_that_keeps_the_service_levels_passes_and_leaves_a_report(
    service: Service, composer: StandInComposer, tmp_path: Path
) -> None:
    status, output = load(service, tmp_path / "report.html")
    assert (status, missed(output)) == (0, []), output
    assert "/composes/{id}" in (tmp_path / "report.html").read_text()


def test_a_load_with_a_slow_composer_fails(service: Service, composer: StandInComposer, tmp_path: Path) -> None:
    composer.steer(latency=2.0)
    status, output = load(service, tmp_path / "report.html", COMPOSE_SECONDS="1")
    assert (status, missed(output)) == (1, ["compose latency"]), output


def test_a_load_that_nobody_answers_fails(tmp_path: Path) -> None:
    nobody = Service({"host": "", "port": "", "dbname": "", "user": ""}, "")
    status, output = load(nobody, tmp_path / "report.html", DURATION="3s")
    assert (status, missed(output)) == (1, ["latency", "compose latency", "compose stability"]), output


@pytest.mark.parametrize(
    ("status", "seconds", "kept"), [(201, 0.1, True), (403, 0.1, True), (500, 0.1, False), (0, 0.1, False)]
)
def test_a_build_is_stable_that_succeeds_or_fails_by_the_users_own_error(
    status: int, seconds: float, kept: bool
) -> None:
    levels = Levels()
    levels.count("/blueprints/{id}/compose", status, seconds)
    assert levels.compose_stability.kept is kept


def test_builds_have_a_threshold_of_their_own() -> None:
    levels = Levels()
    for name in ("/compose", "/composes"):
        levels.count(name, 200, 1.0)
    assert levels.compose_latency.kept
    assert not levels.latency.kept


def test_what_was_never_tried_is_not_kept() -> None:
    assert not any(level.kept for level in Levels().all)
