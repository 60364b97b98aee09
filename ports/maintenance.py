"""Maintenance of the database while the service uses it (docs/operations.md, Maintenance)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from domain.errors import ImageBuilderError


class MaintenanceRunningError(ImageBuilderError):
    """Another maintenance run of the same database has not ended."""


class DatabaseMaintenance(Protocol):
    """The steps of one maintenance run; no other run of the same database takes place at the same time.

    Each iterator processes one bounded batch per item, committed when the item is returned, and yields the number of
    rows that the batch affected; in a `dry_run` it only counts them. Rows that are locked are left to the next run. All
    raise UnavailableError if the database is unavailable.
    """

    @property
    def cutoff(self) -> str:
        """Composes that are older than this time are removed: UTC, in the text form of the database."""

    def expire_composes(self, *, dry_run: bool) -> Iterator[int]:
        """Remove composes from before the cutoff."""

    def expire_starts(self, *, dry_run: bool) -> Iterator[int]:
        """Remove starts from before the cutoff whose outcome was never determined."""

    def expire_keys(self, *, dry_run: bool) -> Iterator[int]:
        """Remove expired idempotency keys."""

    def redact_passwords(self, *, dry_run: bool) -> Iterator[int]:
        """Replace passwords in composes that older programs stored by `hasPassword`."""

    def correct_counts(self, *, dry_run: bool) -> Iterator[int]:
        """Compare the list entries and counts of each organization with its builds, and correct them.

        Yields the number of wrong ones for each organization.
        """

    def vacuum(self, is_over: Callable[[], bool]) -> bool:
        """Vacuum the table of composes, so that the space of removed ones can be reused.

        Returns False if it was cancelled because `is_over` returned True, or if the database role lacks the
        privilege.
        """
