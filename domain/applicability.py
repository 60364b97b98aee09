"""Decides whether a compliance policy applies to the RHEL version of an image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from domain.content import Policy


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """The id of a compliance policy, and the RHEL version of the image that it is to be applied to."""

    id: str
    major: int
    minor: int


class Inapplicability(Enum):
    """Why a policy does not apply."""

    NOT_RHEL = "not RHEL"
    UNKNOWN = "unknown policy"
    OTHER_MAJOR = "other major version"
    NO_TAILORING = "no tailoring for the minor version"


class PolicyNotApplicableError(Exception):
    """A policy does not apply.

    Use cases turn it into an error for the caller; which one depends on the operation. `detail` names the policy.
    """

    def __init__(self, reason: Inapplicability, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def create_question(policy_id: str, version: tuple[int, int] | None) -> PolicyQuestion:
    """Create the question whether a policy applies to a RHEL version (major, minor).

    Raises PolicyNotApplicableError if `version` is None: the image is not of a RHEL with such a version.
    """
    if version is None:
        raise PolicyNotApplicableError(Inapplicability.NOT_RHEL, f"Compliance policy {policy_id} applies to RHEL only")
    return PolicyQuestion(policy_id, *version)


def check_applicability(question: PolicyQuestion, policy: Policy | None, *, tailored: bool) -> Policy:
    """Return the policy if it applies to the version in the question.

    `policy` is None if compliance does not know it. `tailored` says whether it has a tailoring for the minor
    version.

    Raises PolicyNotApplicableError if the policy is unknown, is for another major version, or is not tailored.
    """
    if policy is None:
        raise PolicyNotApplicableError(Inapplicability.UNKNOWN, f"Compliance policy {question.id} is not known")
    if policy.os_major_version != question.major:
        raise PolicyNotApplicableError(
            Inapplicability.OTHER_MAJOR,
            f"Compliance policy {question.id} is for RHEL {policy.os_major_version}, not for RHEL {question.major}",
        )
    if not tailored:
        raise PolicyNotApplicableError(
            Inapplicability.NO_TAILORING,
            f"Compliance policy {question.id} has no tailoring for RHEL {question.major}.{question.minor}",
        )
    return policy
