"""Connections to the embedded PostgreSQL require the password, which only the owner of the files can read."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import pytest

from adapters.embedded import postgres, postgres_access, private_files
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.unprivileged import Account
from domain.errors import ConfigurationError
from tests.support.folders import open_folder
from tests.support.rounds import repeated

FAST = {"fsync": "off", "synchronous_commit": "off"}
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
# As folders of before have them, and in comments.
TRUST = "# initdb's\nlocal all all trust\nhost all all 127.0.0.1/32 trust\n"
MODULES = {str(module.__file__) for module in (postgres, postgres_access, private_files)}
CRASH_POINTS = repeated(4, 12)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with open_folder() as folder:
        with EmbeddedPostgres(folder / "postgresql", settings=FAST) as server:
            execute(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        yield folder / "postgresql"


@pytest.fixture
def data(template: Path) -> Iterator[Path]:
    """A writable data folder with its password file."""
    with open_folder() as folder:
        copy(template, folder / "postgresql")
        shutil.copy(template.with_name("postgresql.pgpass"), folder)
        yield folder / "postgresql"


@pytest.fixture
def open_data(template: Path) -> Iterator[Path]:
    """A data folder of a version without passwords, accessible for all users."""
    with open_folder() as folder:
        yield opened(template, folder / "postgresql")


def copy(template: Path, target: Path) -> None:
    shutil.copytree(template, target)
    Account.for_folder(template).take_ownership(target)


def opened(template: Path, target: Path) -> Path:
    copy(template, target)
    (target / "pg_hba.conf").write_text(TRUST)
    with (target.with_name("log")).open("ab") as log:
        binaries = postgres.postgres_binaries.find_binaries(Account.for_folder(target))
        process = Account.for_folder(target).launch(
            binaries / "postgres",
            ["--single", "-D", str(target), "postgres"],
            last_signal=signal.SIGQUIT,
            log=log,
            stdin=subprocess.PIPE,
        )
        process.communicate(b"ALTER ROLE postgres PASSWORD NULL;\n", 30)
    return target


def execute(server: EmbeddedPostgres, statement: str) -> Any:
    with psycopg.connect(**server.connection_parameters()) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone() if cursor.description else None


def without_password(server: EmbeddedPostgres) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": server.port, "user": "postgres", "connect_timeout": 10}


def assert_closed_and_whole(server: EmbeddedPostgres) -> None:
    for database in ("imagebuilder", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(**without_password(server), dbname=database)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**without_password(server), dbname="imagebuilder", password="a guess")
    assert execute(server, "SELECT answer FROM kept") == (42,)
    assert server.passfile.stat().st_mode & 0o7777 == 0o600


@contextmanager
def as_nobody() -> Iterator[dict[str, Any]]:
    """Arguments of subprocess that run a program as another user without groups."""
    nobody = pwd.getpwnam("nobody")
    yield {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}


def test_connections_without_the_password_are_refused(data: Path) -> None:
    with EmbeddedPostgres(data, settings=FAST) as server:
        assert_closed_and_whole(server)


def test_libpq_accepts_the_password_file(data: Path) -> None:
    with (
        EmbeddedPostgres(data, settings=FAST) as server,
        psycopg.connect(**without_password(server), dbname="imagebuilder", passfile=str(server.passfile)) as connection,
    ):
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_replication_is_refused(data: Path) -> None:
    with EmbeddedPostgres(data, settings=FAST) as server:
        parameters = {**server.connection_parameters(), "replication": "true"}
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry for replication"):
            psycopg.connect(**parameters)


@ROOT_ONLY
def test_another_user_can_neither_read_the_password_nor_use_its_file(data: Path) -> None:
    reads = ["/usr/bin/env", "cat", "--", data.with_name("postgresql.pgpass")]
    logs = ["/usr/bin/env", "cat", "--", data.with_name("postgresql.log")]
    with EmbeddedPostgres(data, settings=FAST), as_nobody() as nobody:
        for command in (reads, logs):
            ended = subprocess.run(command, check=False, capture_output=True, text=True, **nobody)
            assert ended.returncode != 0
            assert "Permission denied" in ended.stderr


def test_the_password_is_in_no_argument_environment_or_log(data: Path) -> None:
    server = EmbeddedPostgres(data, settings={**FAST, "log_statement": "all", "log_min_error_statement": "debug5"})
    data.with_name("postgresql.pgpass").unlink()  # a password that is made is most at risk
    with server:
        password = server.connection_parameters()["password"].encode()
        told = [Path(f"/proc/{server.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        assert len(password) == 64
        assert not [text for text in told if password in text]
    assert b"ALTER ROLE" in server.log.read_bytes()
    assert password not in server.log.read_bytes()


def test_a_folder_without_access_rules_is_secured_before_the_server_listens(open_data: Path) -> None:
    with EmbeddedPostgres(open_data, settings=FAST) as server:
        assert_closed_and_whole(server)
        first = server.connection_parameters()["password"]
    assert "trust" not in (open_data / "pg_hba.conf").read_text()
    with EmbeddedPostgres(open_data, settings=FAST) as server:
        assert_closed_and_whole(server)
        assert server.connection_parameters()["password"] == first


def test_a_folder_whose_settings_name_other_access_rules_is_secured(open_data: Path) -> None:
    (open_data / "open.conf").write_text(TRUST)
    (open_data / "postgresql.auto.conf").write_text(f"hba_file = '{open_data}/open.conf'\n")
    Account.for_folder(open_data).take_ownership(open_data)
    with EmbeddedPostgres(open_data, settings=FAST) as server:
        assert_closed_and_whole(server)


def test_the_password_survives_a_restart_and_a_crash(data: Path) -> None:
    server = EmbeddedPostgres(data, settings=FAST)
    passwords = set()
    for end in (server.stop, server.kill, server.stop):
        server.start()
        passwords.add(server.connection_parameters()["password"])
        assert_closed_and_whole(server)
        end()
    assert len(passwords) == 1


DAMAGES: dict[str, Callable[[Path], object]] = {
    "lost": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-10]),
    "something else": lambda file: file.write_bytes(b"127.0.0.1:*:*:postgres:secret'; DROP ROLE postgres; --\n"),
    "huge": lambda file: file.write_bytes(b"x" * 100_000),
    "readable for others": lambda file: file.chmod(0o644),
    "of another password": lambda file: file.write_text(f"127.0.0.1:*:*:postgres:{'a' * 64}\n"),
    "a link": lambda file: (file.rename(file.with_name("elsewhere")), file.symlink_to("elsewhere")),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file, 0o600)),
    "half replaced": lambda file: file.rename(file.with_name(f"{file.name}.new")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_unusable_password_file_is_replaced(data: Path, damage: Callable[[Path], object]) -> None:
    damage(data.with_name("postgresql.pgpass"))
    with EmbeddedPostgres(data, settings=FAST) as server:
        assert_closed_and_whole(server)
    assert sorted({path.name for path in data.parent.iterdir()} - {"elsewhere"}) == [
        "postgresql",
        "postgresql.log",
        "postgresql.pgpass",
    ]


@ROOT_ONLY
def test_a_password_file_of_another_user_is_replaced(data: Path) -> None:
    passfile = data.with_name("postgresql.pgpass")
    theirs = passfile.read_text()
    os.chown(passfile, pwd.getpwnam("nobody").pw_uid, -1)
    with EmbeddedPostgres(data, settings=FAST) as server:
        assert_closed_and_whole(server)
    assert passfile.read_text() != theirs
    assert passfile.stat().st_uid == 0


def test_the_error_names_the_path_that_prevents_the_password_file(data: Path) -> None:
    passfile = data.with_name("postgresql.pgpass")
    passfile.unlink()
    passfile.mkdir()
    (passfile / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(ConfigurationError, match=rf"cannot use .*{passfile.name}"):
        EmbeddedPostgres(data, settings=FAST).start()
    assert (passfile / "thesis.txt").exists()


def test_a_password_that_was_changed_in_the_database_is_set_again(data: Path) -> None:
    with EmbeddedPostgres(data, settings=FAST) as server:
        execute(server, "ALTER ROLE postgres PASSWORD 'changed'")
    with EmbeddedPostgres(data, settings=FAST) as server:
        assert_closed_and_whole(server)


def test_the_error_about_a_database_without_its_superuser_has_the_reason(data: Path) -> None:
    with EmbeddedPostgres(data, settings=FAST) as server:
        execute(server, "CREATE ROLE other SUPERUSER LOGIN PASSWORD 'other'")
        renamed = {**server.connection_parameters(), "user": "other", "password": "other"}
        with psycopg.connect(**renamed) as connection:
            connection.execute("ALTER ROLE postgres RENAME TO renamed")
    with pytest.raises(ConfigurationError, match=r'cannot set its password (.*\n)*.*role "postgres" does not exist'):
        EmbeddedPostgres(data, settings=FAST).start()


def test_files_and_their_folder_are_private(template: Path) -> None:
    with open_folder() as folder:
        data = folder / "made" / "here" / "postgresql"
        with EmbeddedPostgres(data, settings=FAST):
            pass
        account = Account.for_folder(data)
        modes = {path.name: path.stat().st_mode & 0o7777 for path in (data.parent, *data.parent.iterdir())}
        root = os.geteuid() == 0
        assert modes == {
            "here": 0o710 if root else 0o700,  # the server's account walks through it
            "postgresql": 0o700,
            "postgresql.log": 0o600,
            "postgresql.pgpass": 0o600,
        }
        assert data.parent.stat().st_gid == (account.gid if root else os.getegid())


def test_a_log_that_is_readable_for_others_is_made_private(data: Path) -> None:
    log = data.with_name("postgresql.log")
    log.write_text("from before\n")
    log.chmod(0o644)
    with EmbeddedPostgres(data, settings=FAST):
        pass
    assert log.stat().st_mode & 0o7777 == 0o600
    assert log.read_text().startswith("from before\n")


def lines_of_a_start(data: Path) -> list[tuple[str, int]]:
    """The lines that a start executes, each once, in order."""
    seen: dict[tuple[str, int], None] = {}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in MODULES:
            return None
        if event == "line":
            seen[frame.f_code.co_filename, frame.f_lineno] = None
        return trace

    server = EmbeddedPostgres(data, settings=FAST)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        server.start()
    finally:
        sys.settrace(before)
    server.stop()
    return list(seen)


def crash_at(data: Path, line: tuple[str, int]) -> None:
    """Start in a separate process that ends at this line as if it were killed."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != line[0]:
            return None
        if event == "line" and frame.f_lineno == line[1]:
            os._exit(9)
        return trace

    child = os.fork()
    if child == 0:
        try:
            sys.settrace(trace)
            EmbeddedPostgres(data, settings=FAST).start()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_after_a_crash_at_any_step_of_the_start_the_next_start_secures_the_folder(template: Path) -> None:
    with open_folder() as folder:
        lines = lines_of_a_start(opened(template, folder / "traced"))
        step = int(os.environ.get("CRASH_STEP") or max(len(lines) // CRASH_POINTS, 1))
        for number, line in enumerate(lines[::step]):
            data = opened(template, folder / f"crashed-{number}")
            crash_at(data, line)
            with EmbeddedPostgres(data, settings=FAST) as server:
                assert_closed_and_whole(server)
            shutil.rmtree(data)
