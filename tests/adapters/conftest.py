"""What the tests of adapters may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.http.composer import HttpComposer
from adapters.postgres.blueprints import PostgresBlueprints
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.starts import PostgresStarts
from tests.support import databases
from tests.support.clock import Clock
from tests.support.composer_adapter import a_composer
from tests.support.databases import Parameters, session
from tests.support.large import fill_large
from tests.support.pools import pool
from tests.support.rows import TERN_15
from tests.support.shared_server import SharedServer
from tests.support.stand_in import Client
from tests.support.tls import Authority, authority


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that certifies the servers of our back-ends."""
    return authority(tmp_path_factory.mktemp("tls"), "ours")


@pytest.fixture(scope="session")
def another(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts by default."""
    return authority(tmp_path_factory.mktemp("tls"), "another")


@pytest.fixture
def call(composer: StandInComposer) -> Iterator[Client]:
    """A client of the stand-in composer."""
    client = Client(composer)
    yield client
    client.session.close()


@pytest.fixture
def real(composer: StandInComposer) -> Iterator[HttpComposer]:
    """The client of the composer, on the stand-in composer."""
    with a_composer(composer.url) as adapter:
        yield adapter


@pytest.fixture(scope="module")
def blueprints(module_database: Parameters) -> Iterator[PostgresBlueprints]:
    """The blueprints store of the module's database."""
    with pool(module_database) as opened:
        yield PostgresBlueprints(opened)


@pytest.fixture(scope="module")
def composes(module_database: Parameters) -> Iterator[PostgresComposes]:
    """The composes store of the module's database."""
    with pool(module_database) as opened:
        yield PostgresComposes(opened)


@pytest.fixture(scope="module")
def starts(module_database: Parameters) -> Iterator[PostgresStarts]:
    """The store of starts of the module's database."""
    with pool(module_database, size=10) as opened:
        yield PostgresStarts(opened)


@pytest.fixture
def tenant() -> str:
    """The organization of one test."""
    return uuid4().hex


@pytest.fixture
def clock() -> Clock:
    """The clock of one test."""
    return Clock()


@pytest.fixture
def old_database(empty_database: Parameters) -> Parameters:
    """A database of the older program, with rows."""
    with session(empty_database) as connection:
        connection.execute(TERN_15)
    return empty_database


@pytest.fixture(scope="module")
def large_database(postgres: Parameters, shared_server: SharedServer) -> Iterator[Parameters]:
    """A database with a tenth of the benchmark's rows, for tests that do not change the lists of its two tenants."""
    with databases.database(postgres, shared_server.template("large", fill_large)) as parameters:
        yield parameters
