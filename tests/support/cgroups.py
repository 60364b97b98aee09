"""A control group with a memory limit, as a container has it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


@contextmanager
def memory_limit(size: int) -> Iterator[Path]:
    """The folder of a control group whose processes are killed if they use more than `size` bytes together.

    Skips the test where no control group can be created; fails in CI.
    """
    folder = (_V1 if _V1.is_dir() else _V2) / f"image-builder-{uuid4().hex}"
    try:
        folder.mkdir()
        limit = folder / ("memory.limit_in_bytes" if _V1.is_dir() else "memory.max")
        limit.write_text(str(size))
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()
        if os.environ.get("CI"):
            pytest.fail(f"no control group can be made here: {error}")
        pytest.skip(f"no control group can be made here: {error}")
    try:
        yield folder
    finally:
        for _ in range(100):  # until the kernel has taken its processes out
            with suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


def kills(folder: Path) -> int:
    """The number of processes of the group that were killed for lack of memory."""
    file = next(each for name in ("memory.oom_control", "memory.events") if (each := folder / name).exists())
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("oom_kill "))


def peak_of(process: int) -> int:
    """The most resident memory that a process has ever had, in bytes."""
    return _status(process, "VmHWM")


def resident_of(process: int) -> int:
    """The resident memory of a process, in bytes."""
    return _status(process, "VmRSS")


def _status(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
