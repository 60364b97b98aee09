"""How the stand-in can be told to misbehave: PUT /stand-in/behaviour's document and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import orjson
from marshmallow import Schema, post_load, validate
from marshmallow import fields as of
from starlette.responses import Response

HTTP_STATUS: Final = validate.Range(200, 599)
NOT_NEGATIVE: Final = validate.Range(0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in the composer's own shape."""

    status: int
    id: str
    reason: str
    details: object = None


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer of any shape, as from a proxy in between."""

    status: int
    body: bytes
    content_type: str

    def response(self) -> Response:
        """The answer."""
        return Response(self.body, self.status, media_type=self.content_type)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What differs from how the real composer behaves; as it stands, nothing does.

    `post_id` is answered in the place of a new build's own id. `raw` are answers by operation, such as `GET /openapi`.
    """

    latency: float = 0.0
    post_latency: float = 0.0
    post_error: Refusal | None = None
    post_raw: Raw | None = None
    post_drop: str | None = None
    post_id: str | None = None
    status_raw: Raw | None = None
    image_status: dict[str, Any] | None = None
    status: str | None = None
    raw: Mapping[str, Raw] = field(default_factory=dict)
    forget: bool = False
    hang: bool = False
    openapi_status: int = 200
    delete_error: Refusal | None = None
    require_token: bool = False
    token_status: int = 200
    token_expires_in: float = 900.0

    def merged(self, document: Mapping[str, Any]) -> Behaviour:
        """Give this behaviour with the keys of the document changed; a null goes back to what is usual.

        Raises marshmallow's ValidationError, which names every key that does not fit.
        """
        usual = Behaviour()
        loaded = BehaviourSchema().load(document)
        return replace(self, **{key: getattr(usual, key) if value is None else value for key, value in loaded.items()})

    def document(self) -> dict[str, Any]:
        """The behaviour as a document."""
        return {field.name: _shown(getattr(self, field.name)) for field in fields(self)}


class RefusalSchema(Schema):
    """An error in the composer's own shape."""

    status = of.Integer(load_default=400, validate=HTTP_STATUS)
    id = of.Raw(load_default="0")
    reason = of.String(load_default="refused, as the stand-in composer was told to")
    details = of.Raw(load_default=None, allow_none=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Refusal:
        """The object; an id may have been given as a number."""
        return Refusal(data["status"], str(data["id"]), data["reason"], data["details"])


class RawSchema(Schema):
    """An answer of any shape; a body that is not text is written as JSON."""

    status = of.Integer(load_default=502, validate=HTTP_STATUS)
    body = of.Raw(load_default="")
    content_type = of.String(load_default="text/html")

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Raw:
        """The object, its body in bytes."""
        body = data["body"]
        return Raw(
            data["status"],
            body.encode() if isinstance(body, str) else orjson.dumps(body),
            data["content_type"],
        )


class BehaviourSchema(Schema):
    """The document; every key may be left out, or be null."""

    latency = of.Float(allow_none=True, validate=NOT_NEGATIVE)
    post_latency = of.Float(allow_none=True, validate=NOT_NEGATIVE)
    post_error = of.Nested(RefusalSchema, allow_none=True)
    post_raw = of.Nested(RawSchema, allow_none=True)
    post_drop = of.String(allow_none=True, validate=validate.OneOf(["before", "after"]))
    post_id = of.String(allow_none=True)
    status_raw = of.Nested(RawSchema, allow_none=True)
    image_status = of.Dict(keys=of.String(), allow_none=True)
    status = of.String(allow_none=True)
    raw = of.Dict(keys=of.String(), values=of.Nested(RawSchema), allow_none=True)
    forget = of.Boolean(allow_none=True)
    hang = of.Boolean(allow_none=True)
    openapi_status = of.Integer(allow_none=True, validate=HTTP_STATUS)
    delete_error = of.Nested(RefusalSchema, allow_none=True)
    require_token = of.Boolean(allow_none=True)
    token_status = of.Integer(allow_none=True, validate=HTTP_STATUS)
    token_expires_in = of.Float(allow_none=True, validate=NOT_NEGATIVE)


def _shown(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _shown(part) for key, part in value.items()}
    if isinstance(value, Refusal | Raw):
        document = {field.name: getattr(value, field.name) for field in fields(value)}
        return {
            key: part.decode(errors="replace") if isinstance(part, bytes) else part for key, part in document.items()
        }
    return value
