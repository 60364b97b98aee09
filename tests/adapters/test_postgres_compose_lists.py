"""Lists of builds with filters, orders and cursors, compared with the same list made in Python from the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from adapters.postgres.composes import PostgresComposes
from domain.compose_filters import SORTS, ComposeFilters
from domain.composes import LISTED_FOR, ComposesPage, ComposesQuery
from domain.errors import InvalidRequestError
from domain.paging import Cursor, Page
from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.rows import insert_blueprint_version, insert_compose, insert_final_status, insert_labels, now

TYPES = ("aws", "guest-image", "wsl")
ARCHITECTURES = ("x86_64", "aarch64")
DISTRIBUTIONS = ("rhel-9", "centos-9")
NAMES = (None, "web", "Web server", "WEB", "50%_of", "straße", "ÄRA", "z" * 100)
SEARCHES = ("web", "WEB", "%", "_", "ß", "är", "nowhere", "e s")
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
