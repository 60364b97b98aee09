"""Stored bills of materials of builds."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.sboms import PostgresSboms
from domain.sboms import Sbom
from ports.sboms import StoredSboms
from tests.support.databases import Parameters
from tests.support.rows import insert_compose

BILL = Sbom("os", "image", "application/spdx+json", "{}")


@pytest.fixture(scope="module")
def sboms(module_database: Parameters) -> Iterator[PostgresSboms]:
    pool = PostgresDatabase(module_database, size=1)
    pool.open()
    yield PostgresSboms(pool)
    pool.close()


def test_bills_that_were_not_made_are_distinct_from_bills_that_are_not_stored(
    sboms: PostgresSboms, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)
    assert sboms.get(tenant, compose, "image") == StoredSboms(ended=False, sboms=None)
    sboms.store(compose, [BILL])
    sboms.store(compose, [BILL])
    assert sboms.get(tenant, compose, "image") == StoredSboms(ended=False, sboms=(BILL,))
    assert sboms.get(tenant, compose, "buildroot") == StoredSboms(ended=False, sboms=())
    assert sboms.get("another organization", compose, "image") is None
