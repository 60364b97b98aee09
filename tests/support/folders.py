"""Folders for servers that do not run as root, such as PostgreSQL: only root can enter the folders of pytest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_USUAL: Final = "/var/tmp"  # noqa: S108 - each folder in it has a name of its own
# A file system in memory, and the bytes that must be free in it and in the memory of the machine.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - as above
_FREE: Final = 6 * 2**30


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that all users can enter, below TEST_DATA (/var/tmp), removed at the end.

    Set TEST_DATA to a folder that is removed afterwards if a test run may be killed.
    """
    with _new_folder(os.environ.get("TEST_DATA") or _USUAL) as folder:
        yield folder


@contextmanager
def open_data_folder() -> Iterator[Path]:
    """The same for the data of a database server: in memory, if there is plenty of it.

    A run of the tests writes gigabytes, which would keep a slow disk busy. Programs may not run from this folder. It is
    below a folder of the name of TEST_DATA, if that is set.
    """
    if not _has_memory():
        with open_folder() as folder:
            yield folder
        return
    told = os.environ.get("TEST_DATA")
    parent = _MEMORY / Path(told).name if told else _MEMORY
    parent.mkdir(mode=0o755, exist_ok=True)
    with _new_folder(parent) as folder:
        yield folder


def is_in_memory(path: str) -> bool:
    """Whether a file is in the file system in memory."""
    return Path(path).is_relative_to(_MEMORY)


@contextmanager
def _new_folder(parent: str | Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _has_memory() -> bool:
    if not _MEMORY.is_mount() or not os.access(_MEMORY, os.W_OK):
        return False
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    return min(shutil.disk_usage(_MEMORY).free, available) > _FREE
