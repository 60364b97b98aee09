"""What a compliance policy asks of an image, as customizations (spec: back-ends, compliance)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from domain.distributions import Catalogue, Distribution
from domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from domain.identity import Identity
from domain.osbuild.blueprint import Blueprint, policy_customizations, read
from domain.policies import Misfit, PolicyMisfitError, PolicyQuestion, check, question
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import Call, run_concurrently, set_up
from ports.compliance import Compliance
from ports.deadline import until

T = TypeVar("T")

# Seconds.
_WITHIN: Final = 30.0
# As TOML has to write it.
_NUL: Final = re.compile(r"\\u0000|\\U00000000")


@dataclass(frozen=True, slots=True)
class PolicyRequirements:
    """Asks compliance, which is None where operators did not set it up."""

    compliance: Compliance | None
    threads: FairThreads

    def __call__(
        self, identity: Identity, policy_id: str, distribution: Distribution | None, *, create: bool
    ) -> dict[str, Any]:
        """The packages, file systems, services, kernel and FIPS that the policy wants (contract: Customizations).

        A tailoring for the distribution's minor version is made where there is none and `create` says so.

        Raises PolicyMisfitError where the policy does not apply, ForbiddenError where compliance refuses the caller,
        InvalidRequestError where the caller cannot be named there, and UnavailableError.
        """
        asked = question(policy_id, distribution)
        compliance = set_up(self.compliance, "compliance")
        text = (self._ensured if create else self._present)(compliance, identity, asked)
        try:
            return policy_customizations(_read(text))
        except InvalidRequestError as error:
            raise UnavailableError("Compliance gives no usable answer") from error

    def _present(self, compliance: Compliance, identity: Identity, asked: PolicyQuestion) -> str:
        calls: list[Call] = [
            _known(partial(compliance.policy, identity, asked.id)),
            _known(partial(compliance.blueprint, identity, asked.id, asked.minor)),
        ]
        policy, text = run_concurrently(self.threads, identity.tenant, calls)
        check(asked, policy, tailored=text is not None)
        return text or ""

    def _ensured(self, compliance: Compliance, identity: Identity, asked: PolicyQuestion) -> str:
        calls: list[Call] = [
            _known(partial(compliance.policy, identity, asked.id)),
            _known(partial(compliance.has_tailoring, identity, asked.id, asked.minor)),
        ]
        policy, tailored = run_concurrently(self.threads, identity.tenant, calls)
        check(asked, policy, tailored=True)
        if not tailored:
            compliance.create_tailoring(identity, asked.id, asked.minor)
        text = _known(partial(compliance.blueprint, identity, asked.id, asked.minor))()
        check(asked, policy, tailored=text is not None)
        return text or ""


@dataclass(frozen=True, slots=True)
class ShowPolicy:
    """What a caller's compliance policy asks of images of a distribution."""

    catalogue: Catalogue
    requirements: PolicyRequirements

    def __call__(self, identity: Identity, policy_id: str, distribution: str) -> dict[str, Any]:
        """As `PolicyRequirements`, without `openscap`; a tailoring is made where there is none.

        Raises InvalidRequestError and ForbiddenError as `Catalogue.get_for` does, InvalidRequestError where the
        distribution is no RHEL, NotFoundError where there is no such policy or it does not apply, ForbiddenError where
        compliance refuses the caller, and UnavailableError.
        """
        found = self.catalogue.get_for(distribution, org_id=identity.tenant, entitled=identity.entitled)
        try:
            with until(_WITHIN):
                required = self.requirements(identity, policy_id, found, create=True)
        except PolicyMisfitError as misfit:
            kind = InvalidRequestError if misfit.misfit is Misfit.NOT_RHEL else NotFoundError
            raise kind(misfit.detail) from None
        return {key: value for key, value in required.items() if key != "openscap"}


def _read(text: str) -> Blueprint:
    """The policy's blueprint. Raises InvalidRequestError for one that is none, or that no JSON column can hold."""
    if _NUL.search(text):
        raise InvalidRequestError("the policy's blueprint holds a NUL character")
    return read(text)


def _known(call: Callable[[], T]) -> Callable[[], T | None]:
    """The call, with None for what is not found."""

    def known() -> T | None:
        try:
            return call()
        except NotFoundError:
            return None

    return known
