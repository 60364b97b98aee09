"""The client of the Provisioning service, API v1, which knows the cloud account of each of a customer's sources."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from marshmallow import fields, validate

from adapters.http.client import BackEnd, path_segment
from adapters.http.identity_back_end import IdentityBackEnd
from adapters.http.schemas import AnswerSchema
from domain.identity import Identity

# The statuses for an unknown source and for an invalid id of a source.
_NO_SOURCE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST})


class _AwsSchema(AnswerSchema):
    account_id = fields.String(load_default=None, validate=validate.Regexp(r"([0-9]{12})?\Z"))


class _UploadInfoSchema(AnswerSchema):
    aws = fields.Nested(_AwsSchema, load_default=dict)


_UPLOAD_INFO: Final = _UploadInfoSchema()


class HttpProvisioning:
    """Implements ports.provisioning.Provisioning."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = IdentityBackEnd(back_end, "Provisioning")

    def aws_account(self, identity: Identity, source: str) -> str | None:
        """Implements `Provisioning.aws_account`."""
        try:
            path = f"/sources/{path_segment(source)}/upload_info"
        except ValueError:
            return None
        answer = self._back_end.get(identity, path)
        if answer.status in _NO_SOURCE:
            return None
        info: dict[str, Any] = self._back_end.read(_UPLOAD_INFO, answer)
        return info["aws"].get("account_id") or None
