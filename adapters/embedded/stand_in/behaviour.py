"""Common parts of the documents that set the behaviour of stand-ins (PUT /stand-in/behaviour)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from marshmallow import Schema, post_load, validate
from marshmallow import fields as of
from starlette.responses import Response

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    D = TypeVar("D", bound=DataclassInstance)

HTTP_STATUS: Final = validate.Range(200, 599)
NOT_NEGATIVE: Final = validate.Range(0)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer of any form, such as a proxy would send."""

    status: int
    body: str
    content_type: str
    headers: Mapping[str, str]

    def response(self) -> Response:
        """The answer, ready to be sent."""
        # Not Starlette's `media_type`, which would add a charset.
        return Response(self.body, self.status, {**self.headers, "content-type": self.content_type})


class RawAnswerSchema(Schema):
    """An answer of any form; a body that is not text is written as JSON."""

    status = of.Integer(load_default=502, validate=HTTP_STATUS)
    body = of.Raw(load_default="")
    content_type = of.String(load_default="text/html")
    headers = of.Dict(keys=of.String(), values=of.String(), load_default=dict)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> RawAnswer:
        """Create the object, with its body as text."""
        body = data["body"] if isinstance(data["body"], str) else orjson.dumps(data["body"]).decode()
        return RawAnswer(data["status"], body, data["content_type"], data["headers"])


def merge_changes(current: D, usual: D, changes: Mapping[str, Any]) -> D:
    """A copy of `current` with these changes; a change to None resets a field to its value in `usual`."""
    return replace(current, **{key: getattr(usual, key) if value is None else value for key, value in changes.items()})
