"""One database server for all processes of a test run, as pytest-xdist starts them."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tests.support import databases
from tests.support.databases import Parameters


class SharedServer:
    """The first process that needs the server starts it, the others connect to it, the first one stops it at the end.

    `folder` is the same for all processes of the run and new for each run. The locks are those of `lockf`, which the
    kernel releases when a process dies and which child processes do not inherit.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._resources = ExitStack()
        self._users: IO[str] | None = None
        self._started = False

    def parameters(self) -> Parameters:
        """Connection parameters of a superuser; starts the server if no process of this run has."""
        with _locked(self._folder / "postgres.lock"):
            self._users = self._resources.enter_context((self._folder / "postgres.users").open("a+"))
            fcntl.lockf(self._users, fcntl.LOCK_SH)
            address = self._folder / "postgres.json"
            if not address.exists():
                parameters = self._resources.enter_context(databases.server())
                address.write_text(json.dumps(dict(parameters)))
                self._started = True
            found: Parameters = json.loads(address.read_text())
            return found

    def close(self) -> None:
        """Stop using the server. The process that started it waits for the others, then stops it."""
        if self._started:
            fcntl.lockf(self._users, fcntl.LOCK_EX)
        self._resources.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
