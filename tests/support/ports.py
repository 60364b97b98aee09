"""Ports for servers that must be told theirs before they start."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

# Below the range from which Linux assigns ports to clients, and to servers that bind port 0. The kernel therefore
# assigns none of these ports to another process before the server listens, or while it is stopped.
_PORTS: Final = range(10_000, 32_768)
# The number of ports given so far, by all test runs of this user.
_GIVEN: Final = Path(tempfile.gettempdir()) / f"image-builder-test-ports-{os.getuid()}"


def free_port() -> int:
    """A port of 127.0.0.1 on which no server listens. It is returned again only after all other ports of the range."""
    with _counter() as file:
        given = int(file.read() or 0)
        while True:
            port = _PORTS[given % len(_PORTS)]
            given += 1
            if _is_free(port):
                break
        file.truncate(0)
        file.write(str(given))
    return port


@contextmanager
def _counter() -> Iterator[IO[str]]:
    """The file, locked against all other threads and processes (unlike `lockf`, which does not exclude threads)."""
    with _GIVEN.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            file.seek(0)
            yield file
            file.flush()
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing does not unlock if the process was forked in the meantime


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
