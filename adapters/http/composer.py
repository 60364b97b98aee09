"""The composer over HTTP (contract: composer v2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_load, pre_load, validate

from adapters.http.client import Answer, BackEnd, NoAnswerError, Query, Timeouts, segment
from adapters.http.schemas import AnswerSchema
from domain.errors import NotFoundError, UnavailableError
from domain.packages import Package
from domain.status import BuildError, ComposeStatus, ImageStatus, Progress, UploadStatus
from domain.submission import Accepted, Refused, Submission, Unanswered
from ports.composer import Builds

_BASE: Final = "/api/image-builder-composer/v2"
_SHORT: Final = Timeouts(connect=3.0, read=10.0, total=15.0)
_LONG: Final = Timeouts(connect=3.0, read=25.0, total=30.0)
# What globs are made of, and what UTF-8 cannot hold; there is no way to quote it that every composer understands.
_NOT_LITERAL: Final = re.compile(r"[*?\[\]\\\ud800-\udfff]")

_OF_A_REFERENCE: Final = frozenset({"id", "kind", "href"})


class _SubProgressSchema(AnswerSchema):
    done = fields.Integer(required=True, strict=True)
    total = fields.Integer(required=True, strict=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Progress:
        return Progress(**data)


class _ProgressSchema(_SubProgressSchema):
    subprogress = fields.Nested(_SubProgressSchema)


class _UploadSchema(AnswerSchema):
    status = fields.String(load_default="")


class _UploadStatusSchema(AnswerSchema):
    status = fields.String(required=True)
    type = fields.String(required=True)
    options = fields.Dict(load_default=dict)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> UploadStatus:
        return UploadStatus(**data)


class _BuildErrorSchema(AnswerSchema):
    id = fields.Integer(required=True, strict=True)
    reason = fields.String(required=True)
    details = fields.Raw()

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> BuildError:
        return BuildError(**data)


class _ImageStatusSchema(AnswerSchema):
    status = fields.String(required=True)
    progress = fields.Nested(_ProgressSchema)
    upload_status = fields.Nested(_UploadStatusSchema)
    upload_statuses = fields.List(fields.Nested(_UploadSchema), load_default=list)
    error = fields.Nested(_BuildErrorSchema)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> tuple[ImageStatus, tuple[str, ...]]:
        uploads = [upload["status"] for upload in data.pop("upload_statuses")]
        image = ImageStatus(**data)
        if image.upload_status is not None:
            uploads.append(image.upload_status.status)
        return image, tuple(uploads)


class _ComposeStatusSchema(AnswerSchema):
    # Without it the build counts as not done yet, and is asked for again.
    status = fields.String(load_default="")
    image_status = fields.Nested(_ImageStatusSchema, required=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> ComposeStatus:
        image, uploads = data["image_status"]
        return ComposeStatus(data["status"], image, uploads)


class _PackageSchema(AnswerSchema):
    type = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.String(required=True)
    release = fields.String(required=True)
    epoch = fields.String()
    arch = fields.String(required=True)
    sigmd5 = fields.String(required=True)
    signature = fields.String()


class _MetadataSchema(AnswerSchema):
    packages = fields.List(fields.Nested(_PackageSchema))
    ostree_commit = fields.String()


class _FoundSchema(AnswerSchema):
    name = fields.String(required=True)
    summary = fields.String(load_default="")

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Package:
        return Package(**data)


class _SearchSchema(AnswerSchema):
    packages = fields.List(fields.Nested(_FoundSchema), required=True)


class _DistributionSchema(AnswerSchema):
    """Passed on to clients that read more of it than we do."""

    class Meta:
        unknown = INCLUDE

    name = fields.String(required=True)
    architectures = fields.Dict(keys=fields.String(), values=fields.Dict())

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if key not in _OF_A_REFERENCE}


class _OrderSchema(AnswerSchema):
    request = fields.Dict(load_default=None)


class _ListedSchema(AnswerSchema):
    id = fields.UUID(required=True)


class _ListSchema(AnswerSchema):
    """The contract's ComposeList; composers are known that answer its items alone.

    Those do so, too, where they cannot list their builds: then there are none.
    """

    items = fields.List(fields.Nested(_ListedSchema), load_default=None)
    total = fields.Integer(strict=True, load_default=None)

    @pre_load
    def _bare(self, data: Any, **_: Any) -> Any:
        return {"items": data} if isinstance(data, list) else data

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Builds:
        items, total = data["items"], data["total"]
        if items is None and total is None:
            raise ValidationError("neither items nor how many there are")
        items = items or []
        return Builds(
            frozenset(item["id"] for item in items),
            complete=bool(items) if total is None else len(items) >= total,
        )


class _AcceptedSchema(AnswerSchema):
    # The nil and the max UUID name nothing (RFC 9562, sections 5.9 and 5.10).
    id = fields.UUID(required=True, validate=validate.NoneOf([UUID(int=0), UUID(int=2**128 - 1)]))


class _ErrorSchema(AnswerSchema):
    id = fields.String(required=True)
    reason = fields.String(required=True)
    details = fields.Raw(load_default=None)


_COMPOSE_STATUS: Final = _ComposeStatusSchema()
_METADATA: Final = _MetadataSchema()
_ORDER: Final = _OrderSchema()
_LIST: Final = _ListSchema()
_SEARCH: Final = _SearchSchema()
_DISTRIBUTION: Final = _DistributionSchema()
_ACCEPTED: Final = _AcceptedSchema()
_ERROR: Final = _ErrorSchema()


class HttpComposer:
    """Fulfils ports.composer.Composer."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = back_end

    def submit(self, request: Mapping[str, Any]) -> Submission:
        """See the port."""
        try:
            answer = self._back_end.post(f"{_BASE}/compose", request, _LONG)
        except NoAnswerError as error:
            return Unanswered(may_have_started=error.sent)
        if answer.status != HTTPStatus.CREATED:
            return _refused(answer)
        try:
            return Accepted(_ACCEPTED.load(answer.json())["id"])
        except ValidationError:
            return Unanswered(may_have_started=True)

    def cancel(self, compose_id: UUID) -> None:
        """See the port."""
        try:
            answer = self._back_end.delete(f"{_BASE}/composes/{compose_id}", _SHORT)
        except NoAnswerError as error:
            raise _away() from error
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}:
            raise _away()

    def status(self, compose_id: UUID) -> ComposeStatus:
        """See the port."""
        status: ComposeStatus = self._read(f"/composes/{compose_id}", _COMPOSE_STATUS, "Compose")
        return status

    def metadata(self, compose_id: UUID) -> dict[str, Any]:
        """See the port."""
        metadata: dict[str, Any] = self._read(f"/composes/{compose_id}/metadata", _METADATA, "Compose")
        return metadata

    def builds(self) -> Builds:
        """See the port."""
        answer = self._get("/composes/")
        if answer.status == HTTPStatus.OK and answer.body.strip() == b"null":
            return Builds(frozenset(), complete=False)
        builds: Builds = _usable(answer, _LIST)
        return builds

    def request(self, compose_id: UUID) -> Mapping[str, Any] | None:
        """See the port."""
        ordered: Mapping[str, Any] | None = self._read(f"/composes/{compose_id}/metadata", _ORDER, "Compose")["request"]
        return ordered

    def search_packages(
        self, distribution: str, architecture: str, repositories: Sequence[Mapping[str, Any]], text: str
    ) -> tuple[Package, ...]:
        """See the port."""
        body = {
            "distribution": distribution,
            "architecture": architecture,
            "repositories": list(repositories),
            "packages": [_glob(text)],
        }
        try:
            answer = self._back_end.ask(f"{_BASE}/search/packages", body, _LONG)
        except NoAnswerError as error:
            raise _away() from error
        return tuple(_usable(answer, _SEARCH)["packages"])

    def distribution(self, name: str, image_types: Sequence[str], architectures: Sequence[str]) -> dict[str, Any]:
        """See the port."""
        wanted = [("image_type", each) for each in image_types] + [("architecture", each) for each in architectures]
        described: dict[str, Any] = self._read(f"/distributions/{segment(name)}", _DISTRIBUTION, "Distribution", wanted)
        return described

    def check(self) -> None:
        """See the port."""
        if self._get("/openapi").status != HTTPStatus.OK:
            raise _away()

    def _get(self, path: str, params: Query = ()) -> Answer:
        try:
            return self._back_end.get(_BASE + path, _SHORT, params=params)
        except NoAnswerError as error:
            raise _away() from error

    def _read(self, path: str, schema: Schema, what: str, params: Query = ()) -> Any:
        answer = self._get(path, params)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError(f"{what} not found")
        return _usable(answer, schema)


def _usable(answer: Answer, schema: Schema) -> Any:
    if answer.status != HTTPStatus.OK:
        raise _away()
    try:
        return schema.load(answer.json())
    except ValidationError as error:
        raise _away() from error


def _glob(text: str) -> str:
    """A glob for every name that holds `text`: made of its longest literal part."""
    literal = max(_NOT_LITERAL.split(text), key=len)
    return f"*{literal}*" if literal else "*"


def _refused(answer: Answer) -> Refused:
    try:
        error = _ERROR.load(answer.json())
    except ValidationError:
        return Refused(answer.status)
    return Refused(answer.status, error["id"], error["reason"], error["details"])


def _away() -> UnavailableError:
    return UnavailableError("The composer gives no usable answer")
