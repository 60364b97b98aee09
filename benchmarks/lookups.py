"""`POST /compose` that needs every look-up, each back-end taking 50 ms: how many waits in a row, and how long.

The stand-ins count: they remember when each call began and ended.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, median_high
from typing import Any, Final

import click
import requests
from rich.table import Table

from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from adapters.embedded.stand_in.process import StandInProcess
from benchmarks import payloads, rounds
from benchmarks.common import OURS, Server, surroundings
from benchmarks.rounds import Target

_SECONDS = 0.05
# A call as a stand-in remembers it, and what makes two of them the same question.
Call = Mapping[str, Any]
_QUESTION: Final = ("back_end", "method", "path", "query", "body")
_BACK_ENDS = ("content_sources", "provisioning", "compliance")


@click.command()
@click.option("--rounds", "count", default=15, show_default=True, help="Requests of each kind that count.")
def main(*, count: int) -> None:
    """Exit status 1 unless each question is asked once, in three waits (four with a template) and 200 ms (250 ms)."""
    table = Table("request", "waits", "ms", "calls", title=f"Every back-end takes {_SECONDS * 1000:.0f} ms")
    targets: list[Target] = []
    with surroundings(composes=1) as where, StandInPlatform() as platform:
        environment = {
            **where.environment(),
            "CONTENT_SOURCES_URL": platform.content_sources_url,
            "CONTENT_SOURCES_REPO_URL": platform.url,
            "PROVISIONING_URL": platform.provisioning_url,
            "COMPLIANCE_URL": platform.compliance_url,
            # The calls of the status watcher belong to no request.
            "STATUS_LOOKS_PER_SECOND": "0",
        }
        stand_ins = (platform, where.composer)
        with Server("ours", OURS, environment) as ours, requests.Session() as session:
            session.headers.update(payloads.identity(payloads.READER))
            platform.steer(**{name: {"latency": _SECONDS} for name in _BACK_ENDS})
            where.composer.steer(latency=_SECONDS)
            for title, image, waits_at_most, ms_at_most in (
                ("snapshot date", {"snapshot_date": "2025-03-01"}, 3, 200),
                ("content template", {"content_template": sample_data.TEMPLATE}, 4, 250),
            ):
                starts = [_started(session, ours, stand_ins, request_with_lookups(image)) for _ in range(count + 1)][1:]
                milliseconds = median(start.seconds for start in starts) * 1000
                waits = median_high(start.waits for start in starts)
                asked_again = [question for start in starts for question in start.asked_again]
                table.add_row(title, str(waits), f"{milliseconds:.1f}", _listed(starts[-1].operations))
                targets.append(Target(f"{title}: waits in a row", waits, waits_at_most))
                targets.append(Target(f"{title}: questions asked again", len(asked_again), 0))
                targets.append(Target(f"{title}: time", milliseconds, ms_at_most, " ms"))
                for question in dict.fromkeys(asked_again):
                    rounds.console.print(f"asked again: {question}")
    rounds.console.print(table)
    rounds.finish(targets)


@dataclass(frozen=True, slots=True)
class Start:
    """One `POST /compose`: the seconds it took, and the calls it made, as the stand-ins remember them."""

    seconds: float
    calls: tuple[Call, ...]

    @property
    def waits(self) -> int:
        """The longest chain of calls of which each began after the one before had ended."""
        chain, free_from = 0, 0.0
        for call in sorted(self.calls, key=lambda call: call["ended"]):
            if call["began"] >= free_from:
                chain, free_from = chain + 1, call["ended"]
        return chain

    @property
    def asked_again(self) -> list[str]:
        """The questions that were asked before."""
        counted = Counter(" ".join(str(call.get(part, "")) for part in _QUESTION) for call in self.calls)
        return [question for question, times in counted.items() if times > 1]

    @property
    def operations(self) -> dict[str, int]:
        """How often which back-end was called."""
        return dict(Counter(call.get("back_end", "composer") for call in self.calls))


def _started(
    session: requests.Session, ours: Server, stand_ins: Sequence[StandInProcess], request: dict[str, Any]
) -> Start:
    began = time.monotonic()
    answer = session.post(f"{ours.url}{payloads.BASE}/compose", json=request, timeout=10)
    seconds = time.monotonic() - began
    if answer.status_code != 201:
        raise RuntimeError(f"refused: {answer.status_code} {answer.text}")
    while True:
        # All processes of a machine share this clock.
        recent = [call for stand_in in stand_ins for call in stand_in.behaviour()["recent"]]
        calls = tuple(call for call in recent if call["began"] >= began)
        if all(call["ended"] is not None for call in calls):  # a stand-in notes the end after it has answered
            return Start(seconds, calls)


def _listed(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{called} {name}" for name, called in counted.items())


def request_with_lookups(image: dict[str, Any]) -> dict[str, Any]:
    """A policy, two sources, two payload and two custom repositories."""
    upload = {"type": "aws", "options": {"share_with_sources": list(sample_data.AWS_ACCOUNTS)}}
    return {
        "distribution": "rhel-9.6",
        "image_requests": [{"architecture": "x86_64", "image_type": "aws", "upload_request": upload, **image}],
        "customizations": {
            "openscap": {"policy_id": sample_data.POLICY_RHEL9},
            "payload_repositories": [
                {"id": each, "rhsm": False} for each in (sample_data.EXTERNAL, sample_data.COMMUNITY)
            ],
            "custom_repositories": [{"id": each} for each in (sample_data.EXTERNAL, sample_data.COMMUNITY)],
        },
    }


if __name__ == "__main__":
    main()
