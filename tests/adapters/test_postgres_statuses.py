"""Stored statuses of builds, and the queue of looks at them, in a real database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.statuses import PostgresStatuses
from domain.composes import BuildTimes, StoredCompose
from domain.looks import Look
from domain.status import BuildError, ComposeStatus, ImageStatus, Progress
from tests.support.databases import Parameters, query, session
from tests.support.rows import insert_compose, insert_final_status, now

BUILDING = ComposeStatus("pending", ImageStatus("building", Progress(1, 4, Progress(2, 9))))
PENDING = ComposeStatus("pending", ImageStatus("pending"))
SUCCESS = ComposeStatus("success", ImageStatus("success"))
FAILURE = ComposeStatus("failure", ImageStatus("failure", error=BuildError(10, "failed")))
TENANT = "000001"
LATER = timedelta(0)
EARLIER = timedelta(minutes=1)


@pytest.fixture
def pool(database: Parameters) -> Iterator[PostgresDatabase]:
    pool = PostgresDatabase(database, size=4)
    pool.open()
    yield pool
    pool.close()


@pytest.fixture
def statuses(pool: PostgresDatabase) -> PostgresStatuses:
    return PostgresStatuses(pool)


def found(pool: PostgresDatabase, compose: UUID) -> StoredCompose:
    stored = PostgresComposes(pool).get(TENANT, compose)
    assert stored is not None
    return stored


def watched(database: Parameters) -> set[UUID]:
    return {row[0] for row in query(database, "SELECT job_id FROM compose_statuses WHERE next_look_at IS NOT NULL")}


def overdue(database: Parameters, compose: UUID, seconds: int) -> None:
    with session(database) as connection:
        connection.execute(
            "UPDATE compose_statuses SET next_look_at = now() AT TIME ZONE 'utc' - %s * interval '1 second' "
            "WHERE job_id = %s",
            (seconds, compose),
        )


# What is stored of a look


def test_a_running_status_is_stored_with_its_progress_and_age(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses
) -> None:
    compose = insert_compose(database, TENANT)
    statuses.store(Look(compose, BUILDING, timedelta(seconds=3)))
    stored = found(pool, compose)
    assert stored.status is None
    assert stored.seen is not None
    assert stored.seen.document == {
        "status": "building",
        "progress": {"done": 1, "total": 4, "subprogress": {"done": 2, "total": 9, "subprogress": None}},
    }
    assert timedelta(seconds=3) <= stored.seen.age < timedelta(minutes=1)


@pytest.mark.parametrize("later", [PENDING, FAILURE, None], ids=["running", "final", "forgotten"])
def test_a_final_status_never_changes(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses, later: ComposeStatus | None
) -> None:
    compose = insert_compose(database, TENANT)
    assert statuses.store(Look(compose, SUCCESS)) is not None
    before = found(pool, compose)
    assert statuses.store(Look(compose, later)) is None
    assert found(pool, compose) == before
    assert before.status == {"status": "success"}
    assert watched(database) == set()


@pytest.mark.parametrize("later", [PENDING, FAILURE, None], ids=["running", "final", "forgotten"])
def test_a_final_status_of_an_older_version_never_changes(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses, later: ComposeStatus | None
) -> None:
    compose = insert_compose(database, TENANT)
    statuses.watch_new(timedelta(minutes=5))
    insert_final_status(database, compose, {"status": "success"})
    statuses.store(Look(compose, later))
    assert found(pool, compose).status == {"status": "success"}
    assert found(pool, compose).seen is None


def test_an_older_answer_does_not_replace_a_newer_one(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses
) -> None:
    compose = insert_compose(database, TENANT)
    statuses.store(Look(compose, BUILDING, LATER))
    assert statuses.store(Look(compose, PENDING, EARLIER)) is None
    seen = found(pool, compose).seen
    assert seen is not None
    assert seen.document["status"] == "building"


def test_of_final_statuses_that_are_stored_at_once_one_stays(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses
) -> None:
    for _ in range(20):
        compose = insert_compose(database, TENANT)
        looks = [Look(compose, each) for each in (SUCCESS, FAILURE, BUILDING, None)]
        with ThreadPoolExecutor(4) as threads:
            times = list(threads.map(statuses.store, looks))
        assert sum(each is not None for each in times[:2]) == 1
        final = found(pool, compose).status
        assert final is not None
        assert final["status"] == ("success" if times[0] is not None else "failure")
        assert compose not in watched(database)


def test_a_status_is_stored_without_nul_characters(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses
) -> None:
    compose = insert_compose(database, TENANT)
    error = BuildError(10, "a\0b", [{"log\0": ["\0", 1, None]}])
    statuses.store(Look(compose, ComposeStatus("failure", ImageStatus("failure", error=error))))
    assert found(pool, compose).status == {
        "status": "failure",
        "error": {"id": 10, "reason": "ab", "details": [{"log": ["", 1, None]}]},
    }


def test_a_forgotten_build_has_no_status_until_the_composer_knows_it_again(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses
) -> None:
    compose = insert_compose(database, TENANT)
    statuses.store(Look(compose, BUILDING, EARLIER))
    statuses.store(Look(compose, None))
    assert found(pool, compose).seen is None
    assert watched(database) == set()
    statuses.store(Look(compose, BUILDING))
    assert found(pool, compose).seen is not None
    assert watched(database) == {compose}


def test_nothing_is_stored_of_a_build_that_the_history_does_not_have(statuses: PostgresStatuses) -> None:
    for status in (BUILDING, SUCCESS, None):
        assert statuses.store(Look(uuid4(), status)) is None


@pytest.mark.parametrize("created_at", ["infinity", "-infinity"])
def test_a_build_with_a_damaged_time_has_a_status_all_the_same(
    database: Parameters, pool: PostgresDatabase, statuses: PostgresStatuses, created_at: str
) -> None:
    compose = insert_compose(database, TENANT, created_at=created_at)
    assert statuses.store(Look(compose, BUILDING)) is not None
    statuses.watch_new(timedelta(minutes=1))
    statuses.watch_older(None, 10)
    statuses.end_watch(10)
    statuses.count_unfinished()
    assert found(pool, compose).seen is not None
    assert statuses.store(Look(compose, SUCCESS)) is not None
    assert found(pool, compose).status == {"status": "success"}


# Times


def test_a_build_has_the_times_of_the_looks_that_first_saw_it_building_and_final(
    database: Parameters, statuses: PostgresStatuses
) -> None:
    compose = insert_compose(database, TENANT, ago=timedelta(minutes=5))
    assert statuses.store(Look(compose, PENDING, timedelta(minutes=4))) == BuildTimes()
    times = statuses.store(Look(compose, BUILDING, timedelta(minutes=3)))
    assert times is not None
    assert times.started_at is not None
    assert abs(times.started_at - (now() - timedelta(minutes=3))) < timedelta(minutes=1)
    assert statuses.store(Look(compose, BUILDING, timedelta(minutes=2))) == times
    ended = statuses.store(Look(compose, SUCCESS, timedelta(minutes=1)))
    assert ended is not None
    assert ended.started_at == times.started_at
    assert ended.finished_at is not None
    assert abs(ended.finished_at - (now() - timedelta(minutes=1))) < timedelta(minutes=1)


def test_a_build_that_nobody_looked_at_for_long_has_no_times(database: Parameters, statuses: PostgresStatuses) -> None:
    compose = insert_compose(database, TENANT, ago=timedelta(hours=2))
    assert statuses.store(Look(compose, BUILDING, timedelta(hours=1))) == BuildTimes()
    assert statuses.store(Look(compose, SUCCESS)) == BuildTimes()
    unseen = insert_compose(database, TENANT, ago=timedelta(hours=2))
    assert statuses.store(Look(unseen, SUCCESS)) == BuildTimes()


# The queue


def test_builds_of_the_last_fourteen_days_without_a_final_status_are_watched(
    database: Parameters, statuses: PostgresStatuses
) -> None:
    new = insert_compose(database, TENANT)
    old = insert_compose(database, TENANT, ago=timedelta(days=13))
    insert_compose(database, TENANT, ago=timedelta(days=15))
    insert_compose(database, TENANT, deleted=True)
    insert_final_status(database, insert_compose(database, TENANT), {"status": "success"})
    statuses.watch_new(timedelta(minutes=5))
    assert watched(database) == {new}
    position, pages = None, 0
    while (position := statuses.watch_older(position, 2)) is not None:
        pages += 1
    assert pages == 2
    assert watched(database) == {new, old}
    statuses.watch_older(None, 10)
    assert watched(database) == {new, old}


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (timedelta(minutes=29), timedelta(seconds=10)),
        (timedelta(minutes=31), timedelta(minutes=1)),
        (timedelta(hours=3), timedelta(minutes=5)),
        (timedelta(days=15), None),
    ],
)
def test_the_older_a_build_the_rarer_its_looks(
    database: Parameters, statuses: PostgresStatuses, age: timedelta, pause: timedelta | None
) -> None:
    compose = insert_compose(database, TENANT, ago=age)
    statuses.store(Look(compose, BUILDING))
    for _ in range(2):
        ((next_look,),) = query(
            database,
            "SELECT next_look_at - (now() AT TIME ZONE 'utc') FROM compose_statuses WHERE next_look_at IS NOT NULL",
        ) or [(None,)]
        assert (next_look is None) if pause is None else (pause / 2 < next_look <= pause)
        statuses.postpone(compose)


def test_tenants_take_turns(database: Parameters, statuses: PostgresStatuses) -> None:
    many = [insert_compose(database, "many") for _ in range(30)]
    few = [insert_compose(database, "few") for _ in range(3)]
    statuses.watch_new(timedelta(minutes=5))
    for number, compose in enumerate(many):
        overdue(database, compose, 1000 - number)
    for number, compose in enumerate(few):
        overdue(database, compose, 10 - number)
    due = statuses.find_due(6)
    assert set(due) == {*many[:3], *few}
    assert due[:2] == [many[0], few[0]]
    assert len(statuses.find_due(100)) == 33


def test_a_look_ends_the_turn_of_a_build(database: Parameters, statuses: PostgresStatuses) -> None:
    first, second, third = (insert_compose(database, TENANT) for _ in range(3))
    statuses.watch_new(timedelta(minutes=5))
    assert set(statuses.find_due(10)) == {first, second, third}
    statuses.store(Look(first, BUILDING))
    statuses.store(Look(second, SUCCESS))
    statuses.postpone(third)
    assert statuses.find_due(10) == []


def test_builds_that_become_too_old_are_not_watched_any_more(database: Parameters, statuses: PostgresStatuses) -> None:
    compose = insert_compose(database, TENANT)
    statuses.watch_new(timedelta(minutes=5))
    with session(database) as connection:
        connection.execute("UPDATE compose_statuses SET created_at = created_at - interval '15 days'")
    statuses.end_watch(10)
    assert watched(database) == set()
    assert compose not in statuses.find_due(10)


def test_unfinished_builds_are_counted_by_age_with_the_longest_delay(
    database: Parameters, statuses: PostgresStatuses
) -> None:
    assert statuses.count_unfinished().counts == (0, 0, 0)
    for age in (0, 1, 40, 3 * 60, 5 * 60, 7 * 60):
        insert_compose(database, TENANT, ago=timedelta(minutes=age))
    statuses.watch_older(None, 100)
    (late,) = statuses.find_due(1)
    overdue(database, late, 500)
    unfinished = statuses.count_unfinished()
    assert unfinished.counts == (2, 1, 3)
    assert timedelta(seconds=499) < unfinished.lag < timedelta(seconds=600)


def test_one_pod_leads_until_its_term_ends(statuses: PostgresStatuses) -> None:
    first, second = uuid4(), uuid4()
    assert statuses.acquire_leadership(first, timedelta(minutes=1))
    assert not statuses.acquire_leadership(second, timedelta(minutes=1))
    assert statuses.acquire_leadership(first, timedelta(0))
    assert statuses.acquire_leadership(second, timedelta(minutes=1))


def test_statuses_go_with_their_builds(database: Parameters, statuses: PostgresStatuses) -> None:
    compose = insert_compose(database, TENANT)
    statuses.store(Look(compose, BUILDING))
    with session(database) as connection:
        connection.execute("DELETE FROM composes WHERE job_id = %s", (compose,))
    assert query(database, "SELECT count(*) FROM compose_statuses") == [(0,)]
