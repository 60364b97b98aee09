"""What the operating system and the interpreter are told about a serving process: limits, and when it has to end."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import Final

# mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
# Bytes. Freed blocks of this size and more are returned to the system at once. By default glibc raises the threshold up
# to 32 MiB and uses up to eight arenas for each core, so that the memory of a few large requests is never returned.
_LARGE_BLOCK: Final = 512 * 1024
_ARENAS: Final = 2
# prctl(2).
_PR_SET_PDEATHSIG: Final = 1
# Seconds after which a computing thread lets other threads run. The event loop needs the interpreter several times for
# each request, and waits for this time whenever another thread parses a large body. Python's default is 5 ms.
_SWITCH_INTERVAL: Final = 0.001


def prepare_process() -> None:
    """Set the limits of this process. Call it before the process starts threads."""
    _, max_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))
    sys.setswitchinterval(_SWITCH_INTERVAL)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc do not have it
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BLOCK)


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Let the kernel send this process the signal `number` when its parent ends or is killed (Linux).

    `parent` is the id of the process that has started this one from its main thread.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        os.kill(os.getpid(), number)
