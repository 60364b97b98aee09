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
    """The composer's `openscap` for the request's policy; None where the request names no policy.

    Raises InvalidRequestError, naming the policy, where it does not apply to the RHEL version of the image.
    """
    question, answers = context.questions.policy, context.answers
    if question is None:
        return None
    try:
        policy = check_applicability(question, answers.policy, tailored=not answers.no_tailoring)
    except PolicyNotApplicableError as error:
        raise InvalidRequestError(error.detail) from None
    written = {"profile_id": policy.ref_id, "policy_id": question.id}
    if answers.tailoring is None:
        return written
    return {**written, "json_tailoring": {"profile_id": policy.ref_id, "filepath": _FILE}}


def add_tailoring(context: BuildContext) -> Additions:
    """The policy's tailoring as a file of the image, and its directory; nothing where the policy has none."""
    tailoring = context.answers.tailoring
    if tailoring is None or context.questions.policy is None:
        return Additions()
    return Additions(directories=({"path": _FOLDER},), first_files=({"path": _FILE, "data": tailoring},))
