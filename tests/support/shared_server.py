"""One database server for all processes of a test run, as pytest-xdist starts them."""

from __future__ import annotations

import fcntl
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from tests.support import databases
from tests.support.databases import Parameters

_POLL_SECONDS: Final = 0.2
# Files that hold the names of databases to make copies of.
_TEMPLATE: Final = ".template"


class SharedServer:
    """The first process that needs the server starts it, the others connect to it, the first one stops it at the end.

    `folder` is the same for all processes of the run and new for each run. The locks are those of `lockf`, which the
    kernel releases when a process dies and which child processes do not inherit.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = folder / "postgres.json"
        self._resources = ExitStack()
        # Of a superuser, from `connect` on.
        self.parameters: Parameters = {}
        self._users: IO[str] | None = None
        self._started = False

    def connect(self) -> None:
        """Find out the parameters of the server, which is started if no process of this run has."""
        with _locked(self._folder / "postgres.lock"):
            self._users = self._resources.enter_context((self._folder / "postgres.users").open("a+"))
            fcntl.lockf(self._users, fcntl.LOCK_SH)
            if not self._address.exists():
                parameters = self._resources.enter_context(databases.server())
                self._address.write_text(json.dumps(dict(parameters)))
                self._started = True
            self.parameters = json.loads(self._address.read_text())

    def template(self, name: str, fill: Callable[[Parameters], None]) -> str:
        """The name of a database to make copies of, which the first process of the run that asks for it has filled."""
        made = self._folder / f"{name}{_TEMPLATE}"
        with _locked(made.with_suffix(".lock")):
            if not made.exists():
                database = f"test_{uuid.uuid4().hex}"
                fill(databases.create(self.parameters, database))
                made.write_text(database)
            return made.read_text()

    def close(self) -> None:
        """Stop using the server. The process that started it waits for the others, then stops it.

        A process that needs a server after that starts another one.
        """
        while self._started:
            with _locked(self._folder / "postgres.lock"):
                if self._is_last_user():
                    for made in self._folder.glob(f"*{_TEMPLATE}"):
                        databases.drop(self.parameters, made.read_text())
                        made.unlink()
                    self._address.unlink()
                    self._resources.close()
                    return
            time.sleep(_POLL_SECONDS)
        self._resources.close()

    def _is_last_user(self) -> bool:
        try:
            assert self._users is not None
            fcntl.lockf(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
