"""`POST /compose` that needs every look-up, each back-end taking 50 ms: how many waits in a row, and how long."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import click
import requests
from rich.table import Table

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import known
from adapters.embedded.platform.process import StandInPlatform
from benchmarks import payloads, rounds
from benchmarks.common import OURS, Server, surroundings
from benchmarks.rounds import Target

_SECONDS = 0.05
_BACK_ENDS = ("content_sources", "provisioning", "compliance")


@click.command()
@click.option("--rounds", "count", default=15, show_default=True, help="Requests of each kind that count.")
def main(*, count: int) -> None:
    """Exit status 1 unless it takes three waits (four with a template) and under 200 ms (250 ms)."""
    table = Table("request", "waits", "ms", "calls", title=f"Every back-end takes {_SECONDS * 1000:.0f} ms")
    targets: list[Target] = []
    with surroundings(composes=1) as where, StandInPlatform() as platform:
        environment = {
            **where.environment(),
            "CONTENT_SOURCES_URL": platform.content_sources_url,
            "CONTENT_SOURCES_REPO_URL": platform.url,
            "PROVISIONING_URL": platform.provisioning_url,
            "COMPLIANCE_URL": platform.compliance_url,
        }
        with Server("ours", OURS, environment) as ours:
            platform.steer(**{name: {"latency": _SECONDS} for name in _BACK_ENDS})
            where.composer.steer(latency=_SECONDS)
            for title, image, waits_at_most, ms_at_most in (
                ("snapshot date", {"snapshot_date": "2025-03-01"}, 3, 200),
                ("content template", {"content_template": known.TEMPLATE}, 4, 250),
            ):
                times, calls = _measured(ours, platform, where.composer, _request(image), count)
                milliseconds = median(times) * 1000
                waits = int(milliseconds // (_SECONDS * 1000))
                table.add_row(title, str(waits), f"{milliseconds:.1f}", ", ".join(calls))
                targets.append(Target(f"{title}: waits in a row", waits, waits_at_most))
                targets.append(Target(f"{title}: time", milliseconds, ms_at_most, " ms"))
    rounds.console.print(table)
    rounds.finish(targets)


def _measured(
    ours: Server, platform: StandInPlatform, composer: StandInComposer, request: dict[str, Any], count: int
) -> tuple[list[float], list[str]]:
    """Seconds of each request, and how often one of them called what, as the stand-ins counted."""
    with requests.Session() as session:
        session.headers.update(payloads.identity(payloads.READER))
        _started(session, ours, request)
        before = {**platform.counters(), **composer.counters()}
        times = [_started(session, ours, request) for _ in range(count)]
        after = {**platform.counters(), **composer.counters()}
    grown = {name: (after[name] - before.get(name, 0)) / count for name in after}
    return times, [f"{called:g} {name}" for name, called in grown.items() if called]


def _started(session: requests.Session, ours: Server, request: dict[str, Any]) -> float:
    began = time.perf_counter()
    answer = session.post(f"{ours.url}{payloads.BASE}/compose", json=request, timeout=10)
    seconds = time.perf_counter() - began
    if answer.status_code != 201:
        raise RuntimeError(f"refused: {answer.status_code} {answer.text}")
    return seconds


def _request(image: dict[str, Any]) -> dict[str, Any]:
    """A policy, two sources, two payload and two custom repositories."""
    upload = {"type": "aws", "options": {"share_with_sources": list(known.AWS_ACCOUNTS)}}
    return {
        "distribution": "rhel-9.6",
        "image_requests": [{"architecture": "x86_64", "image_type": "aws", "upload_request": upload, **image}],
        "customizations": {
            "openscap": {"policy_id": known.POLICY_RHEL9},
            "payload_repositories": [{"id": each, "rhsm": False} for each in (known.EXTERNAL, known.COMMUNITY)],
            "custom_repositories": [{"id": each} for each in (known.EXTERNAL, known.COMMUNITY)],
        },
    }


if __name__ == "__main__":
    main()
