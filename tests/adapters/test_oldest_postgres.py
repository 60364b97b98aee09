"""The tests of the database on PostgreSQL 12, the oldest supported version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import oldest_postgres
from tests.support.databases import Parameters, session
from tests.support.once_more import pass_on
from tests.support.rounds import sampled
from tests.support.service import PROJECT

pytestmark = pytest.mark.timeout(1800)

OF_THE_DATABASE = (
    "test_database_roles.py",
    "test_lists_beside_an_older_program.py",
    "test_migrations*.py",
    "test_postgres_*.py",
)
# `nobody-False`: where there is nothing to read, 12 takes any index.
LEFT_OUT = ("-k", "not nobody-False")


@pytest.fixture(scope="module")
def postgres_12() -> Iterator[Parameters]:
    programs = os.environ.get("TEST_OLDEST_POSTGRES", "")
    if not programs:
        pytest.skip("TEST_OLDEST_POSTGRES is not set: `tools/oldest_postgres.sh DIR` prints what to set it to")
    with oldest_postgres.server(Path(programs)) as parameters:
        yield parameters


def test_the_server_is_the_oldest_supported_version(postgres_12: Parameters) -> None:
    with session(postgres_12) as connection:
        assert connection.info.server_version // 10_000 == 12


def test_migrations_and_all_statements_work_on_the_oldest_version(postgres_12: Parameters) -> None:
    own = Path(__file__).parent
    tests = sorted(str(path.relative_to(PROJECT)) for pattern in OF_THE_DATABASE for path in own.glob(pattern))
    assert len(tests) > len(OF_THE_DATABASE)
    pass_on(postgres_12, sampled(tests, 6), *LEFT_OUT)
