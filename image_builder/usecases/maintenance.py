"""Maintain the database: what is too old goes, what should never have been kept too (spec: State)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import structlog

from ports.maintenance import Upkeep

# Seconds between two lines that tell how far it is.
_TOLD_EVERY: Final = 10.0
_HEARD_WITHIN: Final = 0.1

# How many times as long as it worked it rests: most of the time the database is the service's alone, the more so the
# busier it is. A million composes go within minutes all the same.
_REST: Final = 3

log = structlog.get_logger()


class Shift:
    """The time there is to work: `seconds` of it, or less when somebody ends it."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._ended = False

    def end(self) -> None:
        """End it now; may be called by a signal's handler."""
        self._ended = True

    def over(self) -> bool:
        """Whether no work should be begun any more."""
        return self._ended or time.monotonic() >= self._until

    def rest(self, seconds: float) -> None:
        """Do nothing for that long, or until the shift is over."""
        until = time.monotonic() + seconds
        while not self.over() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _HEARD_WITHIN))


def maintain(upkeep: Upkeep, shift: Shift, *, dry_run: bool) -> None:
    """Do all there is to do, or only count it in a `dry_run`, until the shift is over; the log tells what was done.

    Raises UnavailableError when the database goes away; the next run takes up what is left.
    """
    log.info("maintenance begins", dry_run=dry_run, composes_older_than=upkeep.cutoff)
    counts = {
        "composes_expired": _work_off("composes_expired", upkeep.expired(remove=not dry_run), shift),
        "starts_expired": _work_off("starts_expired", upkeep.expired_starts(remove=not dry_run), shift),
        "idempotency_keys_expired": _work_off(
            "idempotency_keys_expired", upkeep.expired_keys(remove=not dry_run), shift
        ),
        "composes_with_passwords": _work_off(
            "composes_with_passwords", upkeep.with_passwords(take_out=not dry_run), shift
        ),
    }
    vacuumed = not dry_run and not shift.over() and upkeep.vacuum(shift.over)
    log.info("maintenance ended", dry_run=dry_run, complete=not shift.over(), vacuumed=vacuumed, **counts)


def _work_off(step: str, batches: Iterator[int], shift: Shift) -> int:
    """How many rows the batches found that were taken before the shift was over."""
    total = 0
    told = began = time.monotonic()
    while not shift.over() and (found := next(batches, None)) is not None:
        total += found
        now = time.monotonic()
        if now - told > _TOLD_EVERY:
            told = now
            log.info("maintenance goes on", step=step, so_far=total)
        shift.rest(_REST * (now - began))
        began = time.monotonic()
    return total
