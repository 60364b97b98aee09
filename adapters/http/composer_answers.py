"""What the composer answers, API v2 of osbuild-composer: schemas that load answers as objects of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from marshmallow import INCLUDE, ValidationError, fields, post_load, pre_load, validate

from adapters.http.exchange import MAX_ANSWER_BYTES
from adapters.http.schemas import AnswerSchema, BoundedList, RecordList
from domain.documents import LARGEST_DETAILS, is_within
from domain.status import BuildError, ComposeStatus, ImageStatus, Progress, UploadStatus, limit_error
from ports.composer import Builds

# Bytes of the list of builds, and of the list of packages that a search found.
MAX_LIST_BYTES: Final = MAX_ANSWER_BYTES
# Packages in an image, or in the answer to a search: several times as many as a distribution has.
_MAX_PACKAGES: Final = 200_000
# Uploads of a build, which has one for each target.
_MAX_UPLOADS: Final = 1000
# Characters of a `_word_field`: a status, a type or the id of an error.
_MAX_WORD_LENGTH: Final = 255

# The nil and the max UUID identify no build (RFC 9562, sections 5.9 and 5.10).
_NO_BUILDS: Final = frozenset({UUID(int=0), UUID(int=2**128 - 1)})
# The keys that the composer adds to any object that it answers with.
_REFERENCE_KEYS: Final = frozenset({"id", "kind", "href"})


def _check_size(options: Mapping[str, Any]) -> None:
    if not is_within(options, LARGEST_DETAILS):
        raise ValidationError("too large")


def _check_objects(values: Mapping[str, Any]) -> None:
    if not all(isinstance(value, dict) for value in values.values()):
        raise ValidationError("expected objects")


class _SubProgressSchema(AnswerSchema):
    done = fields.Integer(required=True, strict=True)
    total = fields.Integer(required=True, strict=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Progress:
        return Progress(**data)


class _ProgressSchema(_SubProgressSchema):
    subprogress = fields.Nested(_SubProgressSchema)


def _word_field(**options: Any) -> fields.String:
    return fields.String(validate=validate.Length(max=_MAX_WORD_LENGTH), **options)


class _UploadSchema(AnswerSchema):
    status = fields.String(load_default="")


class _UploadStatusSchema(AnswerSchema):
    status = _word_field(required=True)
    type = _word_field(required=True)
    options = fields.Dict(load_default=dict, validate=_check_size)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> UploadStatus:
        return UploadStatus(**data)


class _BuildErrorSchema(AnswerSchema):
    id = fields.Integer(required=True, strict=True)
    reason = fields.String(required=True)
    details = fields.Raw()

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> BuildError:
        return limit_error(BuildError(**data))


class _ImageStatusSchema(AnswerSchema):
    status = _word_field(required=True)
    progress = fields.Nested(_ProgressSchema)
    upload_status = fields.Nested(_UploadStatusSchema)
    upload_statuses = BoundedList(fields.Nested(_UploadSchema), max_entries=_MAX_UPLOADS, load_default=list)
    error = fields.Nested(_BuildErrorSchema)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> tuple[ImageStatus, tuple[str, ...]]:
        uploads = [upload["status"] for upload in data.pop("upload_statuses")]
        image = ImageStatus(**data)
        if image.upload_status is not None:
            uploads.append(image.upload_status.status)
        return image, tuple(uploads)


class _ComposeStatusSchema(AnswerSchema):
    # A build without a status counts as unfinished, so its status is queried again.
    status = _word_field(load_default="")
    image_status = fields.Nested(_ImageStatusSchema, required=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> ComposeStatus:
        image, uploads = data["image_status"]
        return ComposeStatus(data["status"], image, uploads)


class _MetadataSchema(AnswerSchema):
    packages = RecordList(
        ("type", "name", "version", "release", "arch", "sigmd5"), ("epoch", "signature"), max_entries=_MAX_PACKAGES
    )
    ostree_commit = fields.String()


class _SearchSchema(AnswerSchema):
    packages = RecordList(("name",), ("summary",), max_entries=_MAX_PACKAGES, required=True)


class _ResolutionSchema(AnswerSchema):
    packages = RecordList(("name", "version", "release", "arch"), ("epoch",), max_entries=_MAX_PACKAGES, required=True)


class _DistributionSchema(AnswerSchema):
    """Keeps unknown keys, because clients get the answer and use more of its keys than this service."""

    class Meta:
        unknown = INCLUDE

    name = fields.String(required=True)
    architectures = fields.Dict(validate=_check_objects)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if key not in _REFERENCE_KEYS}


class _BuildRequestSchema(AnswerSchema):
    request = fields.Dict(load_default=None)


class _ListSchema(AnswerSchema):
    """The schema ComposeList of the composer's API. Some composers answer its items alone.

    Such composers also answer an empty list if they cannot list their builds.
    """

    # No limit of its own: the limit on the answer's bytes suffices.
    items = RecordList(("id",), max_entries=MAX_LIST_BYTES, load_default=None)
    total = fields.Integer(strict=True, load_default=None)

    @pre_load
    def _wrap_bare_list(self, data: Any, **_: Any) -> Any:
        return {"items": data} if isinstance(data, list) else data

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Builds:
        items, total = data["items"], data["total"]
        if items is None and total is None:
            raise ValidationError("neither items nor their number")
        items = items or []
        try:
            ids = frozenset(UUID(item["id"]) for item in items)
        except ValueError:
            raise ValidationError("invalid id") from None
        return Builds(ids, complete=bool(items) if total is None else len(items) >= total)


class _ErrorSchema(AnswerSchema):
    id = _word_field(required=True)
    reason = fields.String(required=True)
    details = fields.Raw(load_default=None)


def load_build_id(document: Any) -> UUID | None:
    """Return the id in the answer to a start of a build, None if it has none.

    There is no marshmallow schema, because that would take a tenth of the time of the call.
    """
    text = document.get("id") if isinstance(document, dict) else None
    try:
        found = UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if found in _NO_BUILDS else found


COMPOSE_STATUS: Final = _ComposeStatusSchema()
METADATA: Final = _MetadataSchema()
BUILD_REQUEST: Final = _BuildRequestSchema()
LIST: Final = _ListSchema()
SEARCH: Final = _SearchSchema()
RESOLUTION: Final = _ResolutionSchema()
DISTRIBUTION: Final = _DistributionSchema()
ERROR: Final = _ErrorSchema()
