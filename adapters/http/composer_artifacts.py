"""The composer's logs and bills of materials (ComposeLogs and ComposeSBOMs of its API)."""

from __future__ import annotations

from typing import Any, Final

import orjson
from marshmallow import ValidationError, fields, post_load, validate

from adapters.http.schemas import AnswerSchema, BoundedList
from domain.documents import is_within
from domain.sboms import Sbom

# Bytes of an answer with logs, and with all bills of materials of a build.
MAX_LOGS_BYTES: Final = 32 * 1024 * 1024
MAX_SBOMS_BYTES: Final = 32 * 1024 * 1024
# Entries of an answer: images of a build, and pipelines of an image.
_MAX_IMAGES: Final = 1000
_MAX_PIPELINES: Final = 1000
_MEDIA_TYPES: Final = {"spdx": "application/spdx+json"}


def _is_bounded(value: Any) -> None:
    if not is_within(value, 4 * MAX_LOGS_BYTES):
        raise ValidationError("too large or too deep")


class _LogsSchema(AnswerSchema):
    image_builds = BoundedList(fields.Dict(validate=_is_bounded), max_entries=_MAX_IMAGES, load_default=list)

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
    items = BoundedList(
        BoundedList(fields.Nested(_SbomSchema), max_entries=_MAX_PIPELINES), max_entries=_MAX_IMAGES, load_default=list
    )

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> tuple[Sbom, ...]:
        return tuple(sbom for of_image in data["items"] for sbom in of_image)


LOGS: Final = _LogsSchema()
SBOMS: Final = _SbomsSchema()
