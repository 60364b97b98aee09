"""Runs programs as child processes that never run as root and end with their parent."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

# A separate program instead of `preexec_fn`, which may deadlock in a parent with threads. It is started as root and
# changes the user itself, because the other user may not be able to run the interpreter. It sets the death signal last,
# because a change of user resets it.
_LAUNCHER: Final = """
import ctypes, os, sys
parent, last_signal, uid, gid, program, *arguments = sys.argv[1:]
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(int(last_signal)))
if os.getppid() != int(parent):
    sys.exit("The process that wanted this program has ended.")
os.execv(program, [program, *arguments])
"""


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that a child process runs as."""

    uid: int
    gid: int

    @classmethod
    def for_folder(cls, folder: Path) -> Account:
        """The current user; for root, the owner of the folder, or `nobody` if it is missing or belongs to root."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        if folder.exists() and (status := folder.stat()).st_uid != 0:
            return cls(status.st_uid, status.st_gid)
        entry = pwd.getpwnam("nobody")
        return cls(entry.pw_uid, entry.pw_gid)

    def __str__(self) -> str:
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(self.uid).pw_name
        return str(self.uid)

    def find_inaccessible(self, paths: Iterable[Path]) -> Path | None:
        """The first of the paths that the account cannot enter or run, None if there is none."""
        for path in paths:
            status = path.stat()
            if status.st_uid == self.uid:
                needed = stat.S_IXUSR
            elif status.st_gid == self.gid:
                needed = stat.S_IXGRP
            else:
                needed = stat.S_IXOTH
            if not status.st_mode & needed:
                return path
        return None

    def take_ownership(self, folder: Path) -> None:
        """As root, make the account the owner of a folder and its content, without following links."""
        if os.geteuid() != 0:
            return
        os.chown(folder, self.uid, self.gid)
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(Path(parent, name), self.uid, self.gid, follow_symlinks=False)

    def launch(
        self,
        program: Path,
        arguments: list[str],
        *,
        last_signal: signal.Signals,
        log: IO[bytes],
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Run a program in its own session, so that Ctrl-C does not reach it. `stdin` is the argument of subprocess.

        On Linux the program receives `last_signal` when the thread that called this ends.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        identity = [str(os.getpid()), str(int(last_signal)), str(self.uid), str(self.gid)]
        return subprocess.Popen(  # noqa: S603 - the current interpreter, constant program text, no shell
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *identity, str(program), *arguments],
            stdin=stdin,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**environment, "LC_ALL": "C"},
            start_new_session=True,
        )
