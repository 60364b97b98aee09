"""The plans of all statements, on a tenth of the rows of the benchmark: 10,000 of one tenant.

Lists and counts must read an index only, in its order, so that their cost depends on the page and not on the tenant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.postgres import (
    abandoned_starts,
    blueprint_lists,
    blueprint_versions,
    blueprints,
    cancellations,
    compose_lists,
    composes,
    idempotency,
    large_requests,
    leadership,
    maintenance,
    sboms,
    starts,
    statuses,
)
from adapters.postgres.abandoned_starts import PostgresAbandonedStarts
from adapters.postgres.blueprints import PostgresBlueprints
from adapters.postgres.cancellations import PostgresCancellations
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.idempotency import PostgresIdempotencyKeys
from adapters.postgres.maintenance import PostgresMaintenance
from adapters.postgres.sboms import PostgresSboms
from adapters.postgres.starts import PostgresStarts
from adapters.postgres.statuses import PostgresStatuses
from benchmarks.database import LARGE, SMALL
from domain.blueprints.blueprint import SORTS as BLUEPRINT_SORTS
from domain.blueprints.blueprint import BlueprintsQuery, NewBlueprint, Version
from domain.compose_filters import SORTS, ComposeFilters
from domain.composes import ComposesQuery, NewCompose
from domain.idempotency import KeyClaim, RequestFailure
from domain.looks import Look
from domain.paging import Cursor, Page
from domain.quota import Quota
from domain.sboms import Sbom
from domain.starts import Adoption
from domain.status import ComposeStatus, ImageStatus
from tests.support.databases import Parameters, session
from tests.support.plans import Node, RecordingDatabase, plan, planning_session
from tests.support.starts import new_start, new_starts

Statement = tuple[str, Mapping[str, Any]]

COUNTS = (
    compose_lists.COUNT,
    composes._COUNT_OF_BLUEPRINT,
    blueprint_lists.COUNT_ALL,
    blueprint_lists.COUNT_SEARCH,
)
PAGES = (
    composes._PAGE,
    composes._PAGE_BY_TYPE,
    composes._PAGE_OF_BLUEPRINT,
    blueprint_lists.PAGE_OF_ALL,
    blueprint_lists.PAGE_OF_SEARCH,
)
LISTED_BY_AGE = ("composes_listed_idx", "composes_of_version_listed_idx", "compose_list_entries_by_age_idx")
# What has more rows the longer the service runs, or the more there is to do.
GROWING = (
    "composes",
    "compose_labels",
    "compose_list_entries",
    "compose_counts",
    "compose_fine_counts",
    "compose_quota_counts",
    "blueprints",
    "blueprint_labels",
    "compose_starts",
    "compose_statuses",
    "idempotency_keys",
)
# Read to the end as it is meant to be: requests that run now.
OF_THE_MOMENT = ("idempotency_keys_unsettled_idx", "compose_statuses_unfinished_idx", "compose_statuses_due_idx")
# A text with a place to be filled in: `{table}`. JSON and arrays of PostgreSQL look otherwise.
TEMPLATE = re.compile(r"\{[a-z_]+\}")
# Some of the starts in the database are older than that, most are not: to count all of them any index is good.
LEASE = timedelta(hours=12)
OF_NO_TABLE = ("_CUTOFF", "_INDEX_EXISTS")
FORGET_SIZE = "UPDATE composes SET request_size = NULL WHERE job_id = %(compose)s"
LARGE_REQUEST = {"customizations": {"packages": ["a" * 20_000]}}


@pytest.fixture(scope="module")
def statements(large_database: Parameters) -> dict[str, list[Statement]]:
    """All statements of the adapters, by tenant."""
    database = RecordingDatabase(large_database)
    database.open()
    found = {}
    for tenant in (LARGE, SMALL, "nobody"):
        database.statements = []
        use(database, tenant, of_this_tenant(large_database, tenant))
        found[tenant] = database.statements
    database.close()
    return found


def of_this_tenant(parameters: Parameters, tenant: str) -> UUID:
    """The tenant's blueprint with the most versions; a random id if it has none."""
    with session(parameters) as connection:
        row = connection.execute(
            "SELECT id FROM blueprints WHERE org_id = %s AND NOT deleted ORDER BY latest_version DESC LIMIT 1",
            (tenant,),
        ).fetchone()
    return uuid4() if row is None else UUID(str(row[0]))


def use(database: RecordingDatabase, tenant: str, blueprint: UUID) -> None:
    """Call every method of the adapters."""
    history, kept, starting = PostgresComposes(database), PostgresBlueprints(database), PostgresStarts(database)
    for page in (Page(100, 0), Page(10, 0), Page(100, 5_000)):
        history.find_page(ComposesQuery(tenant, page))
        history.find_page(ComposesQuery(tenant, page, ("rhel-edge-commit", "rhel-edge-installer")))
        history.find_page(ComposesQuery(tenant, page, blueprint=blueprint))
        history.find_page(ComposesQuery(tenant, page, ("wsl",), blueprint, 2))
        kept.find_page(BlueprintsQuery(tenant, page))
        for search in ("server", "server 12", "nowhere"):
            kept.find_page(BlueprintsQuery(tenant, page, search=search))
    kept.find_page(BlueprintsQuery(tenant, Page(100, 0), name="Web server 0 of region 0"))
    use_filters(history, tenant, blueprint)
    for sort in BLUEPRINT_SORTS:
        key = "web" if "name" in sort else "2026-01-01"
        kept.find_page(BlueprintsQuery(tenant, Page(100, 0), sort=sort))
        for backward in (False, True):
            at = Cursor(sort, key, uuid4(), backward)
            kept.find_page(BlueprintsQuery(tenant, Page(100, 0), sort=sort, cursor=at, search="server"))
    new = kept.create(NewBlueprint(tenant, "", "new", "", {}, created_by="alice", labels={"team": "web"}))
    kept.change(tenant, new, None, lambda _: Version("newer", "", {}, labels={}))
    version = kept.get(tenant, new, 1).version_id
    for quota in (None, Quota(10, timedelta(days=1)), Quota(1_000_000, timedelta(days=14))):
        starting.reserve(new_starts(uuid4()), tenant, quota)
        if quota is not None:
            starting.get_usage(tenant, quota)
    start, compose = uuid4(), uuid4()
    for _ in range(2):
        starting.record(start, compose, NewCompose(tenant, "", "", LARGE_REQUEST, None, "api", version))
    assert starting.is_recorded(compose)
    starting.release([start])
    look_after_starts(database, tenant)
    look_after_rows(database)
    history.get(tenant, compose)
    assert history.replace_labels(tenant, compose, {"team": "web"})
    look_at_builds(database, compose)
    history.store_metadata(compose, {})
    history.get_metadata(tenant, compose)
    bills = PostgresSboms(database)
    bills.store(compose, [Sbom("os", "image", "application/spdx+json", "{}")])
    bills.get(tenant, compose, "image")
    with database.connection() as connection:
        connection.execute(FORGET_SIZE, {"compose": compose})
    large_requests.measure(database, [str(compose)])
    kept.delete(tenant, new, None)  # while there is a build of it to hide
    history.delete(tenant, compose)


def use_filters(history: PostgresComposes, tenant: str, blueprint: UUID) -> None:
    """Each filter by itself, all together, and each order in each direction, by offset and by cursor."""
    at = datetime(2026, 1, 1)
    everything = ComposeFilters(
        *(("aws",), "x86_64", ("rhel-9",), blueprint, "alice", "ui", "a", at, datetime.max, ("success",)),
        labels=("team:web", "nightly"),
    )
    each = [ComposeFilters(**{name: getattr(everything, name)}) for name in everything.applied()]
    one_label = ComposeFilters(labels=("team:web",))
    for wanted in (ComposeFilters(), *each, one_label, everything):
        for sort in SORTS:
            key = "web-server-5" if "name" in sort else "2026-01-01"
            query = ComposesQuery(tenant, Page(100, 0), filters=wanted, sort=sort)
            history.find_page(query)
            for backward in (False, True) if wanted in (ComposeFilters(), one_label, everything) else ():
                history.find_page(replace(query, cursor=Cursor(sort, key, uuid4(), backward)))
        history.find_page(ComposesQuery(tenant, Page(100, 0), ("wsl",), blueprint, 2, wanted, "created_at"))


def look_at_builds(database: RecordingDatabase, compose: UUID) -> None:
    intents = PostgresCancellations(database)
    intent = intents.record(uuid4(), compose, "")
    assert intent is not None
    assert intents.find(compose) == intent
    assert intents.find_abandoned(timedelta(0), 1000) == [intent]
    intents.postpone(intent.id)
    intents.withdraw(intent.id)
    intents.remove_all(compose)
    watched = PostgresStatuses(database)
    watched.acquire_leadership(UUID(int=0), timedelta(0))
    watched.watch_new(timedelta(minutes=1))
    position = watched.watch_older(None, 1000)
    watched.watch_older(position, 1000)
    watched.find_due(40)
    watched.find([compose])
    watched.count_unfinished()
    watched.postpone(compose)
    watched.end_watch(1000)
    for status in ("building", None, "success"):
        watched.store(Look(compose, None if status is None else ComposeStatus(status, ImageStatus(status))))


def look_after_starts(database: RecordingDatabase, tenant: str) -> None:
    keys, abandoned = PostgresIdempotencyKeys(database), PostgresAbandonedStarts(database)
    key, build = uuid4(), uuid4()
    keys.claim(KeyClaim(tenant, "/compose", str(key), b""), key)
    keys.claim(KeyClaim(tenant, "/compose", str(key), b""), uuid4())
    start = new_start(tenant=tenant)
    PostgresStarts(database).reserve([start], tenant, None, key)
    PostgresBlueprints(database).create(NewBlueprint(tenant, "", str(key), "", {}), uuid4())
    abandoned.acquire_leadership(UUID(int=0), timedelta(0))
    abandoned.find_abandoned(LEASE, timedelta(days=1), 10)
    abandoned.count(LEASE)
    abandoned.find_recorded([build])
    abandoned.adopt(Adoption(start.id, build))
    keys.find_unsettled(timedelta(0), 10)
    keys.settle(key)
    keys.settle_failed(key, RequestFailure("UnavailableError", ""))


def look_after_rows(database: RecordingDatabase) -> None:
    with database.connection() as connection:
        maintenance = PostgresMaintenance(connection, "2000-01-01", "2000-01-01")
        for do in (False, True):
            for batches in (
                maintenance.expire_composes(dry_run=not do),
                maintenance.expire_starts(dry_run=not do),
                maintenance.expire_keys(dry_run=not do),
            ):
                assert sum(batches) == 0
            assert next(maintenance.redact_passwords(dry_run=not do)) == 0
            assert next(maintenance.correct_counts(dry_run=not do)) == 0


# The plans that earlier tests have asked for: the tables and their statistics do not change.
KNOWN: dict[tuple[str, bool], Node] = {}


def plans(parameters: Parameters, statements: list[Statement], generic: bool) -> Iterator[tuple[str, Node]]:
    with planning_session(parameters) as opened:
        for statement, values in statements:
            text = f"{statement} {values}"
            if (text, generic) not in KNOWN:
                KNOWN[text, generic] = plan(opened, statement, values, generic=generic)
            yield text, KNOWN[text, generic]


every_way = pytest.mark.parametrize(
    ("tenant", "generic"), [(tenant, generic) for tenant in (LARGE, SMALL, "nobody") for generic in (False, True)]
)


@every_way
def test_no_statement_reads_a_whole_table(
    large_database: Parameters, statements: dict[str, list[Statement]], tenant: str, generic: bool
) -> None:
    found = plans(large_database, statements[tenant], generic)
    assert [text for text, each in found if any(scan.kind == "Seq Scan" for scan in each.scans())] == []


@every_way
def test_no_statement_sorts_more_than_a_page(
    large_database: Parameters, statements: dict[str, list[Statement]], tenant: str, generic: bool
) -> None:
    found = plans(large_database, statements[tenant], generic)
    assert [text for text, each in found if each.sorts_unlimited()] == []


@every_way
def test_counts_and_pages_read_one_index_only(
    large_database: Parameters, statements: dict[str, list[Statement]], tenant: str, generic: bool
) -> None:
    counts, pages = parts_of(statements[tenant], COUNTS), parts_of(statements[tenant], PAGES)
    assert {text for text, _ in counts} | {text for text, _ in pages} == {*COUNTS, *PAGES}
    for text, each in plans(large_database, counts, generic):
        assert [kind for _, kind in reading(each)] == ["Index Only Scan"], text
    for text, each in plans(large_database, pages, generic):
        ids = next(node for node in each.all() if node.kind == "Limit" and reading(node))
        assert [kind for _, kind in reading(ids)] == ["Index Only Scan"], text


def parts_of(statements: list[Statement], parts: tuple[str, ...]) -> list[Statement]:
    """These counts or pages, which the adapters execute as parts of statements, with the values of the statements."""
    return [(part, values) for text, values in statements for part in parts if f"({part})" in text]


def reading(node: Node) -> set[tuple[str | None, str]]:
    """The indexes by which a node reads composes or blueprints; versions are excluded, because a blueprint has few."""
    read = ("composes", "blueprints", "compose_list_entries")
    return {(scan.index, scan.kind) for scan in node.scans() if scan.relation in read}


@every_way
def test_lists_with_filters_read_the_one_index_in_their_order(
    large_database: Parameters, statements: dict[str, list[Statement]], tenant: str, generic: bool
) -> None:
    filtered = {text: values for text, values in statements[tenant] if "compose_list_entries" in text}
    assert len(filtered) > 50
    for text, each in plans(large_database, list(filtered.items()), generic):
        by_name = "ORDER BY lower_name" in text
        # Builds are counted by the index of the age.
        names = {"compose_list_entries_by_age_idx"} | ({"compose_list_entries_by_name_idx"} if by_name else set())
        entries = {(scan.index, scan.kind) for scan in each.scans() if scan.relation == "compose_list_entries"}
        assert entries == {(name, "Index Only Scan") for name in names}, text


@every_way
def test_lists_of_composes_read_no_compose_that_is_too_old_to_be_listed(
    large_database: Parameters, statements: dict[str, list[Statement]], tenant: str, generic: bool
) -> None:
    lists = parts_of(statements[tenant], (*COUNTS, *PAGES))
    entered = [
        (text, scan.condition)
        for text, each in plans(large_database, lists, generic)
        for scan in each.scans()
        if scan.index in LISTED_BY_AGE
    ]
    assert entered
    assert [text for text, condition in entered if not re.search(r"\bcreated_at\b", condition)] == []


@every_way
def test_each_index_is_searched_by_its_first_column_and_not_read_to_its_end(
    large_database: Parameters, statements: dict[str, list[Statement]], tenant: str, generic: bool
) -> None:
    with session(large_database) as connection:
        rows = connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid, 1, true) FROM pg_index"
        )
        first = dict(rows.fetchall())
    found = plans(large_database, statements[tenant], generic)
    read_on = [
        (text, scan.index)
        for text, each in found
        for scan in each.scans()
        if scan.relation in GROWING and not re.search(rf"\b{first[str(scan.index)]}\b", scan.condition)
    ]
    assert [(text, index) for text, index in read_on if index not in OF_THE_MOMENT] == []


def test_each_statement_of_the_adapters_is_tested_here(statements: dict[str, list[Statement]]) -> None:
    ran = [text for text, _ in statements[LARGE]]
    written = [
        (name, text)
        for module in (
            *(blueprints, composes, idempotency, large_requests, leadership),
            *(abandoned_starts, cancellations, maintenance, starts, statuses),
            *(blueprint_lists, blueprint_versions, compose_lists, sboms),
        )
        for name, text in vars(module).items()
        if isinstance(text, str) and text.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))
    ]
    assert len(written) > 20
    assert [
        name
        for name, text in written
        if not TEMPLATE.search(text) and name not in OF_NO_TABLE and not any(text in each for each in ran)
    ] == []
