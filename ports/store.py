"""Ports of the database: starts of builds, Idempotency-Keys, composes and blueprints.

A build is an image build at the composer. A compose is the row of a build in the history. A start is the reservation of
one build in the tenant's quota; it exists until its build becomes a compose, or is known not to exist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from domain.blueprints.blueprint import Blueprint, BlueprintsPage, BlueprintsQuery, NewBlueprint, Version
from domain.composes import ComposesPage, ComposesQuery, NewCompose, StoredCompose, StoredMetadata
from domain.idempotency import EarlierRequest, KeyClaim, RequestFailure, UnsettledKey
from domain.json_size import JsonCounts
from domain.labels import Labels
from domain.quota import Quota, Reservation, Usage
from domain.starts import AbandonedStart, Adoption, NewStart


class Starts(Protocol):
    """Starts: reservations of builds in the tenant's quota.

    A start is recorded before its build is submitted to the composer, and counts towards the tenant's quota until it
    becomes a compose or is released. The quota is enforced across processes: concurrent calls never reserve more builds
    than remain. All methods raise UnavailableError if the database is unavailable.
    """

    def reserve(
        self, starts: Sequence[NewStart], tenant: str, quota: Quota | None, key_id: UUID | None = None
    ) -> Reservation:
        """Record these starts; the tenant's lock is released before this returns.

        `quota=None` means unlimited. If fewer builds remain than there are `starts`, none is recorded and the result's
        `granted` is False. `key_id` is the id under which an Idempotency-Key was claimed: the builds' ids will be
        stored with the key, in the order of `starts`.

        Raises ReservationUnknownError if the connection failed before the result arrived: the starts may or may not
        have been recorded.
        """

    def get_usage(self, tenant: str, quota: Quota) -> Usage:
        """Return how many builds count towards the quota, counted as in `reserve`."""

    def release(self, start_ids: Sequence[UUID]) -> None:
        """Remove starts that are known not to have become builds."""

    def record(self, start_id: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """Replace the start by a compose, atomically. The call is idempotent.

        Raises BuildIdTakenError, and changes nothing, if another compose of any tenant has the id.
        """

    def is_recorded(self, compose_id: UUID) -> bool:
        """Return whether the history has a compose with this id, of any tenant, deleted or not."""


class AbandonedStarts(Protocol):
    """Abandoned starts: starts older than `lease`, the time within which a request finishes its starts.

    All methods raise UnavailableError if the database is unavailable.
    """

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        """Try to become or to stay the leader for `term` from now; return whether this succeeded.

        Only the leader looks for abandoned starts and decides them: it adopts their builds or releases them.
        """

    def find_abandoned(self, lease: timedelta, max_age: timedelta, limit: int) -> Sequence[AbandonedStart]:
        """Return up to `limit` abandoned starts, oldest first.

        Starts older than `max_age` are left out, because the composer may have forgotten their builds. Starts without a
        fingerprint, which older versions of this service recorded, are left out, because they cannot be matched with a
        build.
        """

    def count(self, lease: timedelta) -> int:
        """Return the number of all abandoned starts, including those that `find_abandoned` leaves out."""

    def find_recorded(self, compose_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return the subset of `compose_ids` that the history contains, of any tenant, deleted or not."""

    def adopt(self, adoption: Adoption) -> bool:
        """Replace the start by a compose with the start's creation time, atomically.

        Returns False, and changes nothing, if the start no longer exists or the build is already recorded.
        """


class IdempotencyKeys(Protocol):
    """Idempotency-Keys and the outcome of their requests, stored for `domain.idempotency.KEY_LIFETIME` (24 hours).

    All methods raise UnavailableError if the database is unavailable.
    """

    def claim(self, request: KeyClaim, key_id: UUID) -> EarlierRequest | None:
        """Claim the key for this request as `key_id` and return None, or return the earlier request that holds the key.

        An expired key can be claimed again. The caller must compare the body fingerprints of the two requests.
        """

    def settle(self, key_id: UUID) -> None:
        """Store that the request succeeded; does nothing while one of its builds is not recorded."""

    def settle_failed(self, key_id: UUID, failure: RequestFailure) -> None:
        """If the request created at least one build, store the failure; otherwise remove the key.

        Does nothing while a start of the request may still become a build.
        """

    def find_unsettled(self, lease: timedelta, limit: int) -> Sequence[UnsettledKey]:
        """Return up to `limit` unsettled keys that are older than `lease` and whose requests have no starts."""


class Composes(Protocol):
    """The history of builds. All methods raise UnavailableError if the database is unavailable.

    Before a large document is read, memory is reserved for it: the methods that read raise InvalidRequestError if one
    request may not use so much, and UnavailableError if the memory does not become available in time.
    """

    def find_page(self, query: ComposesQuery) -> ComposesPage:
        """Return a page of a tenant's list. The stored requests are abridged if the page would be too large."""

    def get(self, tenant: str, compose_id: UUID) -> StoredCompose | None:
        """Return a compose, or None if the tenant has none with this id or deleted it."""

    def get_metadata(self, tenant: str, compose_id: UUID) -> StoredMetadata | None:
        """Return the stored metadata of a compose, or None if the tenant has none with this id or deleted it."""

    def store_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        """Store the metadata of a build; does nothing if metadata is stored, or no final status is."""

    def replace_labels(self, tenant: str, compose_id: UUID, labels: Labels) -> bool:
        """Store the labels of a compose in place of earlier ones; False if the tenant has none with this id."""

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """Mark a compose as deleted; return False if the tenant has none with this id. A repetition returns True."""


class Blueprints(Protocol):
    """Blueprints and all their versions. All methods raise UnavailableError if the database is unavailable.

    Before a large document is read, memory is reserved for it: `change` and `get` raise InvalidRequestError if one
    request may not use so much, and UnavailableError if the memory does not become available in time.
    """

    def create(self, blueprint: NewBlueprint, key_id: UUID | None = None) -> UUID:
        """Store a new blueprint and return its id; settle the Idempotency-Key that was claimed as `key_id`.

        Raises NameTakenError if the tenant has a blueprint of this name.
        """

    def change(
        self,
        tenant: str,
        blueprint_id: UUID,
        expected_versions: frozenset[int] | None,
        change: Callable[[Blueprint], Version | None],
    ) -> int:
        """Call `change` with the latest version, store its result as the next version, and return the next number.

        None from `change` changes nothing; then the number is that of the latest version.

        `expected_versions` are the versions accepted as current (If-Match); None accepts any. Concurrent changes of a
        blueprint are serialized, and none is lost. `change` must not block, because the blueprint is locked while it
        runs; it may be called several times.

        Raises NotFoundError if the tenant has no undeleted blueprint with this id, StaleVersionError if the latest
        version is not expected, NameTakenError if another blueprint has the name, and the errors of `change`.
        """

    def find_page(self, query: BlueprintsQuery) -> BlueprintsPage:
        """Return a page of a tenant's list."""

    def get(
        self,
        tenant: str,
        blueprint_id: UUID,
        version: int | None = None,
        needed: Callable[[JsonCounts], int] = lambda _: 0,
    ) -> Blueprint:
        """Return a version of a blueprint, the latest for None.

        `needed` computes the bytes of memory that the caller needs in total for a large document. Reading uses a part;
        the rest is kept for later reservations of the request.

        Raises NotFoundError if the tenant has no such blueprint or version.
        """

    def memory_to_change(self, tenant: str, blueprint_id: UUID) -> int:
        """Return the bytes of memory that `change` reserves; 0 for a small document or if there is no blueprint."""

    def latest_version(self, tenant: str, blueprint_id: UUID) -> int:
        """Return the number of the latest version. Raises NotFoundError if the tenant has no such blueprint."""

    def delete(self, tenant: str, blueprint_id: UUID, expected_versions: frozenset[int] | None) -> None:
        """Mark a blueprint and all its builds as deleted, and free its name.

        Raises NotFoundError and StaleVersionError as `change` does.
        """
