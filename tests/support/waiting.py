"""How long tests wait. All deadlines of tests come from here and stretch with the machine.

A deadline here only ends a test that would fail. Tests do not measure speed; that is what `benchmarks/` is for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

# Seconds between two tests of a condition: at first, and after a while, because a test often is a request or a
# connection to the database.
_SHORT_PAUSE: Final = 0.01
_LONG_PAUSE: Final = 0.05


def _stretch() -> float:
    """By how much deadlines are longer than on an idle machine: TEST_STRETCH, else how many processes share a core.

    These are the ones that run or wait for a core now, or did in the last minute, and the processes of this test run.
    """
    if told := os.environ.get("TEST_STRETCH"):
        return float(told)
    average, _, _, running, _ = Path("/proc/loadavg").read_text().split()
    ours = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1.0, (max(float(average), float(running.partition("/")[0])) + ours) / len(os.sched_getaffinity(0)))


STRETCH: Final = _stretch()
# Seconds for what has to come at a time that no test can tell: an answer, a log line, the end of a process.
PATIENCE: Final = min(120.0 * STRETCH, 1000.0)  # less than pytest's time limit for a test
# Seconds within which something ends that would otherwise last much longer, or for ever.
SOON: Final = 10.0 * STRETCH
# Seconds that a call gets which has to reach a server, and is never answered.
BRIEFLY: Final = 0.3 * STRETCH


def comes_true(condition: Callable[[], object], within: float = PATIENCE) -> bool:
    """Whether the condition holds, after waiting for it at most so many seconds."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > within:
            return False
        time.sleep(min(_SHORT_PAUSE + waited / 20, _LONG_PAUSE))
    return True


def until(condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    """Return when the condition holds; it fails as `what`."""
    assert comes_true(condition, within), f"not within {within:.0f} s: {what}"
