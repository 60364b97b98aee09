"""The resources of a service: memory and threads of all its processes, from /proc (Linux)."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import children_of

MIB = 1024 * 1024


def processes_of(parent: int) -> set[int]:
    """The service's process and its workers."""
    return {parent, *children_of(parent)}


def forget_peak_memory(parent: int) -> None:
    """Reset the value of `peak_memory`."""
    for process in processes_of(parent):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_memory(parent: int) -> int:
    """The peak of resident memory, in bytes, of the largest process."""
    return max(_kib(process, "VmHWM") * 1024 for process in processes_of(parent))


def threads(parent: int) -> int:
    """The number of threads of all processes."""
    return sum(len(list(Path(f"/proc/{process}/task").iterdir())) for process in processes_of(parent))


def _kib(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
