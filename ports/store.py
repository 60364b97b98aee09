"""What is kept of composes, and of starts that are not composes yet (database)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from domain.blueprints.blueprint import Blueprint, BlueprintsPage, BlueprintsQuery, NewBlueprint, Version
from domain.composes import ComposesPage, ComposesQuery, KeptCompose, KeptMetadata, NewCompose
from domain.idempotency import Failure, Keyed, KnownRequest
from domain.json_size import JsonCounts
from domain.quota import Quota, Reservation, Usage
from domain.starts import Adoption, LeftStart, NewStart


class Starts(Protocol):
    """Builds on their way to the composer.

    Each start is recorded before the composer hears of it, and counts towards the tenant's quota until it has
    become a compose or is released: with k builds left, any number of reservations over any number of
    processes yields starts for exactly k. All raise UnavailableError when the database is away.
    """

    def reserve(
        self, starts: Sequence[NewStart], tenant: str, quota: Quota | None, key: UUID | None = None
    ) -> Reservation:
        """Record all these starts, or none where the quota (None: unlimited) leaves fewer; holds nothing afterwards.

        `key` is the id under which an Idempotency-Key was claimed: it gets to know, in this order, what they become.

        Raises ReservationUnknownError where they may have been recorded all the same.
        """

    def usage(self, tenant: str, quota: Quota) -> Usage:
        """What counts towards the quota, counted as `reserve` counts."""

    def release(self, starts: Sequence[UUID]) -> None:
        """Forget starts that are known not to have become builds."""

    def record(self, start: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """Turn the start into a compose, at once; repeating it changes nothing.

        Raises BuildIdTakenError where another build in the history, of whichever tenant, has the id: nothing is changed
        then, and the start stays.
        """

    def is_recorded(self, compose_id: UUID) -> bool:
        """Whether the history has a build of this id, of whichever tenant, deleted or not."""


class LeftStarts(Protocol):
    """Starts older than their lease: nobody works at them any more. All raise UnavailableError.

    Those that an older version of this service recorded are only counted.
    """

    def lead(self, pod: UUID, term: timedelta) -> bool:
        """Whether this pod, and no other, looks after them for the next `term`."""

    def left(self, lease: timedelta, patience: timedelta, most: int) -> Sequence[LeftStart]:
        """The oldest of them, but for those that are older than anybody's patience."""

    def count(self, lease: timedelta) -> int:
        """How many there are, the oldest included."""

    def known(self, composes: Collection[UUID]) -> frozenset[UUID]:
        """Which of these are in the history, deleted or not, whoever's they are."""

    def adopt(self, adoption: Adoption) -> bool:
        """Turn the start into a compose, at once, as old as the start; False where either is somebody's already."""


class IdempotencyKeys(Protocol):
    """What became of requests under an Idempotency-Key, for KEPT_FOR. All raise UnavailableError."""

    def claim(self, request: Keyed, key_id: UUID) -> KnownRequest | None:
        """None where the key is new: from now on it stands for this request, as `key_id`. Else what is known of it."""

    def settle(self, key_id: UUID) -> None:
        """The request made what is recorded, if that is all that it began."""

    def close(self, key_id: UUID, failure: Failure) -> None:
        """The request failed: keep the failure where it made something, forget the key where it made nothing.

        Does nothing as long as a start of the request may yet become a build.
        """

    def left(self, lease: timedelta, most: int) -> Sequence[tuple[UUID, tuple[UUID | None, ...]]]:
        """Ids of keys that are older than the lease, neither settled nor forgotten, and whose starts have all become
        something; with what was made, in the order of the request, None where it came to nothing.
        """


class Composes(Protocol):
    """The history of builds. All raise UnavailableError when the database is away.

    What reads a large document reserves memory for it first, and raises as `ports.memory.reserve_memory`.
    """

    def page(self, query: ComposesQuery) -> ComposesPage:
        """A page of a tenant's list, shortened where its requests are too large together."""

    def get(self, tenant: str, compose_id: UUID) -> KeptCompose | None:
        """A compose; None unless it is this tenant's and not deleted."""

    def get_metadata(self, tenant: str, compose_id: UUID) -> KeptMetadata | None:
        """What is kept of a compose's metadata; None unless it is this tenant's and not deleted."""

    def keep_status(self, compose_id: UUID, status: Mapping[str, Any]) -> None:
        """Keep a final status, once: the first one stands."""

    def keep_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        """Keep the metadata of a build whose final status is kept, once."""

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """Hide a compose; False unless it is this tenant's, True also when it was hidden before."""


class Blueprints(Protocol):
    """Blueprints and all their versions. All raise UnavailableError when the database is away.

    What reads a large document reserves memory for it first, and raises as `ports.memory.reserve_memory`.
    """

    def create(self, blueprint: NewBlueprint, key: UUID | None = None) -> UUID:
        """Keep a new blueprint, and settle the Idempotency-Key that was claimed as `key` with it.

        Raises RulesViolatedError where the tenant has one of this name.
        """

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

    def get(
        self,
        tenant: str,
        blueprint_id: UUID,
        version: int | None = None,
        needed: Callable[[JsonCounts], int] = lambda _: 0,
    ) -> Blueprint:
        """A version, None for the latest. Raises NotFoundError for none of this tenant's undeleted ones.

        `needed` says how many bytes of memory the caller needs in all for a large document; they are reserved at once,
        and set aside where they are more than reading it takes.
        """

    def memory_to_change(self, tenant: str, blueprint_id: UUID) -> int:
        """How many bytes of memory `change` reserves for the latest version; 0 for a small one, or for none."""

    def latest_version(self, tenant: str, blueprint_id: UUID) -> int:
        """The number of the latest version. Raises NotFoundError unless it is this tenant's undeleted blueprint."""

    def delete(self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None) -> None:
        """Hide a blueprint and all builds of it, and free its name. Raises NotFoundError and StaleVersionError."""
