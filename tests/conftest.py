"""What all tests may ask for: a database server, databases, a stand-in composer, the running service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from tests.support import databases, output
from tests.support.databases import Parameters
from tests.support.service import Service


@pytest.fixture(scope="session")
def postgres() -> Iterator[Parameters]:
    """Connection parameters of the tests' database server."""
    with databases.server() as parameters:
        yield parameters


@pytest.fixture
def empty_database(postgres: Parameters) -> Iterator[Parameters]:
    """Connection parameters of a database without tables, for one test."""
    with databases.database(postgres) as parameters:
        yield parameters


@pytest.fixture
def database(empty_database: Parameters) -> Parameters:
    """Connection parameters of a migrated database, for one test."""
    migrate(empty_database)
    return empty_database


@pytest.fixture(scope="module")
def module_database(postgres: Parameters) -> Iterator[Parameters]:
    """Connection parameters of a migrated database, for one module of tests."""
    with databases.database(postgres) as parameters:
        migrate(parameters)
        yield parameters


@pytest.fixture(scope="session")
def composer_process() -> Iterator[StandInComposer]:
    """The stand-in composer; ask for `composer` to have it as new."""
    with StandInComposer(seconds=1.0) as composer:
        yield composer


@pytest.fixture
def composer(composer_process: StandInComposer) -> StandInComposer:
    """The stand-in composer, behaving as usual, its counters at zero."""
    composer_process.reset()
    return composer_process


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """The running service, for one module of tests; each test uses an organization of its own."""
    with Service(module_database, composer_process.url) as running:
        yield running


LEAKS = pytest.StashKey[list[str]]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what was written in this process."""
    if report.when == "teardown":
        for title, text in report.sections:
            output.said(f"{report.nodeid}, {title}", text)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No output of the whole run holds a secret that the tests used."""
    leaks = output.found()
    session.config.stash[LEAKS] = leaks
    if leaks:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    else:
        output.clean_up()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where secrets were found."""
    leaks = config.stash.get(LEAKS, [])
    if leaks:
        terminalreporter.section("secrets in what the programs wrote", red=True)
        for leak in leaks:
            terminalreporter.line(leak, red=True)
