"""The upkeep of the database, beside the service that goes on using it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from domain.errors import ImageBuilderError


class MaintainedAlreadyError(ImageBuilderError):
    """Another maintenance of the same database runs."""


class Upkeep(Protocol):
    """What one run of the maintenance may do; it is the only one as long as it lasts.

    The iterators do a bounded batch for each item that is taken from them, done for good when it is there, and give
    the number of rows that the batch found; what somebody else holds locked is left to the next run. All raise
    UnavailableError when the database is away.
    """

    @property
    def cutoff(self) -> str:
        """Composes made before are too old, UTC, in the database's form."""

    def expired(self, *, remove: bool) -> Iterator[int]:
        """Find composes that are too old, and remove them if told so."""

    def expired_starts(self, *, remove: bool) -> Iterator[int]:
        """Find starts as old as such composes, of which nobody ever knew whether they are builds."""

    def expired_keys(self, *, remove: bool) -> Iterator[int]:
        """Find idempotency keys that stand for nothing any more."""

    def with_passwords(self, *, take_out: bool) -> Iterator[int]:
        """Find composes of older programs that hold passwords, and put `hasPassword` in their place if told so."""

    def vacuum(self, over: Callable[[], bool]) -> bool:
        """Make the room of removed composes fit for use; False where it was given up because time was `over`, or where
        the database did not let us.
        """
