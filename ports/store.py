"""Ports of the database: starts of builds, Idempotency-Keys, composes and blueprints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from domain.blueprints.blueprint import Blueprint, BlueprintsPage, BlueprintsQuery, NewBlueprint, Version
from domain.composes import ComposesPage, ComposesQuery, NewCompose, StoredCompose, StoredMetadata
from domain.idempotency import EarlierRequest, KeyClaim, RequestFailure
from domain.json_size import JsonCounts
from domain.quota import Quota, Reservation, Usage
from domain.starts import AbandonedStart, Adoption, NewStart


class Starts(Protocol):
    """Starts of builds, which are reservations of the tenant's quota.

    Each start is recorded before its build is submitted to the composer, and counts towards the tenant's quota until it
    becomes a compose or is released. If the quota leaves k builds, concurrent reservations of any number of processes
    are granted for exactly k. All methods raise UnavailableError when the database is unavailable.
    """

    def reserve(
        self, starts: Sequence[NewStart], tenant: str, quota: Quota | None, key: UUID | None = None
    ) -> Reservation:
        """Record all these starts, or none where the quota (None: unlimited) leaves fewer. No lock is held afterwards.

        `key` is the id under which an Idempotency-Key was claimed: the ids of the builds are stored there, in this
        order.

        Raises ReservationUnknownError where the database did not answer, so that they may have been recorded.
        """

    def get_usage(self, tenant: str, quota: Quota) -> Usage:
        """The builds that count towards the quota, by the same count as in `reserve`."""

    def release(self, starts: Sequence[UUID]) -> None:
        """Remove starts that are known not to have become builds."""

    def record(self, start: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """Replace the start by a compose, atomically; a repetition changes nothing.

        Raises BuildIdTakenError where another build in the history, of any tenant, has the id; then nothing changes.
        """

    def is_recorded(self, compose_id: UUID) -> bool:
        """Whether the history has a build with this id, of any tenant, deleted or not."""


class AbandonedStarts(Protocol):
    """Abandoned starts: starts that are older than their lease, so that no request is working on them any more.

    Starts without a fingerprint, which older versions recorded, are counted but not found. All methods raise
    UnavailableError.
    """

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        """Try to become or stay the only pod that reconciles, for the next `term`; returns whether it succeeded."""

    def find_abandoned(self, lease: timedelta, max_age: timedelta, limit: int) -> Sequence[AbandonedStart]:
        """Up to `limit` abandoned starts, oldest first, without those older than `max_age`."""

    def count(self, lease: timedelta) -> int:
        """The number of all abandoned starts, of any age."""

    def find_recorded(self, composes: Collection[UUID]) -> frozenset[UUID]:
        """Those of these ids that the history contains, of any tenant, deleted or not."""

    def adopt(self, adoption: Adoption) -> bool:
        """Replace the start by a compose with its creation time, atomically.

        Returns False, and changes nothing, where the start no longer exists or the build is recorded.
        """


class IdempotencyKeys(Protocol):
    """Idempotency-Keys and the outcome of their requests, stored for KEY_LIFETIME.

    All methods raise UnavailableError.
    """

    def claim(self, request: KeyClaim, key_id: UUID) -> EarlierRequest | None:
        """Claim the key as `key_id` for this request and return None, or return the earlier request that has it."""

    def settle(self, key_id: UUID) -> None:
        """Mark the request as successful, if all builds that it started are recorded."""

    def settle_failed(self, key_id: UUID, failure: RequestFailure) -> None:
        """Mark the request as failed: store the failure if it created something, otherwise remove the key.

        Does nothing while a start of the request may still become a build.
        """

    def find_unsettled(self, lease: timedelta, limit: int) -> Sequence[tuple[UUID, tuple[UUID | None, ...]]]:
        """Unsettled keys that are older than the lease and have no starts left.

        Returns their ids with the ids of the builds in the order of the request, None for a build that was not created.
        """


class Composes(Protocol):
    """The history of builds. All methods raise UnavailableError when the database is unavailable.

    Before a large document is read, memory is reserved for it; this raises the errors of `ports.memory.reserve_memory`.
    """

    def find_page(self, query: ComposesQuery) -> ComposesPage:
        """A page of a tenant's list; requests are shortened where the page would be too large."""

    def get(self, tenant: str, compose_id: UUID) -> StoredCompose | None:
        """A compose; None where the tenant has none with this id, or deleted it."""

    def get_metadata(self, tenant: str, compose_id: UUID) -> StoredMetadata | None:
        """The stored metadata of a compose; None where the tenant has no compose with this id, or deleted it."""

    def store_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        """Store the metadata of a build whose final status is stored; does nothing if metadata is stored."""

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """Mark a compose as deleted; False where the tenant has none with this id. A repetition returns True."""


class Blueprints(Protocol):
    """Blueprints and all their versions. All methods raise UnavailableError when the database is unavailable.

    Before a large document is read, memory is reserved for it; this raises the errors of `ports.memory.reserve_memory`.
    """

    def create(self, blueprint: NewBlueprint, key: UUID | None = None) -> UUID:
        """Store a new blueprint, and settle the Idempotency-Key that was claimed as `key`; returns the blueprint's id.

        Raises RulesViolatedError where the tenant has a blueprint of this name.
        """

    def change(
        self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None, change: Callable[[Blueprint], Version]
    ) -> int:
        """Store the result of `change`, called with the latest version, as the next version; returns its number.

        `change` must not wait for anything. Concurrent changes of a blueprint are serialized, and none is lost.
        `wanted` are the versions that the caller means to change, None for any version.

        Raises NotFoundError where the tenant has no undeleted blueprint with this id, StaleVersionError where the
        latest version is not in `wanted`, RulesViolatedError where another blueprint has the name, and the errors of
        `change`.
        """

    def find_page(self, query: BlueprintsQuery) -> BlueprintsPage:
        """A page of a tenant's list."""

    def get(
        self,
        tenant: str,
        blueprint_id: UUID,
        version: int | None = None,
        needed: Callable[[JsonCounts], int] = lambda _: 0,
    ) -> Blueprint:
        """A version of a blueprint, None for the latest. Raises NotFoundError where the tenant has none such.

        `needed` says how many bytes of memory the caller needs in all for a large document. They are reserved at once;
        those that reading does not take are set aside.
        """

    def memory_to_change(self, tenant: str, blueprint_id: UUID) -> int:
        """The bytes of memory that `change` reserves for the latest version; 0 for a small one, or for none."""

    def latest_version(self, tenant: str, blueprint_id: UUID) -> int:
        """The number of the latest version. Raises NotFoundError where the tenant has no such blueprint."""

    def delete(self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None) -> None:
        """Mark a blueprint and all its builds as deleted, and free its name.

        Raises NotFoundError and StaleVersionError as `change` does.
        """
