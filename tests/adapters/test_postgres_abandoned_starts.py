"""Abandoned starts and the Idempotency-Keys of their requests on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from adapters.postgres.abandoned_starts import PostgresAbandonedStarts
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.idempotency import PostgresIdempotencyKeys
from adapters.postgres.starts import PostgresStarts
from domain.compose_filters import ComposeFilters
from domain.composes import ComposesQuery
from domain.idempotency import EarlierRequest, KeyClaim, RequestFailure
from domain.paging import Page
from domain.quota import Quota
from domain.starts import Adoption, NewStart
from tests.support.databases import Parameters, session
from tests.support.rows import counts, insert_compose, now, stored_row
from tests.support.starts import new_start

AT_ONCE = timedelta(0)
DAY = timedelta(days=1)
FAILURE = RequestFailure("UnavailableError", "away")


@pytest.fixture(scope="module")
def pool(module_database: Parameters) -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(module_database, size=4)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def starts(pool: PostgresDatabase) -> PostgresStarts:
    return PostgresStarts(pool)


@pytest.fixture
def abandoned(pool: PostgresDatabase) -> PostgresAbandonedStarts:
    return PostgresAbandonedStarts(pool)


@pytest.fixture
def keys(pool: PostgresDatabase) -> PostgresIdempotencyKeys:
    return PostgresIdempotencyKeys(pool)


def reserved(starts: PostgresStarts, tenant: str, key: UUID | None = None, number: int = 1) -> list[NewStart]:
    new = [new_start(tenant=tenant, image_name="mine", email="a@example.com") for _ in range(number)]
    assert starts.reserve(new, tenant, Quota(100, DAY), key).granted
    return new


def claimed(keys: PostgresIdempotencyKeys, tenant: str, key: str = "k") -> UUID:
    key_id = uuid4()
    assert keys.claim(KeyClaim(tenant, "/compose", key, b"body"), key_id) is None
    return key_id


def known(keys: PostgresIdempotencyKeys, tenant: str, key: str = "k") -> EarlierRequest | None:
    return keys.claim(KeyClaim(tenant, "/compose", key, b"body"), uuid4())


def test_an_adopted_start_becomes_a_compose_with_its_creation_time(
    module_database: Parameters, starts: PostgresStarts, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    (start,), build = reserved(starts, tenant), uuid4()
    began = now() - timedelta(hours=3)
    with session(module_database) as connection:
        connection.execute("UPDATE compose_starts SET created_at = %s WHERE id = %s", (began, start.id))
    assert abandoned.adopt(Adoption(start.id, build))
    row = stored_row(module_database, build)
    expected = {"org_id": tenant, "image_name": "mine", "email": "a@example.com", "account_number": "7"}
    assert {name: row[name] for name in expected} == expected
    assert (row["created_at"], row["request"], row["client_id"]) == (began, start.compose.request, "api")
    assert counts(module_database, tenant) == (1, 0)


def test_an_adopted_build_has_the_labels_of_its_start(
    pool: PostgresDatabase, starts: PostgresStarts, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    labels = {"team": "web", "odd": "\n\u2028"}
    for given in (labels, {}):
        start, build = new_start(tenant=tenant, labels=given), uuid4()
        assert starts.reserve([start], tenant, Quota(100, DAY)).granted
        assert abandoned.adopt(Adoption(start.id, build))
        found = PostgresComposes(pool).get(tenant, build)
        assert found is not None
        assert found.labels == given
    page = PostgresComposes(pool).find_page(
        ComposesQuery(tenant, Page(10, 0), filters=ComposeFilters(labels=("team:web",)))
    )
    assert page.count == 1


def test_a_start_is_adopted_once(
    module_database: Parameters, starts: PostgresStarts, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    (start,) = reserved(starts, tenant)
    assert abandoned.adopt(Adoption(start.id, uuid4()))
    assert not abandoned.adopt(Adoption(start.id, uuid4()))
    assert counts(module_database, tenant) == (1, 0)


def test_a_build_that_is_recorded_already_is_not_adopted(
    module_database: Parameters, starts: PostgresStarts, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    (start,) = reserved(starts, tenant)
    assert not abandoned.adopt(Adoption(start.id, insert_compose(module_database, "somebody else")))
    assert counts(module_database, tenant) == (0, 1)


def test_a_slow_pod_that_records_its_build_after_the_adoption_changes_nothing(
    module_database: Parameters, starts: PostgresStarts, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    (start,), build = reserved(starts, tenant), uuid4()
    abandoned.adopt(Adoption(start.id, build))
    starts.record(start.id, build, start.compose)
    assert counts(module_database, tenant) == (1, 0)


def test_starts_within_their_lease_are_not_abandoned(
    starts: PostgresStarts, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    (start,) = reserved(starts, tenant)
    assert start.id not in {each.id for each in abandoned.find_abandoned(DAY, 2 * DAY, 1000)}
    assert start.id in {each.id for each in abandoned.find_abandoned(AT_ONCE, DAY, 1000)}


def test_starts_beyond_the_maximum_age_are_only_counted(
    module_database: Parameters, starts: PostgresStarts, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    (start,) = reserved(starts, tenant)
    with session(module_database) as connection:
        connection.execute("UPDATE compose_starts SET created_at = created_at - %s WHERE id = %s", (DAY, start.id))
    assert start.id not in {each.id for each in abandoned.find_abandoned(AT_ONCE, DAY, 1000)}
    assert abandoned.count(AT_ONCE) >= 1


def test_one_pod_is_the_leader_until_its_term_ends(abandoned: PostgresAbandonedStarts) -> None:
    one, another = uuid4(), uuid4()
    assert abandoned.acquire_leadership(one, DAY)
    assert not abandoned.acquire_leadership(another, DAY)
    assert abandoned.acquire_leadership(one, AT_ONCE)
    assert abandoned.acquire_leadership(another, AT_ONCE)


def test_a_key_is_claimed_once_also_where_the_answer_was_lost(keys: PostgresIdempotencyKeys, tenant: str) -> None:
    request, key_id = KeyClaim(tenant, "/compose", "k", b"body"), uuid4()
    assert keys.claim(request, key_id) is None
    assert keys.claim(request, key_id) is None
    assert keys.claim(request, uuid4()) == EarlierRequest(b"body", settled=False, created_ids=())


def test_a_key_stores_the_ids_of_its_builds_in_their_order(
    starts: PostgresStarts, abandoned: PostgresAbandonedStarts, keys: PostgresIdempotencyKeys, tenant: str
) -> None:
    key_id, builds = claimed(keys, tenant), [uuid4(), uuid4(), uuid4()]
    first, second, third = reserved(starts, tenant, key_id, 3)
    starts.record(third.id, builds[2], third.compose)
    abandoned.adopt(Adoption(second.id, builds[1]))
    starts.record(first.id, builds[0], first.compose)
    keys.settle(key_id)
    assert known(keys, tenant) == EarlierRequest(b"body", settled=True, created_ids=tuple(builds))


def test_a_key_is_not_settled_as_failed_while_a_start_may_become_a_build(
    starts: PostgresStarts, keys: PostgresIdempotencyKeys, tenant: str
) -> None:
    key_id = claimed(keys, tenant)
    (start,) = reserved(starts, tenant, key_id)
    keys.settle_failed(key_id, FAILURE)
    assert known(keys, tenant) == EarlierRequest(b"body", settled=False, created_ids=(None,))
    assert key_id not in dict(keys.find_unsettled(AT_ONCE, 1000))
    starts.release([start.id])
    assert dict(keys.find_unsettled(AT_ONCE, 1000))[key_id] == (None,)
    keys.settle_failed(key_id, FAILURE)
    assert known(keys, tenant) is None


def test_a_key_with_some_builds_stores_its_failure(
    starts: PostgresStarts, keys: PostgresIdempotencyKeys, tenant: str
) -> None:
    key_id, build = claimed(keys, tenant), uuid4()
    one, another = reserved(starts, tenant, key_id, 2)
    starts.record(one.id, build, one.compose)
    starts.release([another.id])
    keys.settle_failed(key_id, FAILURE)
    assert known(keys, tenant) == EarlierRequest(b"body", settled=True, created_ids=(build, None), failure=FAILURE)


def test_a_settled_key_cannot_be_settled_as_failed(keys: PostgresIdempotencyKeys, tenant: str) -> None:
    key_id = claimed(keys, tenant)
    keys.settle(key_id)
    keys.settle_failed(key_id, FAILURE)
    assert known(keys, tenant) == EarlierRequest(b"body", settled=True, created_ids=())


def test_the_start_of_an_older_version_is_counted_and_not_found(
    module_database: Parameters, abandoned: PostgresAbandonedStarts, tenant: str
) -> None:
    start = uuid4()
    with session(module_database) as connection:
        connection.execute(
            "INSERT INTO compose_starts (id, org_id, created_at) VALUES (%s, %s, %s)", (start, tenant, now())
        )
    assert start not in {each.id for each in abandoned.find_abandoned(AT_ONCE, DAY, 1000)}
    assert counts(module_database, tenant) == (0, 1)
