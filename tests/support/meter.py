"""A meter that remembers what it was told."""

from __future__ import annotations

from domain.composer_errors import Fault
from domain.looks import LookOutcome, UnfinishedBuilds
from ports.meter import CallOutcome


class FakeMeter:
    """Fulfils ports.meter.Meter, as far as use cases and back-ends go."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, CallOutcome]] = []
        self.seconds: list[float] = []
        self.quota_refusals = 0
        self.composer_refusals: list[Fault] = []
        self.unmatched: list[int] = []
        self.looked_after = 0
        self.adopted = 0
        self.released = 0
        self.conflicting_ids = 0
        self.looks: list[LookOutcome] = []
        self.unfinished: list[UnfinishedBuilds] = []
        self.watch_rounds = 0

    def back_end_called(self, back_end: str, outcome: CallOutcome, seconds: float) -> None:
        self.calls.append((back_end, outcome))
        self.seconds.append(seconds)

    def quota_refused(self) -> None:
        self.quota_refusals += 1

    def build_refused(self, fault: Fault) -> None:
        self.composer_refusals.append(fault)

    def rate_limited(self, budget: str) -> None:
        pass

    def rate_limit_store_unavailable(self) -> None:
        pass

    def starts_unmatched(self, number: int) -> None:
        self.unmatched.append(number)

    def reconciliation_completed(self) -> None:
        self.looked_after += 1

    def starts_adopted(self, number: int = 1) -> None:
        self.adopted += number

    def starts_released(self, number: int = 1) -> None:
        self.released += number

    def build_id_conflicted(self) -> None:
        self.conflicting_ids += 1

    def status_looked(self, outcome: LookOutcome) -> None:
        self.looks.append(outcome)

    def builds_unfinished(self, builds: UnfinishedBuilds) -> None:
        self.unfinished.append(builds)

    def status_watch_completed(self) -> None:
        self.watch_rounds += 1
