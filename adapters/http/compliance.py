"""The client of the Compliance service, API v2.

It stores customers' security policies. A policy has a tailoring, which adapts an OpenSCAP profile, for each minor
version of RHEL.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from marshmallow import fields, post_load, validate

from adapters.http.client import Answer, BackEnd, path_segment
from adapters.http.identity_back_end import IdentityBackEnd
from adapters.http.schemas import AnswerSchema, BoundedList
from domain.content import Policy
from domain.errors import NotFoundError
from domain.identity import Identity

# Bytes of a tailoring file by format. JSON files are copied into images. TOML files are parsed by this service; real
# ones have 20 kB.
_MAX_FILE_BYTES: Final = {"json": 4 * 1024 * 1024, "toml": 512 * 1024}
# Tailorings of a policy: many times more than there are minor versions.
_MAX_TAILORINGS: Final = 1000

_FORBIDDEN: Final = "user is not authorized - please check your permissions on compliance policies"


class _PolicySchema(AnswerSchema):
    id = fields.String(required=True, validate=validate.Length(min=1))
    ref_id = fields.String(required=True, validate=validate.Length(min=1))
    os_major_version = fields.Integer(required=True, strict=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Policy:
        return Policy(**data)


class _PolicyAnswerSchema(AnswerSchema):
    data = fields.Nested(_PolicySchema, required=True)


class _TailoringsSchema(AnswerSchema):
    data = BoundedList(fields.Dict(), max_entries=_MAX_TAILORINGS, required=True)


_POLICY: Final = _PolicyAnswerSchema()
_TAILORINGS: Final = _TailoringsSchema()
# The Accept header by format. Compliance has served TOML under several media types; the path selects the format.
_ACCEPT: Final = {"json": "application/json", "toml": "*/*"}
# The statuses after which the tailoring exists: Compliance answers 406 if the minor version has one already.
_TAILORING_EXISTS: Final = frozenset({HTTPStatus.CREATED, HTTPStatus.NOT_ACCEPTABLE})


class HttpCompliance:
    """Implements ports.compliance.Compliance."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = IdentityBackEnd(back_end, "Compliance", _FORBIDDEN)

    def policy(self, identity: Identity, policy_id: str) -> Policy:
        """Implements `Compliance.policy`."""
        answer = self._check_found(self._back_end.get(identity, _path(policy_id)), _unknown_policy_error())
        policy: Policy = self._back_end.read(_POLICY, answer)["data"]
        return policy

    def tailoring(self, identity: Identity, policy_id: str, minor: int) -> str | None:
        """Implements `Compliance.tailoring`."""
        return self._tailoring_file(identity, policy_id, minor, "json") or None

    def has_tailoring(self, identity: Identity, policy_id: str, minor: int) -> bool:
        """Implements `Compliance.has_tailoring`."""
        path = _path(policy_id, "/tailorings")
        answer = self._check_found(
            self._back_end.get(identity, path, (("filter", f"os_minor_version={minor}"),)), _unknown_policy_error()
        )
        return bool(self._back_end.read(_TAILORINGS, answer)["data"])

    def create_tailoring(self, identity: Identity, policy_id: str, minor: int) -> None:
        """Implements `Compliance.create_tailoring`."""
        # A repeated request does no harm: Compliance refuses a second tailoring for a minor version.
        answer = self._back_end.post_idempotent(identity, _path(policy_id, "/tailorings"), {"os_minor_version": minor})
        if self._check_found(answer, _unknown_policy_error()).status not in _TAILORING_EXISTS:
            raise self._back_end.unusable_answer_error()

    def blueprint(self, identity: Identity, policy_id: str, minor: int) -> str:
        """Implements `Compliance.blueprint`."""
        return self._tailoring_file(identity, policy_id, minor, "toml")

    def _tailoring_file(self, identity: Identity, policy_id: str, minor: int, file_format: str) -> str:
        """Return the text of the tailoring's file in `file_format` (json or toml), empty if it has none."""
        path = _path(policy_id, f"/tailorings/{minor}/tailoring_file.{file_format}")
        answer = self._check_found(
            self._back_end.get(identity, path, accept=_ACCEPT[file_format], max_bytes=_MAX_FILE_BYTES[file_format]),
            _missing_tailoring_error(),
        )
        if answer.status == HTTPStatus.NO_CONTENT:
            return ""
        if answer.status != HTTPStatus.OK:
            raise self._back_end.unusable_answer_error()
        try:
            return answer.body.decode()
        except UnicodeDecodeError as error:
            raise self._back_end.unusable_answer_error() from error

    @staticmethod
    def _check_found(answer: Answer, not_found: NotFoundError) -> Answer:
        if answer.status == HTTPStatus.NOT_FOUND:
            raise not_found
        return answer


def _path(policy_id: str, rest: str = "") -> str:
    try:
        return f"/policies/{path_segment(policy_id)}{rest}"
    except ValueError:
        raise _unknown_policy_error() from None


def _unknown_policy_error() -> NotFoundError:
    return NotFoundError("Compliance knows no such policy")


def _missing_tailoring_error() -> NotFoundError:
    return NotFoundError("Compliance has no tailoring of the policy for this minor version")
