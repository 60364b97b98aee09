"""Building by a compliance policy (contract: OpenSCAPCompliance)."""

from __future__ import annotations

from typing import Any, Final

from domain import policies
from domain.compose.lookups import Answers
from domain.errors import InvalidRequestError
from domain.policies import PolicyMisfitError, PolicyQuestion

_FOLDER: Final = "/etc/osbuild"
_FILE: Final = f"{_FOLDER}/openscap-tailoring.json"


def check(question: PolicyQuestion, answers: Answers) -> None:
    """Raise InvalidRequestError, naming the policy, where it does not apply to this version."""
    try:
        policies.check(question, answers.policy, tailored=not answers.no_tailoring)
    except PolicyMisfitError as misfit:
        raise InvalidRequestError(misfit.detail) from None


def openscap(question: PolicyQuestion, answers: Answers) -> dict[str, Any]:
    """The composer's `openscap` for a policy that was checked."""
    assert answers.policy is not None  # noqa: S101 - for the type checker
    profile = answers.policy.ref_id
    tailored = {"json_tailoring": {"profile_id": profile, "filepath": _FILE}} if answers.tailoring is not None else {}
    return {"profile_id": profile, "policy_id": question.id, **tailored}


def directories(answers: Answers) -> list[dict[str, Any]]:
    """The directory that a tailoring needs."""
    return [] if answers.tailoring is None else [{"path": _FOLDER}]


def files(answers: Answers) -> list[dict[str, Any]]:
    """The tailoring as a file of the image, as compliance gave it."""
    return [] if answers.tailoring is None else [{"path": _FILE, "data": answers.tailoring}]
