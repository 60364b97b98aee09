"""The integration tests on a PostgreSQL that testcontainers runs, Debian's: older than the embedded one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import databases
from tests.support.databases import Parameters, session
from tests.support.once_more import pass_on
from tests.support.rounds import sampled
from tests.support.service import PROJECT

ADAPTERS = ("test_migrations*.py", "test_lists_beside_an_older_program.py", "test_postgres_*.py")
SERVICE = (
    "test_blueprints_list.py",
    "test_compose_lists.py",
    "test_compose_start.py",
    "test_quota.py",
)


def test_the_tests_server_is_a_container_where_the_engine_has_the_image(
    postgres_in_container: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(databases, "IMAGE", os.environ["TEST_CONTAINER_POSTGRES_IMAGE"])
    with databases.server() as parameters, session(parameters) as connection:
        assert parameters["port"] != postgres_in_container["port"]
        assert connection.info.server_version // 10_000 >= 12


@pytest.mark.parametrize(("folder", "patterns", "number"), [("adapters", ADAPTERS, 6), ("e2e", SERVICE, 2)])
def test_they_pass_on_it(
    postgres_in_container: Parameters, folder: str, patterns: tuple[str, ...], number: int
) -> None:
    own = PROJECT / "tests" / folder
    tests = sorted(str(path.relative_to(PROJECT)) for pattern in patterns for path in Path(own).glob(pattern))
    assert len(tests) >= len(patterns)
    # `nobody-False`: where there is nothing to read, older servers take any index.
    pass_on(postgres_in_container, sampled(tests, number), "-k", "not nobody-False")
