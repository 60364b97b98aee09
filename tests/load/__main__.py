"""`python -m tests.load`: Locust against BASE_URL, or against the embedded default, which it starts for the while.

Environment: BASE_URL (with or without the base path), IDENTITY (a value of x-rh-identity; otherwise organizations are
made up), USERS, DURATION (as Locust writes it: 30s, 2m), SPAWN_RATE (users a second), WORKERS (of the embedded
default), REPORT; LATENCY_SECONDS, COMPOSE_SECONDS, LATENCY_OBJECTIVE, COMPOSE_LATENCY_OBJECTIVE,
COMPOSE_STABILITY_OBJECTIVE (tests/load/levels.py). It ends with 1 where a service level is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from tests.support.embedded import embedded
from tests.support.service import BASE, PROJECT

REPORT = PROJECT / "build" / "load" / "report.html"
# A load test is not one of the rates that an organization may ask at.
UNLIMITED = {"RATE_LIMITS": "false"}


def main() -> int:
    """Run it as the environment says; its exit status."""
    url = os.environ.get("BASE_URL", "").rstrip("/")
    if url:
        return locust(url, os.environ)
    with embedded(workers=int(os.environ.get("WORKERS") or 1), environment=UNLIMITED) as running:
        return locust(running.url, os.environ)


def locust(url: str, options: Mapping[str, str]) -> int:
    """Locust's exit status for the service at that URL; its report is written first."""
    report = Path(options.get("REPORT") or REPORT)
    report.parent.mkdir(parents=True, exist_ok=True)
    users = int(options.get("USERS") or 50)
    command = [
        *(sys.executable, "-m", "locust", "--locustfile", str(PROJECT / "tests" / "load" / "locustfile.py")),
        *("--headless", "--only-summary", "--html", str(report)),
        *("--stop-timeout", options.get("STOP_TIMEOUT") or "10"),
        *("--users", str(users), "--spawn-rate", options.get("SPAWN_RATE") or str(max(users / 5, 1))),
        *("--run-time", options.get("DURATION") or "60s"),
        *("--host", url if urlsplit(url).path else url + BASE),
    ]
    status = subprocess.run(command, cwd=PROJECT, env={**options, "PYTHONPATH": str(PROJECT)}, check=False).returncode
    click.echo(f"Report with plots: {report}")
    return status


if __name__ == "__main__":
    sys.exit(main())
