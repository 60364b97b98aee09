"""Reservations are exact over any number of processes, on a real PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.starts import PostgresStarts
from domain.errors import ReservationUnknownError, UnavailableError
from domain.quota import Quota, Reservation
from tests.support import databases
from tests.support.counts import write_without_triggers
from tests.support.databases import Parameters, locks_of_others, session
from tests.support.pools import pool
from tests.support.rows import counts, insert_compose, now
from tests.support.starts import is_granted, new_compose, new_start, new_starts, reserve_among_others, reserved
from tests.support.waiting import PATIENCE

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
AT_ONCE = 40


@pytest.mark.parametrize(("limit", "built", "starting"), [(7, 0, 0), (7, 2, 1), (1, 0, 0), (3, 3, 0), (0, 0, 0)])
def test_with_k_builds_left_concurrent_reservations_over_two_pools_get_exactly_k(
    module_database: Parameters, starts: PostgresStarts, tenant: str, limit: int, built: int, starting: int
) -> None:
    for _ in range(built):
        insert_compose(module_database, tenant)
    for _ in range(starting):
        reserved(starts, tenant, None)
    gate = threading.Barrier(AT_ONCE)

    def caller(pod: PostgresStarts) -> bool:
        gate.wait()
        return is_granted(pod, new_starts(uuid4()), tenant, Quota(limit, DAY))

    with (
        pool(module_database, size=10) as one,
        pool(module_database) as another,
        ThreadPoolExecutor(AT_ONCE) as callers,
    ):
        pods = [PostgresStarts(each) for each in (one, another)] * (AT_ONCE // 2)
        granted = list(callers.map(caller, pods))
    assert granted.count(True) == limit - built - starting
    assert sum(counts(module_database, tenant)) == limit


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_with_k_builds_left_exactly_k_are_granted_at_every_default_isolation_level(
    database: Parameters, tenant: str, level: str
) -> None:
    with session(database) as connection:
        connection.execute(
            f"ALTER DATABASE {database['dbname']} SET default_transaction_isolation TO '{level}'".encode()
        )
    with pool(database, size=10) as opened, ThreadPoolExecutor(10) as callers:
        starts = PostgresStarts(opened)
        granted = list(
            callers.map(lambda _: is_granted(starts, new_starts(uuid4()), tenant, Quota(7, DAY)), range(AT_ONCE))
        )
    assert granted.count(True) == 7
    assert counts(database, tenant) == (0, 7)


def test_concurrent_reserving_and_recording_never_exceeds_the_quota(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    def caller(_: int) -> bool:
        start = uuid4()
        if not is_granted(starts, new_starts(start), tenant, Quota(10, DAY)):
            return False
        starts.record(start, uuid4(), new_compose(tenant))
        return True

    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(caller, range(80))).count(True) == 10
    assert counts(module_database, tenant) == (10, 0)


def test_a_deleted_compose_still_counts(module_database: Parameters, starts: PostgresStarts, tenant: str) -> None:
    insert_compose(module_database, tenant, deleted=True)
    assert not starts.reserve(new_starts(uuid4()), tenant, Quota(1, DAY)).granted


def test_builds_outside_the_window_do_not_count(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    insert_compose(module_database, tenant, ago=DAY + timedelta(seconds=5))
    insert_compose(module_database, tenant, ago=timedelta(days=900))
    reserved(starts, tenant, Quota(1, DAY))


def test_a_build_just_inside_the_window_counts(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    insert_compose(module_database, tenant, ago=DAY - timedelta(seconds=30))
    assert not starts.reserve(new_starts(uuid4()), tenant, Quota(1, DAY)).granted


def test_the_window_slides(module_database: Parameters, starts: PostgresStarts, tenant: str) -> None:
    quota = Quota(1, HOUR)
    reserved(starts, tenant, quota)
    assert not starts.reserve(new_starts(uuid4()), tenant, quota).granted
    with session(module_database) as connection:
        connection.execute(
            "UPDATE compose_starts SET created_at = created_at - %s WHERE org_id = %s", (quota.window, tenant)
        )
    reserved(starts, tenant, quota)


def test_an_abandoned_start_leaves_the_window_too(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    with session(module_database) as connection:
        connection.execute("INSERT INTO compose_starts VALUES (%s, %s, %s)", (uuid4(), tenant, now() - 2 * DAY))
    reserved(starts, tenant, Quota(1, DAY))


def test_builds_of_other_tenants_do_not_count(module_database: Parameters, starts: PostgresStarts, tenant: str) -> None:
    insert_compose(module_database, uuid4().hex)
    reserved(starts, uuid4().hex, None)
    reserved(starts, tenant, Quota(1, DAY))


def test_a_refused_reservation_leaves_no_row(module_database: Parameters, starts: PostgresStarts, tenant: str) -> None:
    assert not starts.reserve(new_starts(uuid4()), tenant, Quota(0, DAY)).granted
    assert counts(module_database, tenant) == (0, 0)


def test_without_a_quota_nothing_is_refused(module_database: Parameters, starts: PostgresStarts, tenant: str) -> None:
    for _ in range(50):
        reserved(starts, tenant, None)
    assert counts(module_database, tenant) == (0, 50)


def test_builds_from_before_a_quota_count_towards_it(starts: PostgresStarts, tenant: str) -> None:
    reserved(starts, tenant, None)
    assert not starts.reserve(new_starts(uuid4()), tenant, Quota(1, DAY)).granted


def test_a_released_start_can_be_reserved_again(starts: PostgresStarts, tenant: str) -> None:
    start = reserved(starts, tenant, Quota(1, DAY))
    starts.release([start])
    reserved(starts, tenant, Quota(1, DAY))


def test_releasing_a_start_twice_releases_one_reservation(starts: PostgresStarts, tenant: str) -> None:
    first, _second = reserved(starts, tenant, Quota(2, DAY)), reserved(starts, tenant, Quota(2, DAY))
    starts.release([first])
    starts.release([first])
    reserved(starts, tenant, Quota(2, DAY))
    assert not starts.reserve(new_starts(uuid4()), tenant, Quota(2, DAY)).granted


def test_a_count_sees_either_the_start_or_the_compose(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    pending = [reserved(starts, tenant, None) for _ in range(100)]
    seen: list[int] = []
    done = threading.Event()

    def count() -> None:
        with session(module_database) as connection:
            while not done.is_set():
                row = connection.execute(
                    "SELECT (SELECT count(*) FROM composes WHERE org_id = %(tenant)s) + "
                    "(SELECT count(*) FROM compose_starts WHERE org_id = %(tenant)s)",
                    {"tenant": tenant},
                ).fetchone()
                assert row is not None
                seen.append(row[0])

    with ThreadPoolExecutor(1) as counting:
        counted = counting.submit(count)
        for start in pending:
            starts.record(start, uuid4(), new_compose(tenant))
        done.set()
        counted.result(PATIENCE)
    assert len(seen) > 5
    assert set(seen) == {100}


@pytest.mark.parametrize("quota", [None, Quota(100, DAY), Quota(0, DAY)], ids=["unlimited", "granted", "refused"])
def test_a_returned_reservation_holds_no_lock(database: Parameters, tenant: str, quota: Quota | None) -> None:
    with pool(database, size=1) as only_one:
        starts = PostgresStarts(only_one)
        for _ in range(3):
            starts.reserve(new_starts(uuid4()), tenant, quota)
        with session(database) as connection:
            locks = locks_of_others(connection)
            transactions = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
    assert locks == 0
    assert transactions == (0,)


def test_counting_stops_when_the_quota_is_reached(database: Parameters, tenant: str) -> None:
    with session(database) as connection:
        # Triggers keep lists of builds, which this test does not read.
        write_without_triggers(connection)
        connection.execute(
            "INSERT INTO composes (job_id, request, created_at, account_number, org_id) "
            "SELECT gen_random_uuid(), '{}', (now() AT TIME ZONE 'utc') - n * interval '1 s', '', %s "
            "FROM generate_series(1, 20000) n",
            (tenant,),
        )
        connection.execute("VACUUM ANALYZE composes")
    with pool(database, size=2) as opened:
        starts = PostgresStarts(opened)
        starts.reserve(new_starts(uuid4()), tenant, Quota(5, DAY))
        with session(database) as connection:
            before = _rows_read(connection)
            assert not starts.reserve(new_starts(uuid4()), tenant, Quota(5, DAY)).granted
            assert starts.get_usage(tenant, Quota(5, DAY)).used == 5
        opened.close()  # a session hands in its statistics when it ends
        with session(database) as connection:
            assert _rows_read(connection) - before < 2000


def _rows_read(connection: databases.psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'composes'"
    ).fetchone()
    assert row is not None
    return row[0]


def test_a_broken_connection_does_not_lose_a_compose(database: Parameters, tenant: str) -> None:
    with pool(database, size=1) as only_one:
        starts = PostgresStarts(only_one)
        start = reserved(starts, tenant, None)
        with session(database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        starts.record(start, uuid4(), new_compose(tenant))
    assert counts(database, tenant) == (1, 0)


def test_an_unavailable_database_raises_an_unavailable_error(database: Parameters, tenant: str) -> None:
    with pool({**database, "port": 1}, size=1, wait=False) as nowhere, pytest.raises(UnavailableError):
        PostgresStarts(nowhere).reserve(new_starts(uuid4()), tenant, None)


def test_several_starts_are_reserved_all_or_none(starts: PostgresStarts, tenant: str) -> None:
    assert starts.reserve(new_starts(uuid4(), uuid4()), tenant, Quota(3, DAY)).granted
    assert not starts.reserve(new_starts(uuid4(), uuid4()), tenant, Quota(3, DAY)).granted
    assert starts.reserve(new_starts(uuid4()), tenant, Quota(3, DAY)).granted
    assert not starts.reserve(new_starts(uuid4()), tenant, Quota(3, DAY)).granted


def test_of_simultaneous_reservations_of_several_starts_as_many_are_granted_as_fit(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    gate = threading.Barrier(12)

    def caller(number: int) -> bool:
        gate.wait()
        several = (uuid4() for _ in range(number % 3 + 1))
        return is_granted(starts, new_starts(*several), tenant, Quota(10, DAY))

    with ThreadPoolExecutor(12) as callers:
        granted = [number % 3 + 1 for number, each in enumerate(callers.map(caller, range(12))) if each]
    # Ten were never exceeded, and no single start was refused while there was room for it.
    assert sum(granted) == counts(module_database, tenant)[1]
    assert 8 <= sum(granted) <= 10


@pytest.mark.parametrize("quota", [None, Quota(10, DAY)])
def test_if_one_of_several_starts_cannot_be_recorded_none_is(
    module_database: Parameters, starts: PostgresStarts, tenant: str, quota: Quota | None
) -> None:
    twice = uuid4()
    with pytest.raises(psycopg.errors.UniqueViolation):
        starts.reserve(new_starts(uuid4(), twice, twice), tenant, quota)
    assert counts(module_database, tenant) == (0, 0)


def test_several_large_starts_are_stored_completely_and_in_their_order(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    several = [new_start(image_name=str(number), request={"data": "x" * 200_000, "n": number}) for number in range(36)]
    assert starts.reserve(several, tenant, Quota(36, DAY)).granted
    with session(module_database) as connection:
        rows = connection.execute(
            "SELECT id, compose->>'image_name', compose->'request'->>'n', length(compose->'request'->>'data') "
            "FROM compose_starts WHERE org_id = %s ORDER BY position",
            (tenant,),
        ).fetchall()
    assert rows == [(start.id, str(number), str(number), 200_000) for number, start in enumerate(several)]


def test_several_starts_are_released_together(starts: PostgresStarts, tenant: str) -> None:
    several = [uuid4(), uuid4()]
    assert starts.reserve(new_starts(*several), tenant, Quota(2, DAY)).granted
    starts.release(several)
    assert starts.reserve(new_starts(uuid4(), uuid4()), tenant, Quota(2, DAY)).granted


# What counts, told


def used(starts: PostgresStarts, tenant: str, quota: Quota) -> tuple[int, timedelta | None]:
    """The number of counted builds, and roughly the seconds until one leaves the window."""
    allowance = quota.allowance(starts.get_usage(tenant, quota))
    return allowance.used, allowance.frees_in and timedelta(seconds=round(allowance.frees_in.total_seconds(), -1))


def test_a_tenant_without_builds_has_no_usage(starts: PostgresStarts, tenant: str) -> None:
    assert used(starts, tenant, Quota(3, DAY)) == (0, None)


def test_the_usage_includes_deleted_composes_and_starts_but_no_old_ones_or_other_tenants(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    insert_compose(module_database, tenant, deleted=True, ago=HOUR)
    insert_compose(module_database, tenant, ago=2 * HOUR)
    insert_compose(module_database, tenant, ago=2 * DAY)
    insert_compose(module_database, uuid4().hex, ago=3 * HOUR)
    reserved(starts, tenant, None)
    assert used(starts, tenant, Quota(10, DAY)) == (3, DAY - 2 * HOUR)


@pytest.mark.parametrize(("limit", "leaves"), [(3, 6 * HOUR), (2, 4 * HOUR), (1, 2 * HOUR), (0, None)])
def test_if_there_are_more_builds_than_the_limit_only_the_newest_count(
    module_database: Parameters, starts: PostgresStarts, tenant: str, limit: int, leaves: timedelta | None
) -> None:
    for hours in (2, 4, 6):
        insert_compose(module_database, tenant, ago=hours * HOUR)
    assert used(starts, tenant, Quota(limit, DAY)) == (limit, None if leaves is None else DAY - leaves)


def test_the_earliest_start_is_the_first_to_leave_the_window(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    insert_compose(module_database, tenant, ago=HOUR)
    with session(module_database) as connection:
        connection.execute("INSERT INTO compose_starts VALUES (%s, %s, %s)", (uuid4(), tenant, now() - 5 * HOUR))
    assert used(starts, tenant, Quota(2, DAY)) == (2, DAY - 5 * HOUR)


@pytest.mark.parametrize(("limit", "number"), [(5, 1), (5, 3), (4, 3), (1, 1), (0, 1)])
def test_a_reservation_returns_the_usage_after_it(starts: PostgresStarts, tenant: str, limit: int, number: int) -> None:
    quota = Quota(limit, DAY)
    for _ in range(3):
        told = starts.reserve(new_starts(*(uuid4() for _ in range(number))), tenant, quota).usage
        asked = starts.get_usage(tenant, quota)
        assert told is not None
        assert (told.used, told.earliest) == (asked.used, asked.earliest)
        assert timedelta(0) <= asked.at - told.at < timedelta(seconds=30)


def test_without_a_quota_no_usage_is_returned(starts: PostgresStarts, tenant: str) -> None:
    assert starts.reserve(new_starts(uuid4()), tenant, None).usage is None


def test_simultaneous_reservations_return_different_usages(starts: PostgresStarts, tenant: str) -> None:
    def caller(_: int) -> Reservation:
        return reserve_among_others(starts, new_starts(uuid4()), tenant, Quota(7, DAY))

    with ThreadPoolExecutor(10) as callers:
        told = list(callers.map(caller, range(AT_ONCE)))
    assert sorted(each.usage.used for each in told if each.granted and each.usage) == [1, 2, 3, 4, 5, 6, 7]
    assert {each.usage.used for each in told if not each.granted and each.usage} == {7}


def test_a_reservation_without_an_answer_is_unknown_unless_it_was_never_sent(database: Parameters, tenant: str) -> None:
    with pool({**database, "port": 1}, size=1, wait=False) as nowhere, pytest.raises(UnavailableError) as away:
        PostgresStarts(nowhere).reserve(new_starts(uuid4()), tenant, None)
    assert not isinstance(away.value, ReservationUnknownError)
    with pool(database, size=1) as opened, session(database) as connection:
        connection.execute(
            """
            CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
            CREATE TRIGGER vanish BEFORE INSERT ON compose_starts FOR EACH ROW EXECUTE FUNCTION vanish();
            """
        )
        with pytest.raises(ReservationUnknownError):
            PostgresStarts(opened).reserve(new_starts(uuid4()), tenant, None)
