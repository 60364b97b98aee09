"""The composer over HTTP (contract: composer v2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_load, pre_load, validate

from adapters.http import composer_artifacts
from adapters.http.client import MAX_IDLE, Answer, BackEnd, NoAnswerError, Query, Timeouts, segment
from adapters.http.exchange import LARGEST_ANSWER
from adapters.http.schemas import AnswerSchema, Records, ShortList
from domain.documents import LARGEST_DETAILS, is_within
from domain.errors import NotFoundError, OutcomeUnknownError, UnavailableError
from domain.packages import Package
from domain.sboms import Sbom
from domain.status import BuildError, ComposeStatus, ImageStatus, Progress, UploadStatus, bounded
from domain.submission import Accepted, Refused, Submission, Unanswered
from ports.composer import Builds, ComposerLogs

_BASE: Final = "/api/image-builder-composer/v2"
_SHORT: Final = Timeouts(connect=3.0, read=10.0, total=15.0)
_LONG: Final = Timeouts(connect=3.0, read=25.0, total=30.0)
# What globs are made of, and what UTF-8 cannot hold; there is no way to quote it that every composer understands.
_NOT_LITERAL: Final = re.compile(r"[*?\[\]\\\ud800-\udfff]")

# Bytes of its answers: a status tells of an error with all its details, metadata the request as well as the packages;
# its builds, and a search's packages, are as many as it has.
_LARGEST_STATUS: Final = 4 * 1024 * 1024
_LARGEST_METADATA: Final = 16 * 1024 * 1024
_LARGEST_LIST: Final = LARGEST_ANSWER
# Packages in an image, or found: some times those of a whole distribution.
_MOST_PACKAGES: Final = 200_000
# A build has as many uploads as targets.
_MOST_UPLOADS: Final = 1000
# Characters of a status, a type or the id of an error.
_LONGEST_WORD: Final = 255

_AWAY: Final = "The composer gives no usable answer"
_OF_A_REFERENCE: Final = frozenset({"id", "kind", "href"})


def _is_small(options: Mapping[str, Any]) -> None:
    if not is_within(options, LARGEST_DETAILS):
        raise ValidationError("too large")


def _are_objects(values: Mapping[str, Any]) -> None:
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


def _word(**options: Any) -> fields.String:
    return fields.String(validate=validate.Length(max=_LONGEST_WORD), **options)


class _UploadSchema(AnswerSchema):
    status = fields.String(load_default="")


class _UploadStatusSchema(AnswerSchema):
    status = _word(required=True)
    type = _word(required=True)
    options = fields.Dict(load_default=dict, validate=_is_small)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> UploadStatus:
        return UploadStatus(**data)


class _BuildErrorSchema(AnswerSchema):
    id = fields.Integer(required=True, strict=True)
    reason = fields.String(required=True)
    details = fields.Raw()

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> BuildError:
        return bounded(BuildError(**data))


class _ImageStatusSchema(AnswerSchema):
    status = _word(required=True)
    progress = fields.Nested(_ProgressSchema)
    upload_status = fields.Nested(_UploadStatusSchema)
    upload_statuses = ShortList(fields.Nested(_UploadSchema), most=_MOST_UPLOADS, load_default=list)
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
    status = _word(load_default="")
    image_status = fields.Nested(_ImageStatusSchema, required=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> ComposeStatus:
        image, uploads = data["image_status"]
        return ComposeStatus(data["status"], image, uploads)


class _MetadataSchema(AnswerSchema):
    packages = Records(
        ("type", "name", "version", "release", "arch", "sigmd5"), ("epoch", "signature"), most=_MOST_PACKAGES
    )
    ostree_commit = fields.String()


class _SearchSchema(AnswerSchema):
    packages = Records(("name",), ("summary",), most=_MOST_PACKAGES, required=True)


class _DistributionSchema(AnswerSchema):
    """Passed on to clients that read more of it than we do."""

    class Meta:
        unknown = INCLUDE

    name = fields.String(required=True)
    architectures = fields.Dict(validate=_are_objects)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if key not in _OF_A_REFERENCE}


class _OrderSchema(AnswerSchema):
    request = fields.Dict(load_default=None)


class _ListSchema(AnswerSchema):
    """The contract's ComposeList; composers are known that answer its items alone.

    Those do so, too, where they cannot list their builds: then there are none.
    """

    # As many as the answer holds.
    items = Records(("id",), most=_LARGEST_LIST, load_default=None)
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
        try:
            ids = frozenset(UUID(item["id"]) for item in items)
        except ValueError:
            raise ValidationError("an id that is none") from None
        return Builds(ids, complete=bool(items) if total is None else len(items) >= total)


class _AcceptedSchema(AnswerSchema):
    # The nil and the max UUID name nothing (RFC 9562, sections 5.9 and 5.10).
    id = fields.UUID(required=True, validate=validate.NoneOf([UUID(int=0), UUID(int=2**128 - 1)]))


class _ErrorSchema(AnswerSchema):
    id = _word(required=True)
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

    def __init__(self, back_end: BackEnd, max_idle: float = MAX_IDLE) -> None:
        """A build is submitted on a pooled connection only if that was idle for less than `max_idle` seconds."""
        self._back_end = back_end
        self._max_idle = max_idle

    def submit(self, request: Mapping[str, Any]) -> Submission:
        """See the port."""
        try:
            answer = self._back_end.post(f"{_BASE}/compose", request, _LONG, max_idle=self._max_idle)
        except NoAnswerError as error:
            return Unanswered(may_have_started=error.sent)
        if answer.status != HTTPStatus.CREATED:
            return _refused(answer)
        try:
            return Accepted(_ACCEPTED.load(answer.json())["id"])
        except (ValidationError, UnavailableError):
            return Unanswered(may_have_started=True)

    def cancel(self, compose_id: UUID) -> None:
        """See the port."""
        try:
            answer = self._back_end.delete(f"{_BASE}/composes/{compose_id}", _SHORT)
        except NoAnswerError as error:
            raise (OutcomeUnknownError(_AWAY) if error.sent else _away()) from error
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}:
            raise OutcomeUnknownError(_AWAY)

    def status(self, compose_id: UUID) -> ComposeStatus:
        """See the port."""
        status: ComposeStatus = self._read(
            f"/composes/{compose_id}", _COMPOSE_STATUS, "Compose", largest=_LARGEST_STATUS
        )
        return status

    def metadata(self, compose_id: UUID) -> dict[str, Any]:
        """See the port."""
        metadata: dict[str, Any] = self._read(
            f"/composes/{compose_id}/metadata", _METADATA, "Compose", largest=_LARGEST_METADATA
        )
        return metadata

    def logs(self, compose_id: UUID) -> ComposerLogs:
        """See the port."""
        answer = self._artifact(f"/composes/{compose_id}/logs", composer_artifacts.LARGEST_LOGS)
        return ComposerLogs(_usable(answer, composer_artifacts.LOGS), len(answer.body))

    def sboms(self, compose_id: UUID) -> tuple[Sbom, ...]:
        """See the port."""
        answer = self._artifact(f"/composes/{compose_id}/sboms", composer_artifacts.LARGEST_SBOMS)
        found: tuple[Sbom, ...] = _usable(answer, composer_artifacts.SBOMS)
        return found

    def builds(self) -> Builds:
        """See the port."""
        answer = self._get("/composes/", largest=_LARGEST_LIST)
        if answer.status == HTTPStatus.OK and answer.body.strip() == b"null":
            return Builds(frozenset(), complete=False)
        builds: Builds = _usable(answer, _LIST)
        return builds

    def request(self, compose_id: UUID) -> Mapping[str, Any] | None:
        """See the port."""
        told = self._read(f"/composes/{compose_id}/metadata", _ORDER, "Compose", largest=_LARGEST_METADATA)
        ordered: Mapping[str, Any] | None = told["request"]
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
            answer = self._back_end.ask(f"{_BASE}/search/packages", body, _LONG, largest=_LARGEST_LIST)
        except NoAnswerError as error:
            raise _away() from error
        return tuple(Package(each["name"], each.get("summary", "")) for each in _usable(answer, _SEARCH)["packages"])

    def distribution(self, name: str, image_types: Sequence[str], architectures: Sequence[str]) -> dict[str, Any]:
        """See the port."""
        wanted = [("image_type", each) for each in image_types] + [("architecture", each) for each in architectures]
        described: dict[str, Any] = self._read(
            f"/distributions/{segment(name)}", _DISTRIBUTION, "Distribution", wanted, _LARGEST_STATUS
        )
        return described

    def check(self) -> None:
        """See the port."""
        if self._get("/openapi").status != HTTPStatus.OK:
            raise _away()

    def _get(self, path: str, params: Query = (), largest: int = _LARGEST_STATUS) -> Answer:
        try:
            return self._back_end.get(_BASE + path, _SHORT, params=params, largest=largest)
        except NoAnswerError as error:
            raise _away() from error

    def _artifact(self, path: str, largest: int) -> Answer:
        answer = self._get(path, largest=largest)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError("Compose not found")
        if answer.status == HTTPStatus.BAD_REQUEST:  # of a build that is not that far, or of another kind
            raise NotFoundError("The composer has none of this build")
        return answer

    def _read(self, path: str, schema: Schema, what: str, params: Query = (), largest: int = _LARGEST_STATUS) -> Any:
        answer = self._get(path, params, largest)
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
    except (ValidationError, UnavailableError):
        return Refused(answer.status)
    return Refused(answer.status, error["id"], error["reason"], error["details"])


def _away() -> UnavailableError:
    return UnavailableError(_AWAY)
