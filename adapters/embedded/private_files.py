"""Files and folders that only their owner may read: the local default keeps keys, hashes and a password in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from adapters.embedded.unprivileged import Account

OWNER_ONLY: Final = 0o600
_FOLDER: Final = 0o700
# The server of root's folder runs as another user, who has to walk through it.
_FOLDER_OF_ROOT: Final = 0o710
_OTHERS: Final = 0o077


def make_folder(folder: Path, account: Account | None = None) -> None:
    """Make the folder with mode 0700, parents that are missing as usual; one that exists stays as it is.

    Where root makes it for the `account` that a server runs as, that account's group may walk through it (0710).
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is complete: a crash leaves no folder that the account cannot walk through.
    new = folder.with_name(f".{folder.name}.new")
    if new.exists():
        new.rmdir()
    new.mkdir(mode=_FOLDER)
    if account is not None and os.geteuid() == 0:
        os.chown(new, 0, account.gid)
        new.chmod(_FOLDER_OF_ROOT)
    new.rename(folder)


def open_to_append(path: Path) -> BinaryIO:
    """Open the file with mode 0600, made where it is missing. Raises OSError, for a symbolic link too."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, OWNER_ONLY)
    try:
        _close_to_others(descriptor, path)
        return os.fdopen(descriptor, "ab")
    except BaseException:
        os.close(descriptor)
        raise


def close_to_others(path: Path) -> None:
    """Take the rights of group and others from the file, if it exists. Raises OSError, for a symbolic link too."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        _close_to_others(descriptor, path)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, owner: Account | None = None) -> None:
    """Put the content into the file's place, with mode 0600; `owner` is whose it is where root writes it.

    A crash leaves the old file or the new one. Raises OSError.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    # Exclusive: another user cannot have root write through a link in that user's folder.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if owner is not None and os.geteuid() == 0:
            os.fchown(file.fileno(), owner.uid, owner.gid)
    new.replace(path)


def read_own_file(path: Path, largest: int) -> bytes | None:
    """The file's content; None where it is missing, another user's, open to others, no file, or larger (bytes)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        private = status.st_uid == os.geteuid() and not status.st_mode & _OTHERS
        if not stat.S_ISREG(status.st_mode) or not private or status.st_size > largest:
            return None
        return os.read(descriptor, largest)
    finally:
        os.close(descriptor)


def _close_to_others(descriptor: int, path: Path) -> None:
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & _OTHERS:
        try:
            os.fchmod(descriptor, mode & ~_OTHERS)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (other users may read it)", str(path)) from None
