"""What a process that serves asks of the system: open files, how memory is given back, how threads take turns."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from typing import Final

# mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
# Blocks of this size and more go back to the system as soon as they are free. By default glibc comes to keep blocks of
# up to 32 MiB, in up to eight arenas for each core, so that a few large requests would stay in memory for ever.
_LARGE_BLOCK: Final = 512 * 1024
_ARENAS: Final = 2
# Seconds after which a thread that computes lets others go on. The event loop needs the interpreter several times for
# each request, and waits as long each time while another thread parses a large body; Python's own value is 5 ms.
_SWITCH_INTERVAL: Final = 0.001


def prepare_process() -> None:
    """Call it before the process starts threads."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    sys.setswitchinterval(_SWITCH_INTERVAL)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc have none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BLOCK)
