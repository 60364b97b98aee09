"""Start a build: within the quota, and never lost once the composer has accepted it (spec: Composes)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import structlog

from domain.compose import build as building
from domain.compose import passwords
from domain.compose.request import ComposeRequest, read
from domain.compose.snapshots import ContentSettings
from domain.compose.targets import UploadSettings
from domain.composes import NewCompose
from domain.distributions import BootcImage, Catalogue, Distribution
from domain.errors import UnavailableError
from domain.identity import Identity
from domain.quota import Quota
from domain.submission import Accepted, Refused, Submission
from image_builder.usecases.gather import Gather
from ports.composer import Composer
from ports.deadline import until
from ports.store import Starts
from ports.world import PasswordHasher, Quotas

log = structlog.get_logger()

# How often a compose that cannot be recorded is tried to be cancelled, and the seconds between.
_CANCEL_ATTEMPTS: Final = 3
_CANCEL_PAUSE: Final = 0.2


@dataclass(frozen=True, slots=True)
class StartCompose:
    """The way of a compose request to the composer and into the history."""

    catalogue: Catalogue
    gather: Gather
    upload: UploadSettings
    content: ContentSettings
    deadline: float
    quotas: Quotas
    hasher: PasswordHasher
    starts: Starts
    composer: Composer

    def __call__(self, identity: Identity, document: Mapping[str, Any]) -> UUID:
        """The id of the build that was started for a document that fits the contract's ComposeRequest.

        Raises InvalidRequestError, ForbiddenError, QuotaExceededError, BuildRefusedError, ConfigurationError where
        the tenant has no quota, and UnavailableError when the composer or the database is away. After any of these
        the caller has no build, unless the composer started it and could not say so: then it stays counted.
        """
        request = read(document)
        with until(self.deadline):
            composer_request = self._build(identity, request)
            start = self._reserve(identity.tenant, self.quotas.of(identity.tenant))
            compose_id = self._submit(start, composer_request)
        compose = NewCompose(
            tenant=identity.tenant,
            account_number=identity.account_number,
            email=identity.email,
            request=passwords.without_passwords(document),
            image_name=request.image_name,
            client_id=request.client_id,
        )
        self._record(start, compose_id, compose)
        return compose_id

    def _build(self, identity: Identity, request: ComposeRequest) -> dict[str, Any]:
        distribution: Distribution | None = None
        bootc: tuple[BootcImage, ...] = ()
        if request.distribution is not None:
            distribution = self.catalogue.get_for(
                request.distribution, org_id=identity.tenant, entitled=identity.entitled
            )
            distribution.architecture(request.image.architecture)
        elif request.bootc is not None:
            bootc = self.catalogue.bootc_image(request.bootc.reference, entitled=identity.entitled)
        draft = building.begin(request, distribution, bootc)
        plain = passwords.to_hash((request.customizations or {}).get("users", ()))
        findings = building.Findings(
            upload=self.upload,
            # Going through all distributions costs as much as the rest of the mapping: only snapshots ask for it.
            entitled=self.catalogue.entitled_to(entitled=identity.entitled) if request.image.has_snapshots else (),
            answers=self.gather(identity, request, distribution),
            content=self.content,
        )
        composer_request = building.build(draft, findings)
        return passwords.with_hashes(composer_request, {user: self.hasher(text) for user, text in plain.items()})

    def _reserve(self, tenant: str, quota: Quota | None) -> UUID:
        start = uuid4()
        try:
            reserved = self.starts.reserve(start, tenant, quota)
        except UnavailableError:
            self._release(start)  # it may have been recorded all the same
            raise
        if not reserved:
            assert quota is not None  # noqa: S101 - for the type checker: only a quota refuses
            raise quota.exceeded()
        return start

    def _submit(self, start: UUID, composer_request: dict[str, Any]) -> UUID:
        """The composer's id. What is known not to have started gives its reservation back."""
        outcome: Submission = self.composer.submit(composer_request)
        if isinstance(outcome, Accepted):
            return outcome.id
        if isinstance(outcome, Refused):
            log.warning("the composer refused a build", status=outcome.status, error_id=outcome.error_id)
        if outcome.may_have_started:
            log.warning("nobody knows whether the composer started this build", start=str(start))
        else:
            self._release(start)
        raise outcome.error()

    def _record(self, start: UUID, compose_id: UUID, compose: NewCompose) -> None:
        try:
            self.starts.record(start, compose_id, compose)
        except Exception as error:
            # Nobody would ever see this build, so nobody shall pay for it either.
            if self._cancelled(compose_id):
                self._release(start)
            raise UnavailableError("The build could not be recorded") from error

    def _cancelled(self, compose_id: UUID) -> bool:
        for attempt in range(1, _CANCEL_ATTEMPTS + 1):
            try:
                self.composer.cancel(compose_id)
            except UnavailableError:
                log.warning("cannot cancel a build that could not be recorded", compose=str(compose_id))
                time.sleep(_CANCEL_PAUSE * attempt)
            else:
                log.warning("cancelled a build that could not be recorded", compose=str(compose_id))
                return True
        log.error("a build runs that nobody knows of", compose=str(compose_id))
        return False

    def _release(self, start: UUID) -> None:
        try:
            self.starts.release(start)
        except UnavailableError:
            log.warning("a start that came to nothing stays counted", start=str(start))
