"""Start builds: within the quota, and never lost once the composer has accepted them (spec: Composes)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog

from domain.compose import passwords
from domain.compose.request import ComposeRequest, read
from domain.composes import NewCompose
from domain.errors import ImageBuilderError, ReservationUnknownError
from domain.identity import Identity
from domain.quota import Allowance, Quota
from domain.starts import NewStart, essence
from domain.submission import Accepted, Refused, Submission, part_way
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.record import RecordBuilds
from image_builder.usecases.together import together
from ports.composer import Composer
from ports.deadline import left, until
from ports.meter import SILENT, Meter
from ports.store import Starts
from ports.world import Fingerprints, Quotas

log = structlog.get_logger()

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Start:
    """A build on its way, what the composer is asked for, and the Idempotency-Key that gets to know of it."""

    new: NewStart
    composer_request: dict[str, Any]
    key: UUID | None

    @property
    def id(self) -> UUID:
        """Its name until the composer gives it one."""
        return self.new.id


@dataclass(frozen=True, slots=True)
class Started:
    """The ids of builds that were started, and what the quota leaves after them; None where there is none."""

    ids: tuple[UUID, ...]
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class StartComposes:
    """The way of compose requests to the composer and into the history.

    `deadline` is in seconds, for all that happens before the composer has answered; `threads` run several images of one
    caller at the same time.
    """

    prepare: Prepare
    deadline: float
    quotas: Quotas
    starts: Starts
    record: RecordBuilds
    composer: Composer
    threads: Executor
    fingerprints: Fingerprints
    meter: Meter = SILENT

    def one(self, identity: Identity, document: Json, key: UUID | None = None) -> Started:
        """The one build that was started for a document that fits the contract's ComposeRequest.

        Raises InvalidRequestError, ForbiddenError, QuotaExceededError, BuildRefusedError, ConfigurationError where
        the tenant has no quota, and UnavailableError when the composer or the database is away. After any of these
        the caller has no build, unless the composer started it and could not say so: then it stays counted.
        """
        return self(identity, (document,), key=key)

    def __call__(
        self,
        identity: Identity,
        documents: Sequence[Json],
        blueprint_version: UUID | None = None,
        key: UUID | None = None,
    ) -> Started:
        """The builds for these documents, in their order, which a version of a blueprint may stand behind; all or none.

        An Idempotency-Key that was claimed as `key` gets to know of them.

        Raises as `one` does. Nothing is started unless all of them may be and the quota suffices for all. Where the
        composer fails some of them after that, the error names those that did start.
        """
        requests = [read(document) for document in documents]
        if not requests:
            return Started(())
        with until(self.deadline):
            prepared = together(
                self.threads,
                {str(number): partial(self.prepare, identity, request) for number, request in enumerate(requests)},
            )
            quota = self.quotas.of(identity.tenant)
            starts = [
                self._start(prepared[str(number)], _compose(identity, request, document, blueprint_version), key)
                for number, (request, document) in enumerate(zip(requests, documents, strict=True))
            ]
            allowance = self._reserve(identity.tenant, [start.new for start in starts], quota, key)
            remaining = left()
        return Started(self._all(starts, remaining), allowance)

    def _all(self, starts: Sequence[_Start], within: float) -> tuple[UUID, ...]:
        # One moment for all: those that wait for a thread get no time of their own.
        ends = time.monotonic() + within
        outcomes = together(self.threads, {str(start.id): partial(self._outcome, start, ends) for start in starts})
        results = [outcomes[str(start.id)] for start in starts]
        started = tuple(result for result in results if isinstance(result, UUID))
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise part_way(failures[0], started)
        return started

    def _outcome(self, start: _Start, ends: float) -> UUID | Exception:
        try:
            with until(ends - time.monotonic()):
                compose_id = self._submit(start)
            # However late it is, what the composer builds is recorded.
            self.record(start.new, compose_id, start.key)
        except ImageBuilderError as error:
            return error
        except Exception as error:
            log.error("unforeseen error in the start of a build", exc_info=error)
            return error
        return compose_id

    def _start(self, composer_request: dict[str, Any], compose: NewCompose, key: UUID | None) -> _Start:
        fingerprint = self.fingerprints.of(essence(composer_request))
        return _Start(NewStart(uuid4(), compose, fingerprint), composer_request, key)

    def _reserve(
        self, tenant: str, starts: Sequence[NewStart], quota: Quota | None, key: UUID | None
    ) -> Allowance | None:
        try:
            reservation = self.starts.reserve(starts, tenant, quota, key)
        except ReservationUnknownError:
            self.record.release([start.id for start in starts], recorded=False)
            raise
        if quota is None or reservation.usage is None:
            return None
        if not reservation.granted:
            self.meter.quota_refused()
            raise quota.exceeded(reservation.usage)
        return quota.allowance(reservation.usage)

    def _submit(self, start: _Start) -> UUID:
        """The composer's id. The reservation of a build that is known not to have started is released."""
        outcome: Submission = self.composer.submit(start.composer_request)
        if isinstance(outcome, Accepted):
            return outcome.id
        if isinstance(outcome, Refused):
            log.warning("the composer refused a build", status=outcome.status, error_id=outcome.error_id)
        if outcome.may_have_started:
            log.warning("composer outcome unknown, reservation kept", start=str(start.id))
        else:
            self.record.release([start.id])
        raise outcome.error()


def _compose(identity: Identity, request: ComposeRequest, document: Json, blueprint_version: UUID | None) -> NewCompose:
    return NewCompose(
        tenant=identity.tenant,
        account_number=identity.account_number,
        email=identity.email,
        request=passwords.without_passwords(document),
        image_name=request.image_name,
        client_id=request.client_id,
        blueprint_version=blueprint_version,
    )
