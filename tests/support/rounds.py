"""Rounds of tests that take long: `make test-long` (TEST_LONG=1) plays all of them, every other run a random sample.

The sample changes with each run. The run says its seed at its beginning; TEST_SEED repeats it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import Final, TypeVar

Case = TypeVar("Case")

LONG: Final = os.environ.get("TEST_LONG") == "1"
# In the environment, so that all processes of a run (pytest-xdist) take the same sample.
SEED: Final = os.environ.setdefault("TEST_SEED", str(random.SystemRandom().randrange(1_000_000)))


def sampled(cases: Iterable[Case], number: int) -> list[Case]:
    """So many of the cases, in their order; all of them in a long run."""
    found = list(cases)
    if LONG or len(found) <= number:
        return found
    chosen = random.Random(SEED).sample(range(len(found)), number)  # noqa: S311 - no secret
    return [found[index] for index in sorted(chosen)]


def repeated(few: int, many: int) -> int:
    """`many` rounds, rows or examples in a long run, else `few`."""
    return many if LONG else few
