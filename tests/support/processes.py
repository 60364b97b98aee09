"""Processes of this machine, by /proc."""

from __future__ import annotations

from pathlib import Path


def command_of(process: int) -> str:
    """The command line; empty if the process has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def is_alive(process: int) -> bool:
    """Whether the process runs; a zombie does not."""
    return bool(command_of(process))


def running(word: str) -> set[int]:
    """The processes that have this text in their command line."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return {number for number in numbers if word in command_of(number)}


def children_of(parent: int) -> set[int]:
    """The child processes of a process that run."""
    return {process for process in running("") if is_alive(process) and _parent_of(process) == parent}


def _parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
