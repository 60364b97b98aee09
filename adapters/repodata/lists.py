"""A distribution's package lists, written anew: all of them, or none."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import orjson

from adapters.repodata.primary import Package
from domain.errors import ConfigurationError

_EMPTY_WITHIN: Final = 64
"""Bytes in which an empty array is written, blanks included."""


class NewLists:
    """The new lists of one distribution's folder; runs as a context manager.

    Until `put_in_place` each lies beside the old one; without it they are gone at the end, and the old ones are as
    they were. One at a time for each folder. All raises `ConfigurationError` naming the file that cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[Path, Path] = {}
        self._lock: int | None = None

    def __enter__(self) -> Self:
        with _named(self._folder):
            self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                raise ConfigurationError(f"{self._folder}: its package lists are being refreshed already") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for new in self._written.values():
            new.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)

    def add(self, path: Path, packages: Iterable[Package]) -> None:
        """Write the list that is to be at `path`: an array of `{name, summary}`, a package a line."""
        # A name that stays: what a crash left is written over by the next refresh, as the lock allows only one.
        new = path.with_name(f".{path.name}.new")
        with _named(path):
            if path.is_dir():
                raise ConfigurationError(f"{path}: is a directory")
            self._written[path] = new
            with new.open("wb") as file:
                file.writelines(_lines(packages))
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                new.chmod(path.stat().st_mode & 0o777)

    def has_packages(self, path: Path) -> bool:
        """Whether the list that is at `path` now names a package; what is damaged counts as one that does."""
        with _named(path):
            try:
                with path.open("rb") as file:
                    return file.read(_EMPTY_WITHIN).split() not in ([b"[]"], [b"[", b"]"])
            except FileNotFoundError:
                return False

    def put_in_place(self) -> int:
        """Replace the old lists; returns how many."""
        count = len(self._written)
        for path, new in list(self._written.items()):
            with _named(path):
                new.replace(path)
            del self._written[path]
        if self._lock is not None:
            os.fsync(self._lock)
        return count


def _lines(packages: Iterable[Package]) -> Iterator[bytes]:
    before = b"[\n"
    for package in packages:
        yield before + orjson.dumps(package)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}") from None
