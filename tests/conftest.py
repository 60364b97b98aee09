"""What all tests may ask for: a database server, databases, a stand-in composer, the running service."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from tests.support import databases, output, rounds
from tests.support.composes import BUILD_SECONDS
from tests.support.counts import check_counts
from tests.support.databases import Parameters
from tests.support.service import Service
from tests.support.shared_server import SharedServer

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Background jobs of shells ignore SIGINT, and those of nohup SIGHUP: the processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

LONGEST_FIRST = (
    "containers",
    "adapters/test_oldest_postgres.py",
    "contract",
    "architecture",
    "hostile",
    "load",
    "deploy",
    "e2e",
    "adapters",
)

LEAKS = pytest.StashKey[list[str]]()
SERVER = pytest.StashKey[SharedServer]()


@pytest.fixture(scope="session")
def shared_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SharedServer:
    """The database server of this test run."""
    folder = tmp_path_factory.getbasetemp()
    server = SharedServer(folder.parent if is_worker(request.config) else folder)
    request.config.stash[SERVER] = server
    server.connect()
    return server


@pytest.fixture(scope="session")
def postgres(shared_server: SharedServer) -> Parameters:
    """Connection parameters of a superuser of this server."""
    return shared_server.parameters


@pytest.fixture
def empty_database(postgres: Parameters) -> Iterator[Parameters]:
    """Connection parameters of a database without tables, for one test."""
    with databases.database(postgres) as parameters:
        yield parameters


@pytest.fixture(scope="session")
def migrated(shared_server: SharedServer) -> str:
    """The name of a migrated database that others are copied from: that is faster than to migrate each."""
    return shared_server.template("migrated", partial(migrate, log_each=False))


@pytest.fixture
def database(postgres: Parameters, migrated: str) -> Iterator[Parameters]:
    """Connection parameters of a migrated database, for one test. At its end, all counts in it are right."""
    with databases.database(postgres, migrated) as parameters:
        yield parameters
        check_counts(parameters)


@pytest.fixture(scope="module")
def module_database(postgres: Parameters, migrated: str) -> Iterator[Parameters]:
    """Connection parameters of a migrated database, for one module of tests. At its end, all counts in it are right."""
    with databases.database(postgres, migrated) as parameters:
        yield parameters
        check_counts(parameters)


@pytest.fixture(scope="session")
def composer_process() -> Iterator[StandInComposer]:
    """The stand-in composer; ask for `composer` to have it as new."""
    with StandInComposer(seconds=BUILD_SECONDS) as composer:
        yield composer


@pytest.fixture
def composer(composer_process: StandInComposer) -> Iterator[StandInComposer]:
    """The stand-in composer, behaving as usual, its counters at zero."""
    composer_process.reset()
    yield composer_process
    # Other tests use it as it is.
    composer_process.reset()


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """The running service, for one module of tests; each test uses an organization of its own."""
    with Service(module_database, composer_process.url) as running:
        yield running


def is_worker(config: pytest.Config) -> bool:
    """Whether this is one of several processes that pytest-xdist shares the tests out to."""
    return hasattr(config, "workerinput")


def distributes(config: pytest.Config) -> bool:
    """Whether this process shares the tests out to others, and runs none itself."""
    return config.getoption("dist", "no") != "no" and not is_worker(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three processes for each core with `-n auto`: many tests wait, for servers to start and deadlines to pass."""
    return 3 * len(os.sched_getaffinity(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that at the end no process is left alone with one of them."""
    tests = Path(__file__).parent
    ranks = {tests / place: rank for rank, place in enumerate(LONGEST_FIRST)}

    @cache
    def rank(file: Path) -> int:
        return min((ranks[each] for each in (file, *file.parents) if each in ranks), default=len(ranks))

    items.sort(key=lambda item: rank(item.path))


def pytest_collection_finish() -> None:
    """Thousands of tests are no garbage: do not look through them again and again."""
    gc.freeze()


def pytest_report_header() -> str:
    """Say which sample of the long tests is taken."""
    return "long tests: all of them" if rounds.LONG else f"long tests: a sample, repeated by TEST_SEED={rounds.SEED}"


def pytest_configure(config: pytest.Config) -> None:
    """Begin without leaks."""
    config.stash[LEAKS] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what was written in this process."""
    if report.when == "teardown":
        for title, text in report.sections:
            output.said(f"{report.nodeid}, {title}", text)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect what a worker found in the output of the programs that it ran."""
    node.config.stash[LEAKS].extend(getattr(node, "workeroutput", {}).get("leaks", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No output of the whole run holds a secret that the tests used. Each worker searches what its own tests ran."""
    leaks = session.config.stash[LEAKS]
    if not distributes(session.config):
        leaks += output.found()
    if is_worker(session.config):
        session.config.workeroutput["leaks"] = leaks
    if leaks:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    else:
        output.clean_up()
    if SERVER in session.config.stash:
        session.config.stash[SERVER].close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where secrets were found."""
    leaks = config.stash[LEAKS]
    if leaks:
        terminalreporter.section("secrets in what the programs wrote", red=True)
        for leak in leaks:
            terminalreporter.line(leak, red=True)
