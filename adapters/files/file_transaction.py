"""Replaces several files of a distribution's folder in one transaction.

After an error all files are the old ones. A crash between two renames may leave some old and some new files.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.errors import ConfigurationError


class FileTransaction:
    """New files for one distribution's folder, as a context manager that locks the folder. The folder must exist.

    New files have hidden names in the folder until `commit` replaces the old files. If the context ends without
    `commit`, the new files are removed and the old ones stay. All methods raise ConfigurationError, which names the
    file that cannot be written. Entering the context raises it, too, if another process has locked the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._new_files: dict[Path, Path] = {}
        self._folder_fd: int | None = None

    def __enter__(self) -> Self:
        with name_file_in_errors(self._folder):
            self._folder_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(self._folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._folder_fd)
                raise ConfigurationError(f"{self._folder}: is being refreshed by another process") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for new in self._new_files.values():
            new.unlink(missing_ok=True)
        if self._folder_fd is not None:
            os.close(self._folder_fd)

    def add(self, path: Path, content: Iterable[bytes]) -> None:
        """Write the new content of the file at `path`, in pieces that are written one after the other.

        If `path` is a symbolic link, `commit` replaces its target and keeps the link; the target must be on the same
        file system. Raises ValueError if `path` is outside the folder.
        """
        # The hidden name depends only on the path, so the next refresh overwrites files that a crash has left behind.
        new = self._get_hidden_path(path, "new")
        with name_file_in_errors(path):
            if path.is_dir():
                raise ConfigurationError(f"{path}: is a directory")
            self._new_files[path] = new  # before it is written, so that `__exit__` removes a partial file
            with new.open("wb") as file:
                file.writelines(content)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                new.chmod(path.stat().st_mode & 0o777)

    def commit(self) -> int:
        """Replace the old files and create missing folders; return the number of files written.

        If a file cannot be replaced, those replaced before are restored and new folders are removed.
        """
        with ExitStack() as undo:
            for path in self._new_files:
                self._make_folder(path.parent, undo)
            for path, new in self._new_files.items():
                self._replace(path, new, undo)
            undo.pop_all()  # success: discard the undo steps
        count = len(self._new_files)
        for path in self._new_files:
            self._get_hidden_path(path, "old").unlink(missing_ok=True)
        self._new_files = {}
        if self._folder_fd is not None:
            os.fsync(self._folder_fd)  # makes the renames durable
        return count

    def _make_folder(self, folder: Path, undo: ExitStack) -> None:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            with name_file_in_errors(each):
                each.mkdir()
            undo.callback(each.rmdir)

    def _replace(self, path: Path, new: Path, undo: ExitStack) -> None:
        # A hard link keeps the old file as a backup. To undo, the backup is renamed back; a file that did not exist
        # before is deleted.
        target, backup = path.resolve(), self._get_hidden_path(path, "old")
        try:
            backup.unlink(missing_ok=True)
            if target.exists():
                os.link(target, backup)
                undo.callback(backup.unlink, missing_ok=True)
            new.replace(target)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
        if backup.exists():
            undo.callback(backup.replace, target)
        else:
            undo.callback(target.unlink)

    def _get_hidden_path(self, path: Path, ending: str) -> Path:
        # Assumes that no two paths of a transaction differ only in "/" and ".", as `a/b` and `a.b` do.
        return self._folder / f".{'.'.join(path.relative_to(self._folder).parts)}.{ending}"


@contextmanager
def name_file_in_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a ConfigurationError that names its file, or `path` if it has none."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}") from None
