"""When the maintenance of the database goes on, and when it ends (docs/operations.md, Maintenance)."""

import time
from collections.abc import Callable, Iterator

import structlog

from image_builder.usecases.maintenance import TimeBudget, maintain
from tests.support.waiting import PATIENCE

CUTOFF = "2024-02-29 12:00:00"


class World:
    """A database with work of so many batches in each step; `end_at` is the batch in which the budget ends."""

    cutoff = CUTOFF

    def __init__(
        self,
        expired: int,
        with_passwords: int,
        end_at: int | None = None,
        *,
        starts: int = 0,
        keys: int = 0,
        organizations: int = 0,
    ) -> None:
        self.budget = TimeBudget(60)
        self.done: list[str] = []
        self._expired, self._with_passwords, self._end_at = expired, with_passwords, end_at
        self._starts, self._keys, self._organizations = starts, keys, organizations

    def expire_composes(self, *, dry_run: bool) -> Iterator[int]:
        return self._batches("count" if dry_run else "remove", self._expired)

    def expire_starts(self, *, dry_run: bool) -> Iterator[int]:
        return self._batches("count" if dry_run else "remove starts", self._starts)

    def expire_keys(self, *, dry_run: bool) -> Iterator[int]:
        return self._batches("count" if dry_run else "remove keys", self._keys)

    def redact_passwords(self, *, dry_run: bool) -> Iterator[int]:
        return self._batches("count" if dry_run else "take out", self._with_passwords)

    def correct_counts(self, *, dry_run: bool) -> Iterator[int]:
        return self._batches("count" if dry_run else "correct", self._organizations)

    def vacuum(self, is_over: Callable[[], bool]) -> bool:
        self.done.append("vacuum")
        return not is_over()

    def _batches(self, what: str, number: int) -> Iterator[int]:
        for _ in range(number):
            self.done.append(what)
            if len(self.done) == self._end_at:
                self.budget.end()
            yield 10


def outcome_of(world: World, *, dry_run: bool = False) -> dict[str, object]:
    with structlog.testing.capture_logs() as lines:
        maintain(world, world.budget, dry_run=dry_run)
    assert lines[0]["composes_older_than"] == CUTOFF
    return lines[-1]


def test_the_steps_run_in_order_and_their_counts_are_logged() -> None:
    world = World(3, 2, starts=1, keys=2, organizations=1)
    told = outcome_of(world)
    assert world.done == ["remove"] * 3 + ["remove starts"] + ["remove keys"] * 2 + ["take out"] * 2 + [
        "correct",
        "vacuum",
    ]
    assert (told["composes_expired"], told["composes_with_passwords"]) == (30, 20)
    assert (told["starts_expired"], told["idempotency_keys_expired"], told["counts_corrected"]) == (10, 20, 10)
    assert told["complete"]
    assert told["vacuumed"]


def test_a_dry_run_counts_only() -> None:
    world = World(3, 2, starts=1, keys=1)
    told = outcome_of(world, dry_run=True)
    assert world.done == ["count"] * 7
    assert (told["composes_expired"], told["composes_with_passwords"]) == (30, 20)
    assert (told["dry_run"], told["vacuumed"]) == (True, False)


def test_when_the_time_budget_ends_the_current_batch_is_the_last() -> None:
    world = World(3, 2, end_at=2)
    told = outcome_of(world)
    assert world.done == ["remove"] * 2
    assert (told["complete"], told["composes_expired"], told["composes_with_passwords"]) == (False, 20, 0)


def test_a_time_budget_is_over_when_its_seconds_are() -> None:
    assert not TimeBudget(PATIENCE).is_over()
    budget = TimeBudget(0.05)
    time.sleep(0.06)
    assert budget.is_over()


def test_no_pause_is_longer_than_the_time_budget() -> None:
    budget = TimeBudget(0.05)
    budget.pause(3600)
    assert budget.is_over()
