"""The composer's logs and bills of materials (contract: composer v2, ComposeLogs and ComposeSBOMs)."""

from __future__ import annotations

from typing import Any, Final

import orjson
from marshmallow import ValidationError, fields, post_load, validate

from adapters.http.schemas import AnswerSchema, ShortList
from domain.documents import is_within
from domain.sboms import Sbom

# Bytes of an answer with logs, and with all bills of materials of a build.
LARGEST_LOGS: Final = 32 * 1024 * 1024
LARGEST_SBOMS: Final = 32 * 1024 * 1024
# A build has as many as it has images, and each image some pipelines.
_MOST_IMAGES: Final = 1000
_MOST_PIPELINES: Final = 1000
_MEDIA_TYPES: Final = {"spdx": "application/spdx+json"}


def _is_bounded(value: Any) -> None:
    if not is_within(value, 4 * LARGEST_LOGS):
        raise ValidationError("too large or too deep")


class _LogsSchema(AnswerSchema):
    image_builds = ShortList(fields.Dict(validate=_is_bounded), most=_MOST_IMAGES, load_default=list)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = data["image_builds"]
        return found


class _SbomSchema(AnswerSchema):
    sbom = fields.Dict(required=True, validate=_is_bounded)
    sbom_type = fields.String(required=True, validate=validate.OneOf(_MEDIA_TYPES))
    pipeline_name = fields.String(required=True, validate=validate.Length(max=255))
    pipeline_purpose = fields.String(required=True, validate=validate.Length(max=255))

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Sbom:
        return Sbom(
            pipeline=data["pipeline_name"],
            purpose=data["pipeline_purpose"],
            media_type=_MEDIA_TYPES[data["sbom_type"]],
            document=orjson.dumps(data["sbom"]).decode(),
        )


class _SbomsSchema(AnswerSchema):
    items = ShortList(ShortList(fields.Nested(_SbomSchema), most=_MOST_PIPELINES), most=_MOST_IMAGES, load_default=list)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> tuple[Sbom, ...]:
        return tuple(sbom for of_image in data["items"] for sbom in of_image)


LOGS: Final = _LogsSchema()
SBOMS: Final = _SbomsSchema()
