"""Intents to cancel builds in a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from adapters.postgres.cancellations import PostgresCancellations
from adapters.postgres.connection import PostgresDatabase
from domain.cancellations import Cancellation
from tests.support.databases import Parameters, session
from tests.support.rows import insert_compose, insert_final_status

TENANT = "000001"
LEASE = timedelta(minutes=1)


@pytest.fixture
def cancellations(database: Parameters) -> Iterator[PostgresCancellations]:
    pool = PostgresDatabase(database, size=2)
    pool.open()
    yield PostgresCancellations(pool)
    pool.close()


def record(cancellations: PostgresCancellations, build: UUID, user: str = "alice") -> Cancellation:
    intent = cancellations.record(uuid4(), build, user)
    assert intent is not None
    return intent


def make_older(database: Parameters, intent: Cancellation, minutes: int) -> None:
    with session(database) as connection:
        connection.execute(
            "UPDATE compose_cancellations SET attempted_at = attempted_at - %s * interval '1 minute' WHERE id = %s",
            (minutes, intent.id),
        )


def test_a_repetition_after_a_lost_answer_returns_the_recorded_intent(
    database: Parameters, cancellations: PostgresCancellations
) -> None:
    build, intent_id = insert_compose(database, TENANT), uuid4()
    first = cancellations.record(intent_id, build, "alice")
    assert first is not None
    assert (first.compose_id, first.cancelled_by) == (build, "alice")
    assert cancellations.record(intent_id, build, "alice") == first
    cancellations.withdraw(intent_id)
    assert cancellations.find(build) is None


def test_no_intent_is_recorded_for_a_build_with_a_final_status(
    database: Parameters, cancellations: PostgresCancellations
) -> None:
    build = insert_compose(database, TENANT)
    insert_final_status(database, build, {"status": "success"})
    assert cancellations.record(uuid4(), build, "alice") is None
    assert cancellations.record(uuid4(), uuid4(), "alice") is None
    assert cancellations.find(build) is None


def test_the_oldest_intent_counts_and_all_are_removed(
    database: Parameters, cancellations: PostgresCancellations
) -> None:
    build, other = insert_compose(database, TENANT), insert_compose(database, TENANT)
    first, _, kept = record(cancellations, build), record(cancellations, build, "bob"), record(cancellations, other)
    assert cancellations.find(build) == first
    cancellations.remove_all(build)
    assert cancellations.find(build) is None
    assert cancellations.find(other) == kept


def test_abandoned_intents_take_turns(database: Parameters, cancellations: PostgresCancellations) -> None:
    intents = [record(cancellations, insert_compose(database, TENANT)) for _ in range(4)]
    for minutes, intent in zip((4, 3, 2, 0), intents, strict=True):
        make_older(database, intent, minutes)

    def found(limit: int = 10) -> list[UUID]:
        return [intent.id for intent in cancellations.find_abandoned(LEASE, limit)]

    first, second, third, _ = (intent.id for intent in intents)
    assert found() == [first, second, third]
    assert found(limit=1) == [first]
    cancellations.postpone(first)
    assert found() == [second, third]
    make_older(database, intents[0], 2)
    make_older(database, intents[1], 2)
    assert found() == [second, third, first]
