"""Maintain the database: remove old rows and passwords of older programs (docs/operations.md, Maintenance)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import structlog

from ports.maintenance import DatabaseMaintenance

# Seconds between two log lines about the progress.
_LOG_INTERVAL: Final = 10.0
# Seconds between two checks whether the time budget has been ended.
_POLL_INTERVAL: Final = 0.1

# After each batch the maintenance pauses for this many times the duration of the batch, so that it uses at most a
# quarter of the time, and less of a busy database. A million composes are still removed within minutes.
_PAUSE_FACTOR: Final = 3

log = structlog.get_logger()


class TimeBudget:
    """The time within which work may begin: `seconds` from the creation of the object, or until `end` is called."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._ended = False

    def end(self) -> None:
        """End the budget now; may be called by a signal handler."""
        self._ended = True

    def is_over(self) -> bool:
        """Return whether no further work may begin."""
        return self._ended or time.monotonic() >= self._until

    def pause(self, seconds: float) -> None:
        """Sleep for this number of seconds, or until the budget is over."""
        until = time.monotonic() + seconds
        while not self.is_over() and (remaining := until - time.monotonic()) > 0:
            time.sleep(min(remaining, _POLL_INTERVAL))


def maintain(run: DatabaseMaintenance, budget: TimeBudget, *, dry_run: bool) -> None:
    """Run all steps of the maintenance until the budget is over, and log the numbers of rows; a `dry_run` only counts.

    Raises UnavailableError if the database becomes unavailable; the next run continues with the remaining rows.
    """
    log.info("maintenance started", dry_run=dry_run, composes_older_than=run.cutoff)
    counts = {
        "composes_expired": _process("composes_expired", run.expire_composes(dry_run=dry_run), budget),
        "starts_expired": _process("starts_expired", run.expire_starts(dry_run=dry_run), budget),
        "idempotency_keys_expired": _process("idempotency_keys_expired", run.expire_keys(dry_run=dry_run), budget),
        "composes_with_passwords": _process("composes_with_passwords", run.redact_passwords(dry_run=dry_run), budget),
        "counts_corrected": _process("counts_corrected", run.correct_counts(dry_run=dry_run), budget),
    }
    vacuumed = not dry_run and not budget.is_over() and run.vacuum(budget.is_over)
    log.info("maintenance ended", dry_run=dry_run, complete=not budget.is_over(), vacuumed=vacuumed, **counts)


def _process(step: str, batches: Iterator[int], budget: TimeBudget) -> int:
    """Process batches until the budget is over; return the number of rows that they affected."""
    total = 0
    logged = began = time.monotonic()
    while not budget.is_over() and (rows := next(batches, None)) is not None:
        total += rows
        now = time.monotonic()
        if now - logged > _LOG_INTERVAL:
            logged = now
            log.info("maintenance progress", step=step, so_far=total)
        budget.pause(_PAUSE_FACTOR * (now - began))
        began = time.monotonic()
    return total
