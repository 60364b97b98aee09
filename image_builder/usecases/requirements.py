"""Find the customizations that a compliance policy requires of an image."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from domain.applicability import (
    Inapplicability,
    PolicyNotApplicableError,
    PolicyQuestion,
    check_applicability,
    create_question,
)
from domain.distributions import Catalogue, Distribution, rhel_version
from domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from domain.identity import Identity
from domain.osbuild.blueprint import Blueprint, parse_blueprint, policy_customizations
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import Call, require_configured, run_concurrently
from ports.compliance import Compliance
from ports.deadline import until

T = TypeVar("T")

# Seconds for all calls of compliance.
_TIMEOUT: Final = 30.0
# The spellings of NUL in TOML.
_NUL: Final = re.compile(r"\\u0000|\\U00000000")


@dataclass(frozen=True, slots=True)
class PolicyRequirements:
    """Looks up the requirements of policies. `compliance` is None if operators did not configure it."""

    compliance: Compliance | None
    threads: FairThreads

    def __call__(
        self, identity: Identity, policy_id: str, distribution: Distribution, *, create: bool
    ) -> dict[str, Any]:
        """Return the packages, file systems, services, kernel and FIPS that the policy requires, and its profile.

        They have the form of openapi.yaml, schema Customizations. With `create`, a tailoring for the distribution's
        minor version is created if the policy has none.

        Raises PolicyNotApplicableError if the policy does not apply, ForbiddenError if compliance refuses the
        caller, InvalidRequestError if compliance does not accept the caller's identity, and UnavailableError.
        """
        question = create_question(policy_id, rhel_version(distribution.canonical_name))
        compliance = require_configured(self.compliance, "compliance")
        find_blueprint = self._ensure_blueprint if create else self._find_blueprint
        text = find_blueprint(compliance, identity, question)
        try:
            return policy_customizations(_read_blueprint(text))
        except InvalidRequestError as error:
            raise UnavailableError("Compliance gives no usable answer") from error

    def _find_blueprint(self, compliance: Compliance, identity: Identity, question: PolicyQuestion) -> str:
        """Return the blueprint of the policy's tailoring for the minor version, in TOML."""
        calls: list[Call] = [
            _return_none_if_missing(partial(compliance.policy, identity, question.id)),
            _return_none_if_missing(partial(compliance.blueprint, identity, question.id, question.minor)),
        ]
        policy, text = run_concurrently(self.threads, identity.tenant, calls)
        check_applicability(question, policy, tailored=text is not None)
        return text or ""

    def _ensure_blueprint(self, compliance: Compliance, identity: Identity, question: PolicyQuestion) -> str:
        """Return the same blueprint; create the tailoring if the policy has none."""
        calls: list[Call] = [
            _return_none_if_missing(partial(compliance.policy, identity, question.id)),
            _return_none_if_missing(partial(compliance.has_tailoring, identity, question.id, question.minor)),
        ]
        policy, tailored = run_concurrently(self.threads, identity.tenant, calls)
        check_applicability(question, policy, tailored=True)
        if not tailored:
            compliance.create_tailoring(identity, question.id, question.minor)
        text = _return_none_if_missing(partial(compliance.blueprint, identity, question.id, question.minor))()
        check_applicability(question, policy, tailored=text is not None)
        return text or ""


@dataclass(frozen=True, slots=True)
class ShowPolicy:
    """Shows what a compliance policy requires of images of a distribution."""

    catalogue: Catalogue
    requirements: PolicyRequirements

    def __call__(self, identity: Identity, policy_id: str, distribution: str) -> dict[str, Any]:
        """Return the policy's requirements without `openscap`.

        Source: openapi.yaml, operation getOscapCustomizationsForPolicy.

        A tailoring for the distribution's minor version is created if the policy has none.

        Raises InvalidRequestError if the distribution is not available or is not a RHEL release, ForbiddenError if the
        allow list excludes the caller's organization or compliance refuses the caller, NotFoundError if the policy is
        unknown or does not apply, and UnavailableError.
        """
        entry = self.catalogue.get_for(distribution, org_id=identity.tenant, entitled=identity.entitled)
        try:
            with until(_TIMEOUT):
                required = self.requirements(identity, policy_id, entry, create=True)
        except PolicyNotApplicableError as error:
            kind = InvalidRequestError if error.reason is Inapplicability.NOT_RHEL else NotFoundError
            raise kind(error.detail) from None
        return {key: value for key, value in required.items() if key != "openscap"}


def _read_blueprint(text: str) -> Blueprint:
    """Parse a policy's blueprint. Raises InvalidRequestError if the text is not a blueprint or contains NUL."""
    if _NUL.search(text):  # PostgreSQL cannot store it in JSON
        raise InvalidRequestError("the policy's blueprint holds a NUL character")
    return parse_blueprint(text)


def _return_none_if_missing(call: Callable[[], T]) -> Callable[[], T | None]:
    """Return a function that does the same as `call` but returns None instead of raising NotFoundError."""

    def find() -> T | None:
        try:
            return call()
        except NotFoundError:
            return None

    return find
