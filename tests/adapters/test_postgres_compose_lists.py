"""Lists of builds with filters, orders and cursors, compared with the same list made in Python from the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from string import ascii_letters
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from domain.compose_filters import SORTS, ComposeFilters
from domain.composes import LISTED_FOR, ComposesPage, ComposesQuery
from domain.errors import InvalidRequestError
from domain.paging import Cursor, Page
from tests.support.builders import compose_request
from tests.support.databases import Parameters, query, session
from tests.support.rows import insert_blueprint_version, insert_compose, insert_final_status, insert_labels, now
from tests.support.waiting import PATIENCE, until

TYPES = ("aws", "guest-image", "wsl")
ARCHITECTURES = ("x86_64", "aarch64")
DISTRIBUTIONS = ("rhel-9", "centos-9")
NAMES = (None, "web", "Web server", "WEB", "50%_of", "straße", "ÄRA", "z" * 100)
SEARCHES = ("web", "WEB", "%", "_", "ß", "är", "nowhere", "e s")
UPDATE_STATUS = "UPDATE compose_statuses SET status = %s, is_forgotten = %s WHERE job_id = %s"
STATUSES = ("success", "building", None)
CLIENTS = (None, "ui", "api")
LABELS: tuple[dict[str, str], ...] = (
    {},
    {"team": "web"},
    {"team": "db", "nightly": ""},
    {"team": "web", "stage": "a:b"},
    {"web": "team"},
)
LABEL_FILTERS = ("team", "team:web", "team:db", "nightly", "nightly:", "stage:a:b", "stage:a", "web", "WEB", "nowhere")
AGES = st.sampled_from([timedelta(seconds=1), timedelta(hours=1), timedelta(days=3), timedelta(days=13, hours=23)]) | (
    st.integers(0, 20 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
)


@dataclass(frozen=True, slots=True)
class Build:
    """A row, as Python sees it."""

    id: UUID
    created_at: datetime
    image_type: str
    architecture: str
    distribution: str
    name: str | None
    client_id: str | None
    blueprint: UUID | None
    version: int | None
    deleted: bool
    status: str | None
    labels: dict[str, str]


@pytest.fixture(scope="module")
def composes(module_database: Parameters) -> Iterator[PostgresComposes]:
    pool = PostgresDatabase(module_database, size=2)
    pool.open()
    yield PostgresComposes(pool)
    pool.close()


@dataclass(frozen=True, slots=True)
class History:
    """The builds of a tenant."""

    tenant: str
    builds: tuple[Build, ...]
    blueprints: tuple[tuple[UUID, UUID, int], ...]


@pytest.fixture(scope="module")
def history(module_database: Parameters) -> History:
    """A hundred builds of one tenant, more of another."""
    tenant = uuid4().hex
    blueprints = []
    for number in (1, 3):
        blueprint, version = insert_blueprint_version(module_database, tenant, number)
        blueprints.append((blueprint, version, number))
    same = now() - timedelta(days=2)
    builds = []
    for number in range(100):
        blueprint, version_id, version = (None, None, None) if number % 3 else blueprints[number % 2]
        build = Build(
            id=uuid4(),
            created_at=same if number % 5 == 0 else now() - timedelta(hours=number * 4, minutes=number),
            image_type=TYPES[number % 3],
            architecture=ARCHITECTURES[number // 3 % 2],
            distribution=DISTRIBUTIONS[number // 5 % 2],
            name=NAMES[number % len(NAMES)],
            client_id=CLIENTS[number // 7 % 3],
            blueprint=blueprint,
            version=version,
            deleted=number % 11 == 0,
            status=STATUSES[number // 2 % len(STATUSES)],
            labels=LABELS[number // 4 % len(LABELS)],
        )
        builds.append(build)
        for owner in (tenant, "another"):
            insert(module_database, owner, build if owner == tenant else replace(build, id=uuid4()), version_id)
    return History(tenant, tuple(builds), tuple(blueprints))


def insert(database: Parameters, tenant: str, build: Build, version_id: UUID | None) -> None:
    request = compose_request(build.image_type, distribution=build.distribution)
    request["image_requests"][0]["architecture"] = build.architecture
    insert_compose(
        database,
        tenant,
        request,
        job_id=build.id,
        created_at=build.created_at,
        image_name=build.name,
        client_id=build.client_id,
        blueprint_version_id=version_id,
        deleted=build.deleted,
    )
    if build.labels:
        insert_labels(database, build.id, build.labels)
    if build.status == "success":
        insert_final_status(database, build.id, {"status": build.status})
    elif build.status is not None:
        with session(database) as connection:
            connection.execute(
                "INSERT INTO compose_statuses (job_id, org_id, created_at, status) VALUES (%s, %s, %s, %s)",
                (build.id, tenant, build.created_at, Jsonb({"status": build.status})),
            )


def matches(build: Build, query: ComposesQuery, at: datetime) -> bool:
    wanted = query.filters
    name = (build.name or "").lower()
    return (
        not build.deleted
        and build.created_at >= (wanted.created_after or at - LISTED_FOR)
        and (wanted.created_before is None or build.created_at < wanted.created_before)
        and (not wanted.image_types or build.image_type in wanted.image_types)
        and build.image_type not in query.ignored
        and wanted.architecture in (None, build.architecture)
        and (not wanted.distributions or build.distribution in wanted.distributions)
        and wanted.blueprint_id in (None, build.blueprint)
        and query.blueprint in (None, build.blueprint)
        and query.version in (None, build.version)
        and (not wanted.statuses or build.status in wanted.statuses)
        and {*build.labels, *(f"{key}:{value}" for key, value in build.labels.items())}.issuperset(wanted.labels)
        and wanted.client_id in (None, build.client_id)
        and (wanted.search is None or wanted.search.lower() in name)
    )


def naive(history: History, query: ComposesQuery) -> list[UUID]:
    """The ids of the whole list, in its order."""
    found = [build for build in history.builds if matches(build, query, now())]
    by_name = query.sort.endswith("image_name")
    found.sort(
        key=lambda build: ((build.name or "").lower() if by_name else build.created_at, build.id),
        reverse=query.sort.startswith("-"),
    )
    return [build.id for build in found]


def subsets(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=2).map(tuple)


def filters(history: History) -> st.SearchStrategy[ComposeFilters]:
    blueprints = [blueprint for blueprint, _, _ in history.blueprints]
    return st.builds(
        ComposeFilters,
        image_types=subsets(TYPES),
        architecture=st.none() | st.sampled_from(ARCHITECTURES),
        distributions=subsets(DISTRIBUTIONS),
        blueprint_id=st.none() | st.none() | st.sampled_from([*blueprints, uuid4()]),
        statuses=subsets(("success", "building", "failure")),
        labels=st.just(()) | subsets(LABEL_FILTERS),
        client_id=st.none() | st.sampled_from(["ui", "api"]),
        search=st.none() | st.sampled_from(SEARCHES),
        created_after=st.none() | AGES.map(lambda age: now() - age),
        created_before=st.none() | AGES.map(lambda age: now() - age),
    )


def queries(history: History) -> st.SearchStrategy[ComposesQuery]:
    return st.builds(
        ComposesQuery,
        tenant=st.just(history.tenant),
        page=st.builds(Page, st.integers(1, 100), st.integers(0, 30)),
        ignored=subsets(TYPES),
        blueprint=st.none() | st.none() | st.sampled_from([blueprint for blueprint, _, _ in history.blueprints]),
        filters=filters(history) | st.just(ComposeFilters()),
        sort=st.sampled_from(SORTS),
    )


def ids(page: ComposesPage) -> list[UUID]:
    return [UUID(compose.id) for compose in page.composes]


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_counts_and_pages_are_exact_whatever_is_combined(
    composes: PostgresComposes, history: History, data: st.DataObject
) -> None:
    query = data.draw(queries(history))
    wanted = naive(history, query)
    page = composes.find_page(query)
    begin, end = query.page.offset, query.page.offset + query.page.limit
    assert page.count == len(wanted)
    assert ids(page) == wanted[begin:end]
    assert (page.next is not None) == bool(page.composes and wanted[end:])
    assert (page.previous is not None) == bool(page.composes and begin)


@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_cursors_lead_through_the_whole_list_and_back(
    composes: PostgresComposes, history: History, data: st.DataObject
) -> None:
    query = replace(data.draw(queries(history)), page=Page(data.draw(st.integers(1, 40)), 0))
    wanted = naive(history, query)
    page = composes.find_page(query)
    seen = ids(page)
    before = [ids(page)]
    while page.next is not None:
        page = composes.find_page(replace(query, cursor=page.next))
        assert page.count == len(wanted)
        assert page.previous is not None
        seen += ids(page)
        before.append(ids(page))
    assert seen == wanted
    for expected in reversed(before[:-1]):
        assert page.previous is not None
        page = composes.find_page(replace(query, cursor=page.previous))
        assert ids(page) == expected
        assert page.next is not None
    assert page.previous is None


def test_a_page_by_cursor_does_not_shift_when_builds_are_added_and_deleted(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    made = [insert_compose(module_database, tenant, ago=timedelta(minutes=number)) for number in range(6)]
    query = ComposesQuery(tenant, Page(2, 0))
    first = composes.find_page(query)
    insert_compose(module_database, tenant)
    composes.delete(tenant, made[1])  # the one that the cursor was made of
    second = composes.find_page(replace(query, cursor=first.next))
    assert (ids(second), second.count) == (made[2:4], 6)


def test_a_list_that_ends_before_the_cursor_is_empty(composes: PostgresComposes, module_database: Parameters) -> None:
    tenant = uuid4().hex
    made = [insert_compose(module_database, tenant, ago=timedelta(minutes=number)) for number in range(3)]
    query = ComposesQuery(tenant, Page(2, 0))
    following = composes.find_page(query).next
    composes.delete(tenant, made[2])
    page = composes.find_page(replace(query, cursor=following))
    assert page == ComposesPage(2, ())


@pytest.mark.parametrize("key", ["2026-02-30 00:00:00", "", "9" * 50])
def test_a_cursor_whose_key_is_no_time_is_refused(composes: PostgresComposes, key: str) -> None:
    query = ComposesQuery("nobody", Page(2, 0), cursor=Cursor("-created_at", key, uuid4()))
    with pytest.raises(InvalidRequestError, match="cursor"):
        composes.find_page(query)


def statement(database: Parameters, text: str, *values: Any) -> None:
    with session(database) as connection:
        connection.execute(text.encode(), values)


def counted(composes: PostgresComposes, tenant: str, **fields: Any) -> int:
    """What the list counts; also counted from the entries one by one, as they have to agree."""
    query = ComposesQuery(tenant, Page(1, 0), filters=ComposeFilters(**fields))
    page = composes.find_page(query)
    one_by_one = composes.find_page(replace(query, filters=replace(query.filters, search="%")))
    everywhere = composes.find_page(replace(query, filters=replace(query.filters, created_before=datetime.max)))
    assert page.count == everywhere.count
    assert one_by_one.count <= page.count
    return page.count


def test_counts_follow_what_other_programs_write(composes: PostgresComposes, module_database: Parameters) -> None:
    tenant = uuid4().hex
    made = [
        insert_compose(module_database, tenant, compose_request("aws"), ago=timedelta(hours=number * 7))
        for number in range(10)
    ]
    assert counted(composes, tenant) == 10
    statement(module_database, "UPDATE composes SET deleted = true WHERE job_id = ANY (%s)", made[:4])
    assert counted(composes, tenant, image_types=("aws",)) == 6
    statement(module_database, "UPDATE composes SET deleted = false WHERE job_id = %s", made[0])
    assert counted(composes, tenant, image_types=("aws",)) == 7
    statement(
        module_database,
        """UPDATE composes SET request = '{"image_requests": [{"image_type": "wsl"}]}' WHERE job_id = %s""",
        made[5],
    )
    assert (counted(composes, tenant, image_types=("aws",)), counted(composes, tenant, image_types=("wsl",))) == (6, 1)
    statement(
        module_database, "UPDATE composes SET created_at = created_at - interval '30 days' WHERE job_id = %s", made[6]
    )
    assert counted(composes, tenant) == 6
    assert counted(composes, tenant, created_after=now() - timedelta(days=60)) == 7
    statement(module_database, "DELETE FROM composes WHERE org_id = %s", tenant)
    assert counted(composes, tenant) == 0
    with session(module_database) as connection:
        left = connection.execute("SELECT sum(count) FROM compose_counts WHERE org_id = %s", (tenant,)).fetchone()
    assert left in [(None,), (0,)]


def test_nobody_waits_for_a_count(composes: PostgresComposes, module_database: Parameters) -> None:
    tenant = uuid4().hex
    insert_compose(module_database, tenant)
    with session(module_database) as connection, connection.transaction():
        connection.execute("UPDATE composes SET deleted = true WHERE org_id = %s", (tenant,))
        insert_compose(module_database, tenant)  # another session, of the same hour
        assert counted(composes, tenant) == 2
    assert counted(composes, tenant) == 1


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_programs_with_stricter_isolation_can_write(
    composes: PostgresComposes, module_database: Parameters, level: str
) -> None:
    tenant = uuid4().hex
    first = insert_compose(module_database, tenant)
    with session(module_database) as connection:
        connection.execute(f"SET default_transaction_isolation = '{level}'".encode())
        with connection.transaction():
            connection.execute("SELECT 1")
            insert_compose(module_database, tenant)
            connection.execute("UPDATE composes SET deleted = true WHERE job_id = %s", (first,))
    assert counted(composes, tenant) == 1


def test_the_entry_has_the_last_known_status_and_a_final_one_stays(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)

    def counted_by_status() -> list[str]:
        known = ("pending", "building", "success", "failure")
        return [each for each in known if counted(composes, tenant, statuses=(each,))]

    assert counted_by_status() == []
    statement(
        module_database,
        "INSERT INTO compose_statuses (job_id, org_id, created_at, status) VALUES (%s, %s, %s, %s)",
        *(compose, tenant, now(), Jsonb({"status": "pending"})),
    )
    assert counted_by_status() == ["pending"]
    statement(module_database, UPDATE_STATUS, Jsonb({"status": "building"}), False, compose)
    assert counted_by_status() == ["building"]
    statement(module_database, UPDATE_STATUS, None, True, compose)
    assert counted_by_status() == []
    insert_final_status(module_database, compose, {"status": "success"})
    statement(module_database, UPDATE_STATUS, Jsonb({"status": "building"}), False, compose)
    assert counted_by_status() == ["success"]


def test_a_final_status_that_an_older_version_stored_beside_a_look_is_shown_in_the_end(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)
    insert_final_status(module_database, compose, {"status": "success"})
    statement(module_database, "UPDATE compose_list_entries SET status = 'building' WHERE job_id = %s", compose)
    statement(
        module_database,
        "INSERT INTO compose_statuses (job_id, org_id, created_at, is_final) VALUES (%s, %s, %s, true)",
        *(compose, tenant, now()),
    )
    assert counted(composes, tenant, statuses=("success",)) == 1


def test_the_longest_values_can_be_stored(composes: PostgresComposes, module_database: Parameters) -> None:
    random = Random(1)  # noqa: S311 - texts that PostgreSQL cannot compress

    def long(length: int) -> str:
        return "".join(chr(random.randrange(0x10000, 0x10FFFF)) for _ in range(length))

    tenant = "".join(random.choices(ascii_letters, k=1000))
    compose = insert_compose(
        module_database,
        tenant,
        {"distribution": long(300), "image_requests": [{"image_type": long(300), "architecture": long(300)}]},
        image_name=long(100),
        client_id=long(300),
    )
    insert_final_status(module_database, compose, {"status": long(300)})
    insert_labels(module_database, compose, {f"{number:063}": "\N{PILE OF POO}" * 255 for number in range(30)})
    statement(module_database, "INSERT INTO compose_authors (job_id, created_by) VALUES (%s, %s)", compose, "x" * 255)
    # No program changes the author of a build; the entry with all of these values is written anew.
    statement(module_database, "DELETE FROM compose_list_entries WHERE job_id = %s", compose)
    statement(module_database, "CALL compose_list_entries_fill()")
    with session(module_database) as connection:
        entry = connection.execute(
            "SELECT created_by, cardinality(label_hashes) FROM compose_list_entries WHERE job_id = %s", (compose,)
        ).fetchone()
    assert entry == ("x" * 255, 60)
    assert counted(composes, tenant) == 1


def test_an_entry_has_the_present_labels_whatever_else_is_written(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)

    def counted_by_label() -> list[str]:
        return [each for each in ("a", "a:1", "a:2", "b") if counted(composes, tenant, labels=(each,))]

    assert composes.replace_labels(tenant, compose, {"a": "1", "b": ""})
    assert counted_by_label() == ["a", "a:1", "b"]
    assert counted(composes, tenant, labels=("b", "a:1")) == 1
    statement(module_database, "UPDATE composes SET image_name = 'other' WHERE job_id = %s", compose)
    insert_final_status(module_database, compose, {"status": "success"})
    assert counted_by_label() == ["a", "a:1", "b"]
    with session(module_database) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1 FROM composes LIMIT 1")
        connection.execute("UPDATE composes SET image_name = 'again' WHERE job_id = %s", (compose,))
    assert composes.replace_labels(tenant, compose, {"a": "2"})
    assert counted_by_label() == ["a", "a:2"]
    statement(module_database, "UPDATE composes SET deleted = true WHERE job_id = %s", compose)
    assert counted_by_label() == []
    assert not composes.replace_labels(tenant, compose, {"a": "3"})
    statement(module_database, "UPDATE composes SET deleted = false WHERE job_id = %s", compose)
    assert counted_by_label() == ["a", "a:2"]
    assert composes.replace_labels(tenant, compose, {})
    assert counted_by_label() == []


def test_a_rewritten_entry_keeps_labels_and_status_that_were_committed_meanwhile(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)
    insert_labels(module_database, compose, {"a": "1"})
    statement(
        module_database,
        "INSERT INTO compose_statuses (job_id, org_id, created_at, status) VALUES (%s, %s, %s, %s)",
        *(compose, tenant, now(), Jsonb({"status": "building"})),
    )
    change = "UPDATE composes SET image_name = 'renamed' WHERE job_id = %s"
    with ThreadPoolExecutor(1) as thread:
        with session(module_database) as connection, connection.transaction():
            connection.execute("UPDATE compose_labels SET labels = %s WHERE job_id = %s", (Jsonb({"a": "2"}), compose))
            connection.execute(
                "INSERT INTO compose_results (job_id, status) VALUES (%s, %s)", (compose, Jsonb({"status": "success"}))
            )
            # It reads the earlier rows, and then waits for the entry, which the transaction above has changed.
            renamed = thread.submit(statement, module_database, change, compose)
            until(lambda: is_waiting(module_database, change), "it waits for the entry")
        renamed.result(PATIENCE)
    assert counted(composes, tenant, search="renamed", labels=("a:2",), statuses=("success",)) == 1
    assert counted(composes, tenant, labels=("a:1",)) == 0


def is_waiting(database: Parameters, text: str) -> bool:
    """Whether a session that executes this statement waits for a lock."""
    with session(database) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
            (f"{text.partition('%')[0]}%",),
        ).fetchone()
    return row is not None and row[0] > 0


@pytest.mark.parametrize(
    "request_",
    [None, "text", 5, [], {"image_requests": {}}, {"image_requests": [None]}, {"image_requests": [{"image_type": []}]}],
    ids=str,
)
def test_builds_whose_request_is_none_are_listed(
    composes: PostgresComposes, module_database: Parameters, request_: Any
) -> None:
    tenant = uuid4().hex
    statement(
        module_database,
        "INSERT INTO composes (job_id, request, created_at, account_number, org_id) VALUES (%s, %s, %s, '', %s)",
        *(uuid4(), Jsonb(request_), now(), tenant),
    )
    assert counted(composes, tenant) == 1
    assert counted(composes, tenant, image_types=("aws",)) == 0


def test_counts_end_with_the_table(database: Parameters) -> None:
    for _ in range(3):
        insert_compose(database, "000001")
    statement(database, "TRUNCATE composes CASCADE")
    assert query(database, "SELECT count(*) FROM compose_counts") == [(0,)]


def test_builds_that_were_restored_without_triggers_are_filled_in(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    with session(module_database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO composes (job_id, request, created_at, account_number, org_id) "
            "SELECT gen_random_uuid(), '{}', now() AT TIME ZONE 'utc', '', %s FROM generate_series(1, 3)",
            (tenant,),
        )
    statement(module_database, "CALL compose_list_entries_fill()")
    assert counted(composes, tenant) == 3
