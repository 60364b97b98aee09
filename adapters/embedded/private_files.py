"""Files and folders that only their owner may read: `make run` stores keys, hashes and a password in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from adapters.embedded.unprivileged import Account

OWNER_ONLY: Final = 0o600
_FOLDER: Final = 0o700
# A server that root starts runs as another user, who must be able to enter the folder.
_FOLDER_OF_ROOT: Final = 0o710
_OTHERS: Final = 0o077


def make_folder(folder: Path, account: Account | None = None) -> None:
    """Create a folder with mode 0700, and missing parents with the usual mode; an existing folder is not changed.

    If root creates it for the `account` of a server, the group of that account may enter it (0710).
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is complete: a crash must not leave a folder that the account cannot enter.
    new = folder.with_name(f".{folder.name}.new")
    if new.exists():
        new.rmdir()
    new.mkdir(mode=_FOLDER)
    if account is not None and os.geteuid() == 0:
        os.chown(new, 0, account.gid)
        new.chmod(_FOLDER_OF_ROOT)
    new.rename(folder)


def open_to_append(path: Path) -> BinaryIO:
    """Open a file with mode 0600, and create it if it is missing. Raises OSError, also for a symbolic link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, OWNER_ONLY)
    try:
        _close_to_others(descriptor, path)
        return os.fdopen(descriptor, "ab")
    except BaseException:
        os.close(descriptor)
        raise


def close_to_others(path: Path) -> None:
    """Remove the permissions of group and others from a file that exists. Raises OSError, also for a symbolic link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        _close_to_others(descriptor, path)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, owner: Account | None = None) -> None:
    """Replace the content of a file, with mode 0600. If root writes it, it belongs to `owner`.

    After a crash the file has the old or the new content. Raises OSError.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    # Exclusive, so that in a folder of another user root does not write through that user's symbolic link.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if owner is not None and os.geteuid() == 0:
            os.fchown(file.fileno(), owner.uid, owner.gid)
    new.replace(path)


def read_own_file(path: Path, largest: int) -> bytes | None:
    """The content of a regular, private file of this user with at most `largest` bytes; None for any other."""
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
