from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from adapters.embedded import postgres, postgres_binaries
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.unprivileged import Account
from domain.errors import ConfigurationError
from tests.support.folders import open_folder
from tests.support.ports import free_port
from tests.support.waiting import until

FAST = {"fsync": "off", "synchronous_commit": "off"}
PROJECT = Path(__file__).parents[2]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")

# A process of its own with a server; it says which and where, and that it was interrupted.
PARENT = """
import signal, sys, time
from pathlib import Path
from adapters.embedded.postgres import EmbeddedPostgres
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
server.start()
print(server.pid, server.dsn, flush=True)
while True:
    time.sleep(1)
"""


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """An initialised data folder for tests that do not change it, because `initdb` and copies are slow."""
    with open_folder() as folder:
        with EmbeddedPostgres(folder / "postgresql", settings=FAST):
            pass
        yield folder / "postgresql"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user nobody can enter, unlike the folders of pytest when root runs the tests."""
    with open_folder() as made:
        yield made


@pytest.fixture
def data(folder: Path, template: Path) -> Path:
    """A writable copy of the data folder."""
    account = Account.for_folder(template)
    shutil.copytree(template, folder / "postgresql")
    account.take_ownership(folder / "postgresql")
    return folder / "postgresql"


@pytest.fixture
def parent(data: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(data)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        yield process
        process.kill()


def first_words_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    assert process.stdout is not None
    pid, dsn = process.stdout.readline().split()
    return int(pid), dsn


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def scalar(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
        return None if row is None else row[0]


def execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode())


@contextmanager
def listener_on(port: int) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", port)) as listener:
        yield listener.getsockname()[1]


def interpreter_for(account: Account) -> Path:
    """A Python of this version that the account can run; it may be unable to run the interpreter of the tests."""
    ours = Path(sys.executable).resolve()
    systems = Path("/usr/bin", ours.name)
    for candidate in (ours, systems):
        if candidate.exists() and not account.find_inaccessible((*reversed(candidate.parents), candidate)):
            return candidate
    pytest.skip(f"{account} can run no {ours.name} here")


def test_a_missing_folder_is_initialised_with_utf8_and_utc(folder: Path) -> None:
    with EmbeddedPostgres(folder / "not" / "yet" / "there", settings=FAST, max_connections=17) as server:
        assert scalar(server.dsn, "SELECT current_database()") == "imagebuilder"
        assert scalar(server.dsn, "SHOW server_encoding") == "UTF8"
        assert scalar(server.dsn, "SHOW timezone") == "UTC"
        assert scalar(server.dsn, "SHOW max_connections") == "17"
        assert scalar(server.dsn, "SHOW listen_addresses") == "127.0.0.1"
        assert scalar(server.dsn, "SHOW unix_socket_directories") == ""


def test_files_of_a_crashed_initialisation_are_removed(folder: Path) -> None:
    (folder / "postgresql.initdb").mkdir()
    (folder / "postgresql.initdb" / "half").write_text("made")

    with EmbeddedPostgres(folder / "postgresql", settings=FAST) as server:
        assert scalar(server.dsn, "SELECT 1") == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "postgresql",
        "postgresql.log",
        "postgresql.pgpass",
    ]


def test_the_connection_parameters_open_a_connection(template: Path) -> None:
    with (
        EmbeddedPostgres(template, settings=FAST) as server,
        psycopg.connect(**server.connection_parameters()) as connection,
    ):
        assert connection.info.host == "127.0.0.1"
        assert connection.info.dbname == "imagebuilder"


def test_letters_of_any_alphabet_match_in_any_case(template: Path) -> None:
    with (
        EmbeddedPostgres(template, settings=FAST) as server,
        psycopg.connect(**server.connection_parameters()) as connection,
    ):
        assert connection.execute("SELECT 'Äpfel Жук' ILIKE '%äPFEL жУк%'").fetchone() == (True,)


def test_a_second_start_finds_the_data_of_the_first_on_the_same_port(data: Path) -> None:
    server = EmbeddedPostgres(data, settings=FAST)
    server._port = port = free_port()  # no other process can bind it while the server is stopped
    server.start()
    execute(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    server.start()
    try:
        assert scalar(server.dsn, "SELECT answer FROM kept") == 42
        assert server.port == port
    finally:
        server.stop()


def test_starting_or_stopping_twice_changes_nothing(template: Path) -> None:
    server = EmbeddedPostgres(template, settings=FAST)
    server.stop()
    server.start()
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.stop()
    server.stop()
    assert server.pid is None


def test_committed_data_survive_a_crash(data: Path) -> None:
    server = EmbeddedPostgres(data)
    server.start()
    execute(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.kill()
    server.start()
    try:
        assert scalar(server.dsn, "SELECT answer FROM kept") == 42
    finally:
        server.stop()


def test_a_killed_server_is_started_again_despite_its_pid_file(data: Path) -> None:
    server = EmbeddedPostgres(data, settings=FAST)
    server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: server.pid is None, "the server has ended")
    assert (data / "postmaster.pid").exists()
    server.start()
    try:
        assert scalar(server.dsn, "SELECT 1") == 1
    finally:
        server.stop()


def test_a_stale_pid_file_with_the_id_of_another_process_does_not_prevent_the_start(data: Path) -> None:
    (data / "postmaster.pid").write_text(f"{os.getppid()}\n{data}\n1\n5432\n\n127.0.0.1\n\nready\n")

    with EmbeddedPostgres(data, settings=FAST) as server:
        assert scalar(server.dsn, "SELECT 1") == 1


def test_another_port_is_used_if_another_program_has_taken_the_port(template: Path) -> None:
    server = EmbeddedPostgres(template, settings=FAST)
    server._port = port = free_port()  # no other process can bind it while the server is stopped
    server.start()
    assert server.port == port
    server.stop()
    with listener_on(port):
        server.start()
        try:
            assert server.port != port
            assert scalar(server.dsn, "SELECT 1") == 1
        finally:
            server.stop()


def test_another_port_is_used_if_the_port_is_taken_at_the_last_moment(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener_on(0) as taken:
        answers = iter([taken])
        free_port = postgres._free_port
        monkeypatch.setattr(postgres, "_free_port", lambda _: next(answers, None) or free_port(None))
        with EmbeddedPostgres(template, settings=FAST) as server:
            assert server.port != taken
            assert scalar(server.dsn, "SELECT 1") == 1


def test_a_folder_in_use_is_refused_with_the_process_id(template: Path) -> None:
    with EmbeddedPostgres(template, settings=FAST) as server:
        with pytest.raises(ConfigurationError, match=f"Another run uses .*{template.name}.*{server.pid}"):
            EmbeddedPostgres(template, settings=FAST).start()
        assert scalar(server.dsn, "SELECT 1") == 1


def test_the_server_ends_when_its_parent_is_killed_and_the_folder_can_be_used_at_once(
    data: Path, parent: subprocess.Popen[str]
) -> None:
    pid, dsn = first_words_of(parent)
    execute(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    parent.kill()

    with EmbeddedPostgres(data, settings=FAST) as server:
        assert not is_alive(pid)
        assert scalar(server.dsn, "SELECT answer FROM kept") == 42


def test_ctrl_c_in_the_terminal_leaves_the_server_to_its_parent(parent: subprocess.Popen[str]) -> None:
    pid, dsn = first_words_of(parent)
    os.killpg(parent.pid, signal.SIGINT)

    assert parent.stdout is not None
    assert parent.stdout.readline() == "interrupted\n"
    assert scalar(dsn, "SELECT 1") == 1
    parent.kill()
    until(lambda: not is_alive(pid), "the server has ended")


def test_a_folder_of_another_version_is_refused_with_both_versions(data: Path) -> None:
    (data / "PG_VERSION").write_text("16\n")

    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 16, and this is 18"):
        EmbeddedPostgres(data).start()


def test_a_folder_with_other_files_is_refused_and_stays_unchanged(folder: Path) -> None:
    (folder / "postgresql").mkdir()
    (folder / "postgresql" / "thesis.txt").write_text("irreplaceable")

    with pytest.raises(ConfigurationError, match="neither empty nor PostgreSQL's"):
        EmbeddedPostgres(folder / "postgresql").start()
    assert (folder / "postgresql" / "thesis.txt").read_text() == "irreplaceable"


def test_the_error_about_a_server_that_does_not_start_has_its_log(template: Path) -> None:
    server = EmbeddedPostgres(template, settings={"no_such_setting": "on"})

    with pytest.raises(ConfigurationError, match='unrecognized configuration parameter "no_such_setting"'):
        server.start()
    assert server.pid is None


def test_a_start_outside_the_main_thread_is_refused(template: Path) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedPostgres(template).start()
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


@ROOT_ONLY
def test_root_runs_the_server_as_nobody(template: Path) -> None:
    with EmbeddedPostgres(template, settings=FAST) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert template.stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert template.parent.stat().st_uid == 0


@ROOT_ONLY
def test_root_can_use_a_folder_that_root_has_copied(folder: Path, template: Path) -> None:
    shutil.copytree(template, folder / "copied")

    with EmbeddedPostgres(folder / "copied", settings=FAST) as server:
        assert scalar(server.dsn, "SELECT 1") == 1


@ROOT_ONLY
def test_a_parent_folder_that_the_user_nobody_cannot_enter_is_named_and_stays_unchanged(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(ConfigurationError, match=rf"the folder {closed} bars user nobody .*--data"):
        EmbeddedPostgres(closed / "postgresql").start()
    assert closed.stat().st_mode & 0o777 == 0o700


@ROOT_ONLY
def test_programs_that_the_user_nobody_cannot_run_are_copied_once_and_completed(
    folder: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    package = postgres_binaries._package()
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), closed / name, ignore=shutil.ignore_patterns("include", "pginstall"))
    (folder / "shared").mkdir()
    monkeypatch.setattr(postgres_binaries, "_SHARED", folder / "shared")
    monkeypatch.setattr(postgres_binaries, "_package", lambda: closed / package.name)

    with EmbeddedPostgres(template, settings=FAST) as server:
        program = Path(f"/proc/{server.pid}/exe").readlink()
    [copy] = (folder / "shared").iterdir()
    (copy / package.name / "pginstall18" / "bin" / "initdb").unlink()
    with EmbeddedPostgres(folder / "anew", settings=FAST):
        pass

    assert program == copy / package.name / "pginstall18" / "bin" / "postgres"
    assert list((folder / "shared").iterdir()) == [copy]


@ROOT_ONLY
def test_programs_that_another_user_may_have_placed_are_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_binaries, "_SHARED", folder)
    copy = postgres_binaries._copy(postgres_binaries._package())
    os.chown(copy, pwd.getpwnam("nobody").pw_uid, -1)

    with pytest.raises(ConfigurationError, match="only root can write"):
        postgres_binaries._copy(postgres_binaries._package())


@ROOT_ONLY
def test_a_user_without_root_privileges_runs_the_server_as_itself(folder: Path, data: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    python = interpreter_for(Account(nobody.pw_uid, nobody.pw_gid))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    with subprocess.Popen(
        [python, "-c", PARENT, str(data)],
        stdout=subprocess.PIPE,
        text=True,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        env={"PYTHONPATH": os.pathsep.join((str(PROJECT), str(Path(psycopg.__file__).parents[1])))},
    ) as process:
        pid, dsn = first_words_of(process)
        owner = Path(f"/proc/{pid}").stat().st_uid
        answer = scalar(dsn, "SELECT 1")
        process.kill()
    until(lambda: not is_alive(pid), "the server has ended")

    assert (owner, answer) == (nobody.pw_uid, 1)
