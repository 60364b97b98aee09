"""A database and a composer in memory, which the reconciler runs on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from adapters.fingerprints import HmacFingerprints
from domain.errors import NotFoundError, UnavailableError
from domain.idempotency import RequestFailure, UnsettledKey
from domain.starts import AbandonedStart, Adoption, normalize_request
from image_builder.usecases.reconcile import ReconcileStarts
from ports.composer import Builds
from tests.support.meter import FakeMeter

LEASE = timedelta(seconds=300)
PRINTS = HmacFingerprints("secret")
ORDER = {"distribution": "centos-9", "image_request": {"image_type": "guest-image"}}
OTHER = {"distribution": "centos-10", "image_request": {"image_type": "guest-image"}}


class World:
    """A database with abandoned starts, and a composer with `orders`, in memory; `now` is the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.leads = True
        self.starts: dict[UUID, bytes] = {}
        self.recorded: dict[UUID, float] = {}
        self.of_blueprints: set[UUID] = set()
        self.orders: dict[UUID, Mapping[str, Any] | None] = {}
        self.rows: set[UUID] = set()
        self.complete = True
        self.away = False
        self.gone: set[UUID] = set()
        self.untold: set[UUID] = set()
        self.seconds_of_a_call = 0.0
        self.seconds_of_a_list = 0.0
        self.leads_until = float("inf")
        self.unsettled: list[UnsettledKey] = []
        self.settled: list[UUID] = []
        self.closed: dict[UUID, RequestFailure] = {}
        self.asked: list[UUID] = []
        self.listings = 0
        self.meter = FakeMeter()
        self.run = ReconcileStarts(
            abandoned_starts=FakeAbandonedStarts(self),
            starts=self,  # type: ignore[arg-type]
            keys=FakeKeys(self),  # type: ignore[arg-type]
            composer=self,  # type: ignore[arg-type]
            fingerprints=PRINTS,
            lease=LEASE,
            term=timedelta(seconds=180),
            meter=self.meter,
            clock=lambda: self.now,
        )

    def start(self, order: Mapping[str, Any] = ORDER, prints: HmacFingerprints = PRINTS) -> UUID:
        start = uuid4()
        self.starts[start] = prints.compute(normalize_request(order))
        self.recorded[start] = self.now
        return start

    def build(self, order: Mapping[str, Any] | None = ORDER) -> UUID:
        build = uuid4()
        self.orders[build] = order
        return build

    def runs_twice(self) -> None:
        """Two runs, with a lease between them."""
        self.run()
        self.now += LEASE.total_seconds()
        self.run()

    def release(self, starts: Sequence[UUID]) -> None:
        for start in starts:
            self.starts.pop(start, None)

    def builds(self) -> Builds:
        self.listings += 1
        self.now += self.seconds_of_a_list
        if self.away:
            raise UnavailableError("The composer gives no usable answer")
        return Builds(frozenset(self.orders), self.complete)

    def request(self, compose_id: UUID) -> Mapping[str, Any] | None:
        self.asked.append(compose_id)
        self.now += self.seconds_of_a_call
        if compose_id in self.untold:
            raise UnavailableError("The composer gives no usable answer")
        if compose_id in self.gone:
            raise NotFoundError("Compose not found")
        return self.orders[compose_id]


class FakeAbandonedStarts:
    """See ports.store.AbandonedStarts."""

    def __init__(self, world: World) -> None:
        self._world = world

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        return self._world.leads and self._world.now < self._world.leads_until

    def find_abandoned(self, lease: timedelta, max_age: timedelta, limit: int) -> Sequence[AbandonedStart]:
        age = timedelta(seconds=self._world.now)
        return [
            AbandonedStart(
                start,
                fingerprint,
                age - timedelta(seconds=self._world.recorded.get(start, 0)),
                start in self._world.of_blueprints,
            )
            for start, fingerprint in self._world.starts.items()
        ]

    def count(self, lease: timedelta) -> int:
        return len(self._world.starts)

    def find_recorded(self, compose_ids: Collection[UUID]) -> frozenset[UUID]:
        return frozenset(self._world.rows.intersection(compose_ids))

    def adopt(self, adoption: Adoption) -> bool:
        del self._world.starts[adoption.start]
        self._world.rows.add(adoption.compose)
        return True


class FakeKeys:
    """See ports.store.IdempotencyKeys."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find_unsettled(self, lease: timedelta, limit: int) -> Sequence[UnsettledKey]:
        return self._world.unsettled

    def settle(self, key_id: UUID) -> None:
        self._world.settled.append(key_id)

    def settle_failed(self, key_id: UUID, failure: RequestFailure) -> None:
        self._world.closed[key_id] = failure
