"""Hardening by a compliance policy and its tailoring (openapi.yaml, schema OpenSCAPCompliance)."""

from __future__ import annotations

from typing import Any, Final

from domain.applicability import PolicyNotApplicableError, check_applicability
from domain.compose.additions import Additions
from domain.compose.context import BuildContext
from domain.errors import InvalidRequestError

_FOLDER: Final = "/etc/osbuild"
_FILE: Final = f"{_FOLDER}/openscap-tailoring.json"


def write_policy(context: BuildContext) -> dict[str, Any] | None:
    """Return the composer's `openscap` for the request's policy; None if the request names no policy.

    Raises InvalidRequestError, which names the policy, if it does not apply to the RHEL version of the image.
    """
    question, answers = context.questions.policy, context.answers
    if question is None:
        return None
    try:
        policy = check_applicability(question, answers.policy, tailored=not answers.tailoring_missing)
    except PolicyNotApplicableError as error:
        raise InvalidRequestError(error.detail) from None
    openscap = {"profile_id": policy.ref_id, "policy_id": question.id}
    if answers.tailoring is None:
        return openscap
    return {**openscap, "json_tailoring": {"profile_id": policy.ref_id, "filepath": _FILE}}


def get_tailoring_additions(context: BuildContext) -> Additions:
    """Return the policy's tailoring as a file of the image, and its directory; nothing if the tailoring is empty."""
    tailoring = context.answers.tailoring
    if tailoring is None or context.questions.policy is None:
        return Additions()
    return Additions(directories=({"path": _FOLDER},), first_files=({"path": _FILE, "data": tailoring},))
