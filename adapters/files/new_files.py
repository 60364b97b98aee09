"""Replaces several files of a distribution's folder: all of them or none."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.errors import ConfigurationError


class NewFiles:
    """New files of one distribution's folder, as a context manager that locks the folder.

    New files have hidden names in the folder until `commit` replaces the old files. If the context ends without
    `commit`, the new files are removed and the old ones stay. All methods raise ConfigurationError naming the file that
    cannot be written; entering the context raises it too if another process has locked the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[Path, Path] = {}
        self._lock: int | None = None

    def __enter__(self) -> Self:
        with name_file_in_errors(self._folder):
            self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                raise ConfigurationError(f"{self._folder}: is being refreshed already") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for new in self._written.values():
            new.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)

    def add(self, path: Path, content: Iterable[bytes]) -> None:
        """Write the new content of the file at `path`, in the folder or below it.

        If `path` is a link, of its target.
        """
        # The name depends on the path only, so the next refresh overwrites files that a crash has left behind.
        new = self._hidden(path, "new")
        with name_file_in_errors(path):
            if path.is_dir():
                raise ConfigurationError(f"{path}: is a directory")
            self._written[path] = new
            with new.open("wb") as file:
                file.writelines(content)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                new.chmod(path.stat().st_mode & 0o777)

    def commit(self) -> int:
        """Replace the old files and create missing folders; returns the number of files.

        If a file cannot be replaced, files replaced before are restored and new folders are removed.
        """
        with ExitStack() as undo:
            for path in self._written:
                self._make_folder(path.parent, undo)
            for path, new in self._written.items():
                self._replace(path, new, undo)
            undo.pop_all()
        count = len(self._written)
        for path in self._written:
            self._hidden(path, "old").unlink(missing_ok=True)
        self._written = {}
        if self._lock is not None:
            os.fsync(self._lock)
        return count

    def _make_folder(self, folder: Path, undo: ExitStack) -> None:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            with name_file_in_errors(each):
                each.mkdir()
            undo.callback(each.rmdir)

    def _replace(self, path: Path, new: Path, undo: ExitStack) -> None:
        target, old = path.resolve(), self._hidden(path, "old")
        try:
            old.unlink(missing_ok=True)
            if target.exists():
                os.link(target, old)
                undo.callback(old.unlink, missing_ok=True)
            new.replace(target)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
        if old.exists():
            undo.callback(old.replace, target)
        else:
            undo.callback(target.unlink)

    def _hidden(self, path: Path, ending: str) -> Path:
        return self._folder / f".{'.'.join(path.relative_to(self._folder).parts)}.{ending}"


@contextmanager
def name_file_in_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a ConfigurationError that names its file, or `path` if it has none."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}") from None
