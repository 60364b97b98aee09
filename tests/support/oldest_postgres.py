"""A server of the oldest supported PostgreSQL, with the programs that `tools/oldest_postgres.sh` downloads."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from adapters.embedded.unprivileged import Account
from tests.support.databases import FAST, Parameters
from tests.support.folders import open_data_folder
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE


@contextmanager
def server(binaries: Path) -> Iterator[Parameters]:
    """Connection parameters of a superuser; the server and its data are removed at the end."""
    with open_data_folder() as folder, tempfile.TemporaryFile() as log:
        account = Account.for_folder(folder)
        account.take_ownership(folder)
        data = ["-D", str(folder / "data")]
        made = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        assert account.launch(binaries / "initdb", data + made, last_signal=signal.SIGKILL, log=log).wait(PATIENCE) == 0
        port = free_port()
        settings = {
            **FAST,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": port,
            "max_connections": 300,
        }
        process = account.launch(
            binaries / "postgres",
            data + [word for name, value in settings.items() for word in ("-c", f"{name}={value}")],
            last_signal=signal.SIGINT,
            log=log,
        )
        try:
            parameters = {"host": "127.0.0.1", "port": port, "user": "postgres", "dbname": "postgres"}
            _wait(parameters)
            yield parameters
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def _wait(parameters: Parameters) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(**parameters, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
