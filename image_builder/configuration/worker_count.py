"""Chooses the number of worker processes from the cores and the memory that this process may use (Linux).

The limits are those of the control groups of the process and of all groups above them, version 1 and 2 (cgroups(7)),
and the cores of its affinity (sched_setaffinity(2)).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

_MiB: Final = 1024 * 1024
# Bytes of memory that a worker needs.
_WORKER_MEMORY: Final = 150 * _MiB
# More workers are started only if the operator asks for them: each has its own connections to the database.
_MAX_WORKERS: Final = 8
# Version 1 reports the absence of a memory limit as the largest multiple of the page size below 2^63.
_NO_MEMORY_LIMIT: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """A number of worker processes, and the reason for it: a clause for logs.

    `is_chosen`: the service has chosen it, not the operator.
    """

    number: int
    reason: str
    is_chosen: bool = False


def choose_worker_count(root: Path = Path("/")) -> WorkerCount:
    """One worker for each whole core that this process may use, as far as its memory limit holds them; from 1 to 8.

    `root` is the folder with `proc` and `sys`. Limits that cannot be read do not count.
    """
    groups = list(_control_groups(root))
    cores = len(os.sched_getaffinity(0))
    limits = [WorkerCount(cores, f"{cores} {'core' if cores == 1 else 'cores'}")]
    if quotas := [quota for group in groups if (quota := _cpu_quota(group)) is not None]:
        limits.append(WorkerCount(max(int(min(quotas)), 1), f"CPU limit of {min(quotas):g} cores"))
    if memory_limits := [size for group in groups if (size := _memory_limit(group)) is not None]:
        size = min(memory_limits)
        limits.append(WorkerCount(max(size // _WORKER_MEMORY, 1), f"memory limit of {size // _MiB} MiB"))
    limits.append(WorkerCount(_MAX_WORKERS, f"at most {_MAX_WORKERS} unless WORKERS is set"))
    return replace(min(limits, key=lambda limit: limit.number), is_chosen=True)


def _control_groups(root: Path) -> Iterator[Path]:
    """The folders of the control groups of this process and of the groups above them, as far as they are visible."""
    memberships = _memberships(root)
    for line in _lines(root / "proc/self/mountinfo"):
        # proc_pid_mountinfo(5): the fields after the separator are the type, the source and the options.
        before, separator, after = line.partition(" - ")
        if not separator or not (kind := after.split()[0]).startswith("cgroup"):
            continue
        mounted, mount_point = before.split()[3:5]
        controllers = {""} if kind == "cgroup2" else set(after.split()[-1].split(","))
        folder = root / mount_point.lstrip("/")
        for path in {path for controller, path in memberships.items() if controller in controllers}:
            # In a container the path may begin with the container's own group, which is what is mounted.
            own = PurePosixPath(path)
            parts = own.relative_to(mounted).parts if own.is_relative_to(mounted) and ".." not in own.parts else ()
            yield from (folder.joinpath(*parts[:depth]) for depth in range(len(parts) + 1))


def _memberships(root: Path) -> dict[str, str]:
    """The path of this process' control group by controller of version 1, and by the empty text for version 2."""
    found: dict[str, str] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _cpu_quota(group: Path) -> float | None:
    """The number of cores that the group may use, None without a limit."""
    values = _words(group / "cpu.max") or [*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
    match values:
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return int(quota) / int(period)
    return None  # `max` in version 2, -1 in version 1


def _memory_limit(group: Path) -> int | None:
    """The bytes of memory that the group may use, None without a limit."""
    values = _words(group / "memory.max") or _words(group / "memory.limit_in_bytes")
    match values:
        case [size] if size.isdecimal() and int(size) < _NO_MEMORY_LIMIT:
            return int(size)
    return None


def _words(file: Path) -> list[str]:
    return [word for line in _lines(file) for word in line.split()]


def _lines(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    return []
