"""Idempotency-Keys of failed requests, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.idempotency import PostgresIdempotencyKeys
from adapters.postgres.starts import PostgresStarts
from domain.idempotency import EarlierRequest, KeyClaim, RequestFailure
from tests.support.databases import Parameters
from tests.support.starts import new_start

LOST = RequestFailure("UnavailableError", "The build could not be recorded")


class Request:
    """A request with a key for several builds, in a new organization."""

    def __init__(self, database: PostgresDatabase, number: int) -> None:
        self.keys, self._starts = PostgresIdempotencyKeys(database), PostgresStarts(database)
        self.id, tenant = uuid4(), uuid4().hex
        self._keyed = KeyClaim(tenant, "/compose", "key", b"body")
        assert self.keys.claim(self._keyed, self.id) is None
        self._left = [new_start(tenant=tenant) for _ in range(number)]
        self._starts.reserve(self._left, tenant, None, self.id)

    def builds(self) -> UUID:
        """Record the next build."""
        start, compose = self._left.pop(0), uuid4()
        self._starts.record(start.id, compose, start.compose)
        return compose

    def comes_to_nothing(self) -> None:
        """Release the next build."""
        self._starts.release([self._left.pop(0).id])

    def known(self) -> EarlierRequest | None:
        """The answer to a repetition; None if the request may be executed."""
        return self.keys.claim(self._keyed, uuid4())


@pytest.fixture(scope="module")
def database(module_database: Parameters) -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(module_database, size=2)
    opened.open()
    yield opened
    opened.close()


def test_a_request_whose_builds_are_all_recorded_has_not_failed(database: PostgresDatabase) -> None:
    request = Request(database, 2)
    made = (request.builds(), request.builds())
    request.keys.settle_failed(request.id, LOST)
    assert request.known() == EarlierRequest(b"body", settled=True, created_ids=made)


def test_the_failure_of_a_partly_successful_request_is_stored(database: PostgresDatabase) -> None:
    request = Request(database, 2)
    made = (request.builds(), None)
    request.comes_to_nothing()
    request.keys.settle_failed(request.id, LOST)
    assert request.known() == EarlierRequest(b"body", settled=True, created_ids=made, failure=LOST)


def test_a_request_is_not_settled_while_a_start_may_become_a_build(database: PostgresDatabase) -> None:
    request = Request(database, 2)
    made = (request.builds(), None)
    request.keys.settle_failed(request.id, LOST)
    assert request.known() == EarlierRequest(b"body", settled=False, created_ids=made)


def test_a_request_without_builds_may_be_repeated(database: PostgresDatabase) -> None:
    request = Request(database, 1)
    request.comes_to_nothing()
    request.keys.settle_failed(request.id, LOST)
    assert request.known() is None
