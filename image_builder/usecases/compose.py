"""Start builds: within the quota, and never lost once the composer has accepted them (spec: Composes)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog

from domain.blueprints.blueprint import BlueprintVersion
from domain.compose import passwords
from domain.compose.passwords import SaltedPassword
from domain.compose.request import ComposeRequest, read
from domain.composer_errors import Fault
from domain.composes import NewCompose
from domain.errors import ImageBuilderError, ReservationUnknownError
from domain.identity import Identity
from domain.quota import Allowance, Quota
from domain.sharing import once_for_each
from domain.starts import NewStart, Strip, essence, strip_part
from domain.submission import Accepted, Refused, Submission, part_way
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import run_concurrently
from image_builder.usecases.footprint import written_at_once
from image_builder.usecases.passwords import HashPasswords
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.record import RecordBuilds
from ports.composer import Composer
from ports.deadline import left, until
from ports.fingerprints import Fingerprints
from ports.meter import SILENT, Meter
from ports.quotas import Quotas
from ports.store import Starts

log = structlog.get_logger()

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Start:
    """A build on its way, what the composer is asked for, and the Idempotency-Key that gets to know of it.

    `plain` are the passwords that are to be put into the composer's request as hashes, by the number of the user.
    """

    new: NewStart
    composer_request: Mapping[str, Any]
    plain: Mapping[int, SaltedPassword]
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
    hash_passwords: HashPasswords
    deadline: float
    quotas: Quotas
    starts: Starts
    record: RecordBuilds
    composer: Composer
    threads: FairThreads
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
        version: BlueprintVersion | None = None,
        key: UUID | None = None,
    ) -> Started:
        """The builds for these documents, in their order; all or none.

        `version` is the version of a blueprint that they are of, None where they are of none.

        An Idempotency-Key that was claimed as `key` gets to know of them. The caller has reserved memory for them.

        Raises as `one` does. Nothing is started unless all of them may be and the quota suffices for all. Where the
        composer fails some of them after that, the error names those that did start.
        """
        requests = [read(document) for document in documents]
        if not requests:
            return Started(())
        with until(self.deadline):
            blueprint_id = None if version is None else version.blueprint_id
            contexts = self.prepare.check(identity, requests, blueprint_id)
            finish = [partial(self.prepare.finish, identity, context) for context in contexts]
            prepared = run_concurrently(self.threads, identity.tenant, finish)
            quota = self.quotas.of(identity.tenant)
            composes = _composes(identity, requests, documents, version)
            strip = once_for_each(strip_part)
            starts = [
                self._start(composer_request, context.plain_passwords, compose, key, strip)
                for composer_request, context, compose in zip(prepared, contexts, composes, strict=True)
            ]
            allowance = self._reserve(identity.tenant, [start.new for start in starts], quota, key)
            hashes = self._hashes(identity.tenant, starts)
            remaining = left()
        at_once = written_at_once(documents)
        return Started(self._all(identity.tenant, starts, hashes, at_once=at_once, within=remaining), allowance)

    def _all(
        self, tenant: str, starts: Sequence[_Start], hashes: Sequence[Mapping[int, str]], *, at_once: int, within: float
    ) -> tuple[UUID, ...]:
        # One moment for all: those that wait for a thread get no time of their own.
        ends = time.monotonic() + within
        calls = [partial(self._outcome, *each, ends) for each in zip(starts, hashes, strict=True)]
        results = run_concurrently(self.threads, tenant, calls, at_once=at_once)
        started = tuple(result for result in results if isinstance(result, UUID))
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise part_way(failures[0], started)
        return started

    def _outcome(self, start: _Start, hashes: Mapping[int, str], ends: float) -> UUID | Exception:
        try:
            with until(ends - time.monotonic()):
                compose_id = self._submit(start, hashes)
            # However late it is, what the composer builds is recorded.
            self.record(start.new, compose_id, start.key)
        except ImageBuilderError as error:
            return error
        except Exception as error:
            log.error("unforeseen error in the start of a build", exc_info=error)
            return error
        return compose_id

    def _start(
        self,
        composer_request: Json,
        plain: Mapping[int, SaltedPassword],
        compose: NewCompose,
        key: UUID | None,
        strip: Strip,
    ) -> _Start:
        fingerprint = self.fingerprints.of(essence(composer_request, strip))
        return _Start(NewStart(uuid4(), compose, fingerprint), composer_request, plain, key)

    def _hashes(self, tenant: str, starts: Sequence[_Start]) -> list[Mapping[int, str]]:
        """The hashes of each start's plain passwords. Releases all reservations where they cannot be made."""
        hash_all = once_for_each(partial(self.hash_passwords, tenant))
        try:
            return [hash_all(start.plain) for start in starts]
        except Exception:
            self.record.release([start.id for start in starts])
            raise

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

    def _submit(self, start: _Start, hashes: Mapping[int, str]) -> UUID:
        """The composer's id. The reservation of a build that is known not to have started is released."""
        outcome: Submission = self.composer.submit(passwords.insert_hashes(start.composer_request, hashes))
        if isinstance(outcome, Accepted):
            return outcome.id
        if isinstance(outcome, Refused):
            self._report(outcome)
        if outcome.may_have_started:
            log.warning("composer outcome unknown, reservation kept", start=str(start.id))
        else:
            self.record.release([start.id])
        raise outcome.error()

    def _report(self, refused: Refused) -> None:
        fault = refused.fault
        self.meter.build_refused(fault)
        level = "info" if fault is Fault.USER else "warning"
        getattr(log, level)(
            "the composer refused a build", status=refused.status, error_id=refused.error_id, fault=fault.value
        )


def _composes(
    identity: Identity, requests: Sequence[ComposeRequest], documents: Sequence[Json], version: BlueprintVersion | None
) -> list[NewCompose]:
    """What the builds become. Documents that share their customizations share what is kept of them."""
    kept = once_for_each(passwords.redact_customizations)
    return [
        NewCompose(
            tenant=identity.tenant,
            account_number=identity.account_number,
            email=identity.email,
            request={name: kept(value) if name == "customizations" else value for name, value in document.items()},
            image_name=request.image_name,
            client_id=request.client_id,
            blueprint_version=None if version is None else version.id,
        )
        for request, document in zip(requests, documents, strict=True)
    ]
