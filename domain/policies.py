"""Whether a compliance policy applies to what is built (spec: back-ends, compliance)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from domain.content import Policy
from domain.distributions import Distribution, rhel_version


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """A compliance policy, and the RHEL version it is wanted for."""

    id: str
    major: int
    minor: int


class Misfit(Enum):
    """Why a policy does not apply."""

    NOT_RHEL = "not RHEL"
    UNKNOWN = "unknown policy"
    OTHER_MAJOR = "other major version"
    NO_TAILORING = "no tailoring for the minor version"


class PolicyMisfitError(Exception):
    """A policy does not apply; what that means depends on what the caller asked for. `detail` names the policy."""

    def __init__(self, misfit: Misfit, detail: str) -> None:
        super().__init__(detail)
        self.misfit = misfit
        self.detail = detail


def question(policy_id: str, distribution: Distribution | None) -> PolicyQuestion:
    """The policy for the distribution's version; None is a bootable container. Raises PolicyMisfitError."""
    version = None if distribution is None else rhel_version(distribution.canonical_name)
    if version is None:
        raise PolicyMisfitError(Misfit.NOT_RHEL, f"Compliance policy {policy_id} applies to RHEL only")
    return PolicyQuestion(policy_id, *version)


def check(asked: PolicyQuestion, policy: Policy | None, *, tailored: bool) -> None:
    """Raise PolicyMisfitError where the policy, None for an unknown one, does not apply to the version asked for."""
    if policy is None:
        raise PolicyMisfitError(Misfit.UNKNOWN, f"Compliance policy {asked.id} is not known")
    if policy.os_major_version != asked.major:
        raise PolicyMisfitError(
            Misfit.OTHER_MAJOR,
            f"Compliance policy {asked.id} is for RHEL {policy.os_major_version}, not for RHEL {asked.major}",
        )
    if not tailored:
        raise PolicyMisfitError(
            Misfit.NO_TAILORING,
            f"Compliance policy {asked.id} has no tailoring for RHEL {asked.major}.{asked.minor}",
        )
