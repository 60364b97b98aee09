"""Start builds: reserve the quota, submit to the composer, record (docs/architecture.md, Starting a build)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from domain.blueprints.blueprint import BlueprintVersion
from domain.compose import passwords
from domain.compose.passwords import SaltedPassword
from domain.compose.request import ComposeRequest, parse_compose_request
from domain.composer_errors import Fault
from domain.composes import NewCompose
from domain.errors import ImageBuilderError, ReservationUnknownError
from domain.identity import Identity
from domain.quota import Allowance, Quota
from domain.sharing import cache_by_identity
from domain.starts import NewStart, NormalizePart, normalize_part, normalize_request
from domain.submission import Accepted, Refused, Submission, name_started_builds
from domain.uuids import create_uuid
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import run_concurrently
from image_builder.usecases.footprint import max_submitted_at_once
from image_builder.usecases.passwords import HashPasswords
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.record import RecordBuilds
from ports.composer import Composer
from ports.deadline import remaining_seconds, until
from ports.fingerprints import Fingerprints
from ports.meter import NULL_METER, Meter
from ports.quotas import Quotas
from ports.store import Starts

log = structlog.get_logger()

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Start:
    """A start with its composer request.

    `plain_passwords` are the passwords whose hashes will replace those of the composer request, by the index of the
    user. `key_id` is the id of the claimed Idempotency-Key with which the build's id is stored, None without a key.
    """

    new: NewStart
    composer_request: Mapping[str, Any]
    plain_passwords: Mapping[int, SaltedPassword]
    key_id: UUID | None

    @property
    def id(self) -> UUID:
        """The id of the start, which identifies it until the composer assigns an id to the build."""
        return self.new.id


@dataclass(frozen=True, slots=True)
class Started:
    """The ids of started builds, and the state of the quota afterwards; None for an unlimited tenant."""

    ids: tuple[UUID, ...]
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class StartComposes:
    """Starts the builds of compose requests.

    `deadline` is the time in seconds within which the composer must have answered. `threads` run the calls for several
    images of one request in parallel.
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
    meter: Meter = NULL_METER

    def one(self, identity: Identity, document: Json, key_id: UUID | None = None) -> Started:
        """Start one build, for a document that is valid by the schema ComposeRequest of openapi.yaml.

        Raises InvalidRequestError, ForbiddenError, QuotaExceededError, BuildRefusedError, ConfigurationError if no
        quota applies to the tenant, and UnavailableError if the composer or the database is unavailable. After an
        error there is no build, unless the composer started it but did not answer: then the reservation keeps counting.
        """
        return self(identity, (document,), key_id=key_id)

    def __call__(
        self,
        identity: Identity,
        documents: Sequence[Json],
        version: BlueprintVersion | None = None,
        key_id: UUID | None = None,
        rerun_of: UUID | None = None,
    ) -> Started:
        """Start the builds of these documents; return their ids in the same order.

        `version` is the version of the blueprint that the documents come from, None for no blueprint. `key_id` is the
        id of a claimed Idempotency-Key, with which the ids of the builds are stored. `rerun_of` is the build that the
        new builds repeat, None for new requests. The caller must have reserved memory (`footprint.memory_of`).

        No build is started unless all documents are valid and the quota suffices for all of them. Raises the errors of
        `one`; if the composer fails only some of the builds, the text of the error lists the started ones.
        """
        requests = [parse_compose_request(document) for document in documents]
        if not requests:
            return Started(())
        with until(self.deadline):
            blueprint_id = None if version is None else version.blueprint_id
            contexts = self.prepare.check(identity, requests, blueprint_id)
            finish = [partial(self.prepare.finish, identity, context) for context in contexts]
            prepared = run_concurrently(self.threads, identity.tenant, finish)
            quota = self.quotas.get(identity.tenant)
            composes = _create_composes(identity, requests, documents, version, rerun_of)
            normalize = normalize_part if len(documents) == 1 else cache_by_identity(normalize_part)
            starts = [
                self._create_start(composer_request, context.plain_passwords, compose, key_id, normalize)
                for composer_request, context, compose in zip(prepared, contexts, composes, strict=True)
            ]
            allowance = self._reserve(identity.tenant, [start.new for start in starts], quota, key_id)
            hashes = self._compute_hashes(identity.tenant, starts)
            remaining = remaining_seconds()
        at_once = max_submitted_at_once(documents)
        return Started(self._submit_all(identity.tenant, starts, hashes, at_once=at_once, within=remaining), allowance)

    def _submit_all(
        self, tenant: str, starts: Sequence[_Start], hashes: Sequence[Mapping[int, str]], *, at_once: int, within: float
    ) -> tuple[UUID, ...]:
        # All builds share one deadline, so that waiting for a thread does not extend it.
        ends = time.monotonic() + within
        calls = [partial(self._submit_and_record, *each, ends) for each in zip(starts, hashes, strict=True)]
        results = run_concurrently(self.threads, tenant, calls, at_once=at_once)
        started = tuple(result for result in results if isinstance(result, UUID))
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise name_started_builds(failures[0], started)
        return started

    def _submit_and_record(self, start: _Start, hashes: Mapping[int, str], ends: float) -> UUID | Exception:
        try:
            with until(ends - time.monotonic()):
                compose_id = self._submit(start, hashes)
            # Outside the deadline: a build that the composer has started must be recorded, even if it is late.
            self.record(start.new, compose_id, start.key_id)
        except ImageBuilderError as error:
            return error
        except Exception as error:
            log.error("unexpected error in the start of a build", exc_info=error)
            return error
        return compose_id

    def _create_start(
        self,
        composer_request: Json,
        plain_passwords: Mapping[int, SaltedPassword],
        compose: NewCompose,
        key_id: UUID | None,
        normalize: NormalizePart,
    ) -> _Start:
        fingerprint = self.fingerprints.compute(normalize_request(composer_request, normalize))
        return _Start(NewStart(create_uuid(), compose, fingerprint), composer_request, plain_passwords, key_id)

    def _compute_hashes(self, tenant: str, starts: Sequence[_Start]) -> list[Mapping[int, str]]:
        """Return the hashes of each start's plain passwords. Releases all reservations on an error."""
        hash_all = cache_by_identity(partial(self.hash_passwords, tenant))
        try:
            return [hash_all(start.plain_passwords) for start in starts]
        except Exception:
            self.record.release([start.id for start in starts])
            raise

    def _reserve(
        self, tenant: str, starts: Sequence[NewStart], quota: Quota | None, key_id: UUID | None
    ) -> Allowance | None:
        try:
            reservation = self.starts.reserve(starts, tenant, quota, key_id)
        except ReservationUnknownError:
            self.record.release([start.id for start in starts], recorded=False)
            raise
        if quota is None or reservation.usage is None:
            return None
        if not reservation.granted:
            self.meter.quota_refused()
            raise quota.exceeded_error(reservation.usage)
        return quota.allowance(reservation.usage)

    def _submit(self, start: _Start, hashes: Mapping[int, str]) -> UUID:
        """Submit a build and return its id at the composer.

        Releases the reservation of a build that is known not to have started.
        """
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
            "composer refused a build", status=refused.status, error_id=refused.error_id, fault=fault.value
        )


def _create_composes(
    identity: Identity,
    requests: Sequence[ComposeRequest],
    documents: Sequence[Json],
    version: BlueprintVersion | None,
    rerun_of: UUID | None,
) -> list[NewCompose]:
    """Return the composes to be stored.

    Documents that share customizations also share the stored form of the customizations.
    """
    without_passwords = cache_by_identity(passwords.redact_customizations)
    # Labels can be changed later: they are stored beside the request, which is what the build was started from.
    return [
        NewCompose(
            tenant=identity.tenant,
            account_number=identity.account_number,
            email=identity.email,
            request={
                name: without_passwords(value) if name == "customizations" else value
                for name, value in document.items()
                if name != "labels"
            },
            image_name=request.image_name,
            client_id=request.client_id,
            blueprint_version=None if version is None else version.id,
            rerun_of=rerun_of,
            created_by=identity.username,
            labels=request.labels,
        )
        for request, document in zip(requests, documents, strict=True)
    ]
