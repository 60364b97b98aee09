"""The behaviour of the stand-in composer, and the document that sets it (PUT /stand-in/behaviour)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from marshmallow import Schema, post_load, validate
from marshmallow import fields as of

from adapters.embedded.stand_in.behaviour import HTTP_STATUS, NOT_NEGATIVE, RawAnswer, RawAnswerSchema, merge_changes


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in the composer's format."""

    status: int
    id: str
    reason: str
    details: object = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The differences between the stand-in and the real composer; none by default.

    `post_id` replaces the id of a new build in the answer. `raw` are answers by operation, such as `GET /openapi`. With
    `hang`, calls are not answered; with `hang_methods`, only those with one of these HTTP methods.
    """

    latency: float = 0.0
    post_latency: float = 0.0
    depsolve_latency: float = 0.0
    depsolve_hang: bool = False
    post_error: Refusal | None = None
    post_raw: RawAnswer | None = None
    post_drop: str | None = None
    post_id: str | None = None
    status_raw: RawAnswer | None = None
    image_status: dict[str, Any] | None = None
    status: str | None = None
    raw: Mapping[str, RawAnswer] = field(default_factory=dict)
    forget: bool = False
    hang: bool = False
    hang_methods: Sequence[str] = ()
    openapi_status: int = 200
    delete_error: Refusal | None = None
    delete_drop: str | None = None
    delete_latency: float = 0.0
    require_token: bool = False
    token_status: int = 200
    token_expires_in: float = 900.0

    def is_hanging(self, method: str) -> bool:
        """Whether calls with this HTTP method are not answered."""
        return self.hang or method in self.hang_methods

    def merged(self, document: Mapping[str, Any]) -> Behaviour:
        """Return this behaviour with the keys of the document changed; a null resets a key.

        Raises marshmallow's ValidationError, which names all invalid keys.
        """
        return merge_changes(self, Behaviour(), BehaviourSchema().load(document))

    def document(self) -> dict[str, Any]:
        """The behaviour as a document."""
        return asdict(self)


class RefusalSchema(Schema):
    """An error in the composer's format."""

    status = of.Integer(load_default=400, validate=HTTP_STATUS)
    id = of.Raw(load_default="0")
    reason = of.String(load_default="refused, as the stand-in composer was told to")
    details = of.Raw(load_default=None, allow_none=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Refusal:
        """Create the object; the id may be a number in the document."""
        return Refusal(data["status"], str(data["id"]), data["reason"], data["details"])


class BehaviourSchema(Schema):
    """The document; each key may be absent or null."""

    latency = of.Float(allow_none=True, validate=NOT_NEGATIVE)
    post_latency = of.Float(allow_none=True, validate=NOT_NEGATIVE)
    depsolve_latency = of.Float(allow_none=True, validate=NOT_NEGATIVE)
    depsolve_hang = of.Boolean(allow_none=True)
    post_error = of.Nested(RefusalSchema, allow_none=True)
    post_raw = of.Nested(RawAnswerSchema, allow_none=True)
    post_drop = of.String(allow_none=True, validate=validate.OneOf(["before", "after"]))
    post_id = of.String(allow_none=True)
    status_raw = of.Nested(RawAnswerSchema, allow_none=True)
    image_status = of.Dict(keys=of.String(), allow_none=True)
    status = of.String(allow_none=True)
    raw = of.Dict(keys=of.String(), values=of.Nested(RawAnswerSchema), allow_none=True)
    forget = of.Boolean(allow_none=True)
    hang = of.Boolean(allow_none=True)
    hang_methods = of.List(of.String(), allow_none=True)
    openapi_status = of.Integer(allow_none=True, validate=HTTP_STATUS)
    delete_error = of.Nested(RefusalSchema, allow_none=True)
    delete_drop = of.String(allow_none=True, validate=validate.OneOf(["before", "after"]))
    delete_latency = of.Float(allow_none=True, validate=NOT_NEGATIVE)
    require_token = of.Boolean(allow_none=True)
    token_status = of.Integer(allow_none=True, validate=HTTP_STATUS)
    token_expires_in = of.Float(allow_none=True, validate=NOT_NEGATIVE)
