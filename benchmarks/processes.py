"""The memory and CPU time of processes, from /proc (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of a process.

    `own` is what no other process holds (USS), `shared_out` that with its share of what others hold, too (PSS), and
    `resident` everything (RSS).
    """

    own: float
    shared_out: float
    resident: float

    @classmethod
    def of(cls, process: int) -> Memory:
        """The memory that the process holds now."""
        lines = (line.split() for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:])
        kib = {fields[0]: int(fields[1]) for fields in lines}
        own = kib["Private_Clean:"] + kib["Private_Dirty:"]
        return cls(own / 1024, kib["Pss:"] / 1024, kib["Rss:"] / 1024)


def children(process: int) -> Iterator[int]:
    """The child processes of a process: the workers of a supervisor."""
    yield from map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())


def cpu_seconds(process: int) -> float:
    """User and system time of all threads of the process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
