"""What is kept of composes, and of starts that are not composes yet (database)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from domain.composes import ComposesPage, ComposesQuery, NewCompose
from domain.quota import Quota


class Starts(Protocol):
    """Builds on their way to the composer.

    Each start is recorded before the composer hears of it, and counts towards the tenant's quota until it has
    become a compose or is released: with k builds left, any number of reservations over any number of
    processes yields exactly k. All raise UnavailableError when the database is away.
    """

    def reserve(self, start: UUID, tenant: str, quota: Quota | None) -> bool:
        """Record a start, unless the quota (None: unlimited) leaves none; holds nothing when it returns."""

    def release(self, start: UUID) -> None:
        """Forget a start that is known not to have become a build."""

    def record(self, start: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """Turn the start into a compose, at once; repeating it changes nothing."""


class Composes(Protocol):
    """The history of builds. All raise UnavailableError when the database is away."""

    def page(self, query: ComposesQuery) -> ComposesPage:
        """A page of a tenant's list."""

    def request_of(self, tenant: str, compose_id: UUID) -> str | None:
        """The stored request as JSON text; None unless it is this tenant's undeleted compose."""

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """Hide a compose; False unless it is this tenant's, True also when it was hidden before."""


class Database(Protocol):
    """The database itself."""

    def check(self) -> None:
        """Return when it answers. Raises UnavailableError."""
