"""Compliance over HTTP (shapes: spec 30, back-ends)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from marshmallow import fields, post_load, validate

from adapters.http.client import Answer, BackEnd, segment
from adapters.http.customers import CustomersBackEnd
from adapters.http.schemas import AnswerSchema
from domain.content import Policy
from domain.errors import NotFoundError
from domain.identity import Identity

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


_POLICY: Final = _PolicyAnswerSchema()


class HttpCompliance:
    """Fulfils ports.compliance.Compliance."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = CustomersBackEnd(back_end, "Compliance", _FORBIDDEN)

    def policy(self, identity: Identity, policy_id: str) -> Policy:
        """See the port."""
        answer = self._get(identity, policy_id, "", _unknown_policy())
        policy: Policy = self._back_end.read(_POLICY, answer)["data"]
        return policy

    def tailoring(self, identity: Identity, policy_id: str, minor: int) -> str | None:
        """See the port."""
        answer = self._get(identity, policy_id, f"/tailorings/{minor}/tailoring_file.json", _no_tailoring())
        if answer.status == HTTPStatus.NO_CONTENT or (answer.status == HTTPStatus.OK and not answer.body):
            return None
        if answer.status != HTTPStatus.OK:
            raise self._back_end.away()
        try:
            return answer.body.decode()
        except UnicodeDecodeError as error:
            raise self._back_end.away() from error

    def _get(self, identity: Identity, policy_id: str, rest: str, not_found: NotFoundError) -> Answer:
        try:
            path = f"/policies/{segment(policy_id)}{rest}"
        except ValueError:
            raise _unknown_policy() from None
        answer = self._back_end.get(identity, path)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise not_found
        return answer


def _unknown_policy() -> NotFoundError:
    return NotFoundError("Compliance knows no such policy")


def _no_tailoring() -> NotFoundError:
    return NotFoundError("Compliance has no tailoring of the policy for this minor version")
