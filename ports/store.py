"""What is kept of composes, and of starts that are not composes yet (database)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from domain.blueprints.blueprint import Blueprint, BlueprintsPage, BlueprintsQuery, NewBlueprint, Version
from domain.composes import ComposesPage, ComposesQuery, KeptCompose, NewCompose
from domain.quota import Quota, Reservation, Usage


class Starts(Protocol):
    """Builds on their way to the composer.

    Each start is recorded before the composer hears of it, and counts towards the tenant's quota until it has
    become a compose or is released: with k builds left, any number of reservations over any number of
    processes yields starts for exactly k. All raise UnavailableError when the database is away.
    """

    def reserve(self, starts: Sequence[UUID], tenant: str, quota: Quota | None) -> Reservation:
        """Record all these starts, or none where the quota (None: unlimited) leaves fewer; holds nothing afterwards."""

    def usage(self, tenant: str, quota: Quota) -> Usage:
        """What counts towards the quota, counted as `reserve` counts."""

    def release(self, starts: Sequence[UUID]) -> None:
        """Forget starts that are known not to have become builds."""

    def record(self, start: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """Turn the start into a compose, at once; repeating it changes nothing."""


class Composes(Protocol):
    """The history of builds. All raise UnavailableError when the database is away."""

    def page(self, query: ComposesQuery) -> ComposesPage:
        """A page of a tenant's list."""

    def get(self, tenant: str, compose_id: UUID) -> KeptCompose | None:
        """A compose; None unless it is this tenant's and not deleted."""

    def keep_status(self, compose_id: UUID, status: Mapping[str, Any]) -> None:
        """Keep a final status, once: the first one stands."""

    def keep_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        """Keep the metadata of a build whose final status is kept, once."""

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """Hide a compose; False unless it is this tenant's, True also when it was hidden before."""


class Blueprints(Protocol):
    """Blueprints and all their versions. All raise UnavailableError when the database is away."""

    def create(self, blueprint: NewBlueprint) -> UUID:
        """Keep a new blueprint. Raises RulesViolatedError where the tenant has one of this name."""

    def change(
        self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None, change: Callable[[Blueprint], Version]
    ) -> int:
        """Keep what `change`, which waits for nothing, makes of the latest version as the next one; its number.

        Changes of one blueprint follow each other, none is lost. `wanted` are the versions that the caller means to
        change, None for whichever there is.

        Raises NotFoundError unless it is this tenant's undeleted blueprint, StaleVersionError where the latest version
        is none of `wanted`, RulesViolatedError where another blueprint has the name, and whatever `change` raises.
        """

    def page(self, query: BlueprintsQuery) -> BlueprintsPage:
        """A page of a tenant's list."""

    def get(self, tenant: str, blueprint_id: UUID, version: int | None = None) -> Blueprint:
        """A version, None for the latest. Raises NotFoundError for none of this tenant's undeleted ones."""

    def delete(self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None) -> None:
        """Hide a blueprint and all builds of it, and free its name. Raises NotFoundError and StaleVersionError."""


class Database(Protocol):
    """The database itself."""

    def check(self) -> None:
        """Return when it answers. Raises UnavailableError."""
