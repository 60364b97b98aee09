"""The use case that starts builds, with fakes of all its ports in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from adapters.embedded.composer.schema import compose_request_validator
from adapters.fingerprints import HmacFingerprints
from domain.blueprints.blueprint import BlueprintVersion
from domain.compose.lookups import Answers, Questions
from domain.composes import NewCompose
from domain.distributions import AllowList, Architecture, BootcImage, Catalogue
from domain.errors import BuildIdTakenError, UnavailableError
from domain.identity import Identity
from domain.quota import Quota, Reservation, Usage
from domain.starts import NewStart
from domain.submission import Accepted, Submission
from image_builder.fair_threads import FairThreads
from image_builder.usecases.compose import StartComposes, Started
from image_builder.usecases.orphans import CancelOrphans
from image_builder.usecases.passwords import HashPasswords
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.record import RecordBuilds
from ports.deadline import remaining_seconds
from tests.support.builders import compose_request
from tests.support.domain_builders import CONTENT, UPLOAD, a_distribution, a_repository, completed, hash_of
from tests.support.meter import FakeMeter

CALLER: Final = Identity("000001", account_number="7", email="u@example.com", entitled=False)
TOO_LARGE: Final = 64 * 1024**3 + 1
NOW: Final = datetime(2026, 1, 31, 12)
# How long ago the first build began that counts.
AGE: Final = timedelta(days=4)
QUOTA: Final = Quota(3, timedelta(days=14))
REFERENCE: Final = "quay.io/a/image:latest"
PAYLOAD: Final = "quay.io/a/payload:latest"
_THREADS: Final = FairThreads(8, "image")
_HASH_THREADS: Final = FairThreads(2, "hash")
_BOOTC: Final = Architecture("x86_64", bootc=(BootcImage("bootable-container-iso", REFERENCE, (PAYLOAD,)),))


class FakeStarts:
    """Reservations and composes in memory; `failing` has the calls that raise, with their errors."""

    def __init__(self) -> None:
        self.reserved: dict[UUID, str] = {}
        self.composes: dict[UUID, NewCompose] = {}
        self.calls: list[str] = []
        self.failing: dict[str, Exception] = {}

    def reserve(
        self, starts: Sequence[NewStart], tenant: str, quota: Quota | None, key_id: UUID | None = None
    ) -> Reservation:
        """See ports.store."""
        self._called("reserve")
        granted = quota is None or len(self.reserved) + len(self.composes) + len(starts) <= quota.limit
        if granted:
            self.reserved.update({start.id: tenant for start in starts})
        return Reservation(granted, None if quota is None else self._used())

    def get_usage(self, tenant: str, quota: Quota) -> Usage:
        """See ports.store."""
        self._called("usage")
        return self._used()

    def _used(self) -> Usage:
        used = len(self.reserved) + len(self.composes)
        return Usage(NOW, used, NOW - AGE if used else None)

    def release(self, start_ids: Sequence[UUID]) -> None:
        """See ports.store."""
        self._called("release")
        for start_id in start_ids:
            self.reserved.pop(start_id, None)

    def record(self, start_id: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """See ports.store."""
        self._called("record")
        if compose_id in self.composes and start_id in self.reserved:
            raise BuildIdTakenError
        self.reserved.pop(start_id, None)
        self.composes[compose_id] = compose

    def is_recorded(self, compose_id: UUID) -> bool:
        """See ports.store."""
        self._called("is_recorded")
        return compose_id in self.composes

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]


class FakeComposer:
    """A composer that answers with `outcome`, or with `by_image_type`; the first `cancel_fails` cancellations fail.

    After a cancellation `cancelled_then` is called. `ordered` is the request that the composer returns for any build.
    """

    def __init__(self, starts: FakeStarts) -> None:
        self.outcome: Submission = Accepted(uuid4())
        self.by_image_type: dict[str, Submission] = {}
        self.submitted: list[Mapping[str, Any]] = []
        self.cancelled: list[UUID] = []
        self.cancel_fails = 0
        self.cancelled_then: Callable[[], None] = lambda: None
        self.ordered: Mapping[str, Any] | None = None
        self.reserved_while_asked: list[int] = []
        self._starts = starts

    def submit(self, request: Mapping[str, Any]) -> Submission:
        """See ports.composer."""
        compose_request_validator().validate(request)
        self.submitted.append(request)
        self.reserved_while_asked.append(len(self._starts.reserved))
        return self.by_image_type.get(request["image_request"]["image_type"], self.outcome)

    def cancel(self, compose_id: UUID) -> None:
        """See ports.composer."""
        if self.cancel_fails:
            self.cancel_fails -= 1
            raise UnavailableError("The composer gives no usable answer")
        self.cancelled.append(compose_id)
        self.cancelled_then()

    def request(self, _compose_id: UUID) -> Mapping[str, Any] | None:
        """See ports.composer."""
        return self.ordered


class FakeKeys:
    """Idempotency-Keys in memory; settling one raises `failing` if set."""

    def __init__(self) -> None:
        self.settled: list[UUID] = []
        self.failing: Exception | None = None

    def settle(self, key_id: UUID) -> None:
        """See ports.store."""
        if self.failing is not None:
            raise self.failing
        self.settled.append(key_id)


class FakeQuotas:
    """The quota of every organization is `quota`, which is raised if it is an error."""

    def __init__(self) -> None:
        self.quota: Quota | Exception | None = QUOTA
        self.asked: list[str] = []

    def get(self, tenant: str) -> Quota | None:
        """See ports.world."""
        self.asked.append(tenant)
        if isinstance(self.quota, Exception):
            raise self.quota
        return self.quota


class World:
    """The use case with all its fakes; `answers` is the gathered content, and raised if it is an error."""

    def __init__(self) -> None:
        self.starts = FakeStarts()
        self.composer = FakeComposer(self.starts)
        self.quotas = FakeQuotas()
        self.hashed: list[str] = []
        self.hasher: Callable[[str, str], str] = lambda password, _salt: hash_of(password)
        # Called before each hash.
        self.hashing: Callable[[], None] | None = None
        catalogue = Catalogue(
            {
                "centos-9": a_distribution("centos-9", a_repository()),
                "rhel-9.8": a_distribution("rhel-9.8", a_repository(rhsm=True)),
                "centos-10": a_distribution("centos-10", a_repository(), restricted=True),
                "hummingbird": a_distribution("hummingbird", architectures={"x86_64": _BOOTC}),
            },
            AllowList({"000002": (re.compile("^centos-10$"),)}),
        )
        self.gathered: list[tuple[Identity, Questions, float]] = []
        self.answers: Answers | Exception = Answers()
        self.meter = FakeMeter()
        self.key: UUID | None = None
        prepare = Prepare(
            catalogue=catalogue,
            gather=self._gather,  # type: ignore[arg-type]
            upload=UPLOAD,
            content=CONTENT,
        )
        self.now = 0.0
        self.keys = FakeKeys()
        self.record = RecordBuilds(
            self.starts,
            # The stand-ins have of the ports what is asked of them here.
            self.keys,  # type: ignore[arg-type]
            CancelOrphans(self.starts, self.composer, HmacFingerprints("secret")),  # type: ignore[arg-type]
            timedelta(seconds=300),
            self.meter,
            lambda: self.now,
        )
        self._start = StartComposes(
            prepare=prepare,
            hash_passwords=HashPasswords(self._hash, _HASH_THREADS),
            deadline=30.0,
            quotas=self.quotas,
            starts=self.starts,
            record=self.record,
            composer=self.composer,  # type: ignore[arg-type]
            threads=_THREADS,
            fingerprints=HmacFingerprints("secret"),
            meter=self.meter,
        )

    def __call__(self, document: dict[str, Any] | None = None, identity: Identity = CALLER) -> UUID:
        """Start a build, with the idempotency key if given, and return its id."""
        (compose_id,) = self.started(document, identity).ids
        return compose_id

    def started(self, document: dict[str, Any] | None = None, identity: Identity = CALLER) -> Started:
        """Start a build, and return the complete result."""
        return self._start.one(identity, completed(compose_request() if document is None else document), self.key)

    def hurry(self, seconds: float) -> None:
        """Limit the time in which builds start."""
        self._start = replace(self._start, deadline=seconds)

    def use(self, prepare: Prepare, composer: Any) -> None:
        """Prepare builds with `prepare`, and submit them to `composer`."""
        self._start = replace(self._start, prepare=prepare, composer=composer)

    def start_documents(self, documents: Sequence[Mapping[str, Any]]) -> tuple[UUID, ...]:
        """Start builds from complete documents, which may share parts."""
        return self._start(CALLER, documents).ids

    def several(self, *documents: dict[str, Any], version: BlueprintVersion | None = None) -> tuple[UUID, ...]:
        """Start several builds together, and return their ids."""
        return self._start(CALLER, [completed(document) for document in documents], version).ids

    def refuses(
        self,
        document: dict[str, Any] | None = None,
        error: type[Exception] = Exception,
        identity: Identity = CALLER,
    ) -> Any:
        """The error with which the start of a build is refused."""
        with pytest.raises(error) as refused:
            self(document, identity)
        return refused.value

    def _gather(self, identity: Identity, questions: Questions) -> Answers:
        self.gathered.append((identity, questions, remaining_seconds()))
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    def _hash(self, password: str, salt: str) -> str:
        assert len(salt) == 16
        if self.hashing is not None:
            self.hashing()
        self.hashed.append(password)
        return self.hasher(password, salt)

    @property
    def row(self) -> NewCompose:
        """The recorded row of the only build."""
        (row,) = self.starts.composes.values()
        return row
