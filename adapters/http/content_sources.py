"""The client of the Content Sources service, API v1: customers' repositories, snapshots of these, and templates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

from marshmallow import ValidationError, fields, post_load, validates_schema

from adapters.http.client import BackEnd, path_segment
from adapters.http.identity_back_end import IdentityBackEnd
from adapters.http.schemas import AnswerSchema, BoundedList
from domain.content import ContentRepository, Snapshot, Template
from domain.errors import NotFoundError
from domain.identity import Identity
from domain.uuids import is_uuid

_FORBIDDEN: Final = (
    "user is not authorized - please check your 'Repositories viewer' or 'Content Template viewer' permissions"
)
# Repositories that a request for one page asks for.
_PAGE_SIZE: Final = 200
# Pages of a list; a list with more pages is no usable answer.
_MAX_PAGES: Final = 100
# Entries of one page, which may have more of them than requested.
_MAX_PAGE_ENTRIES: Final = 5 * _PAGE_SIZE
# Entries of a list without pages.
_MAX_ENTRIES: Final = 20_000
# Bytes of an answer: a repository with a GPG key has some kilobytes.
_MAX_BYTES: Final = 8 * 1024 * 1024
# Bytes of all pages of a list.
_MAX_LIST_BYTES: Final = 32 * 1024 * 1024
# URLs or UUIDs in one query.
_MAX_VALUES: Final = 50
# Characters of these values, percent-encoded, so that the query fits into a request line.
_MAX_QUERY_LENGTH: Final = 6000
# The statuses of a successful export.
_EXPORTED: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})


def _text_field() -> fields.String:
    return fields.String(load_default="")


def _flag_field(**options: Any) -> fields.Boolean:
    return fields.Boolean(truthy={True}, falsy={False}, **options)


def _check_url(text: str) -> None:
    try:
        urlsplit(text)
    except ValueError:
        raise ValidationError("not an address") from None


class _RepositorySchema(AnswerSchema):
    uuid = fields.String(required=True)
    url = _text_field()
    name = _text_field()
    origin = _text_field()
    label = _text_field()
    gpg_key = _text_field()
    module_hotfixes = _flag_field(load_default=None)
    metadata_verification = _flag_field(load_default=None)
    snapshotting = _flag_field(load_default=True, data_key="snapshot")
    latest_snapshot_url = fields.String(load_default="", validate=_check_url)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> ContentRepository:
        return ContentRepository(**data)


class _MetaSchema(AnswerSchema):
    count = fields.Integer(required=True, strict=True)


class _PageSchema(AnswerSchema):
    data = BoundedList(fields.Nested(_RepositorySchema), max_entries=_MAX_PAGE_ENTRIES, load_default=list)
    meta = fields.Nested(_MetaSchema, load_default=None)

    @validates_schema(pass_original=True)
    def _check_page(self, _: Any, original: dict[str, Any], **__: Any) -> None:
        if not original.keys() & {"data", "meta"}:
            raise ValidationError("neither entries nor their number")


class _SnapshotSchema(AnswerSchema):
    repository_path = _text_field()
    url = _text_field()
    detected_os_version = _text_field()


class _DatedSnapshotSchema(AnswerSchema):
    repository_uuid = fields.String(required=True)
    match = fields.Nested(_SnapshotSchema, load_default=None)


class _DatedSnapshotsSchema(AnswerSchema):
    data = BoundedList(fields.Nested(_DatedSnapshotSchema), max_entries=_MAX_ENTRIES, required=True)


class _TemplateSnapshotSchema(_SnapshotSchema):
    repository_uuid = fields.String(required=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Snapshot:
        return Snapshot(**data)


class _TemplateSchema(AnswerSchema):
    uuid = fields.String(required=True)
    name = _text_field()
    repository_uuids = BoundedList(fields.String(), max_entries=_MAX_ENTRIES, load_default=list)
    snapshots = BoundedList(fields.Nested(_TemplateSnapshotSchema), max_entries=_MAX_ENTRIES, load_default=list)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Template:
        return Template(data["uuid"], data["name"], tuple(data["repository_uuids"]), tuple(data["snapshots"]))


_PAGE_ANSWER: Final = _PageSchema()
_SNAPSHOTS_ANSWER: Final = _DatedSnapshotsSchema()
_TEMPLATE_ANSWER: Final = _TemplateSchema()


class HttpContentSources:
    """Implements ports.content_sources.ContentSources."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = IdentityBackEnd(back_end, "Content sources", _FORBIDDEN, _MAX_BYTES)

    def by_url(self, identity: Identity, urls: Sequence[str], origins: Sequence[str]) -> tuple[ContentRepository, ...]:
        """Implements `ContentSources.by_url`."""
        # Content sources splits the value at its commas, so a comma inside a URL is percent-encoded.
        return self._find_repositories(identity, "url", [url.replace(",", "%2C") for url in urls if url], origins)

    def by_uuid(
        self, identity: Identity, uuids: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        """Implements `ContentSources.by_uuid`."""
        return self._find_repositories(identity, "uuid", _select_uuids(uuids), origins)

    def snapshots(self, identity: Identity, date: str, uuids: Sequence[str]) -> tuple[Snapshot, ...]:
        """Implements `ContentSources.snapshots`."""
        valid_uuids = _select_uuids(uuids)
        if not valid_uuids:
            return ()
        answer = self._back_end.post_idempotent(
            identity, "/snapshots/for_date/", {"date": date, "repository_uuids": valid_uuids}
        )
        entries = self._back_end.read(_SNAPSHOTS_ANSWER, answer)["data"]
        return tuple(
            Snapshot(entry["repository_uuid"], **entry["match"]) for entry in entries if entry["match"] is not None
        )

    def template(self, identity: Identity, uuid: str) -> Template:
        """Implements `ContentSources.template`."""
        if not is_uuid(uuid):
            raise _unknown_template_error()
        answer = self._back_end.get(identity, f"/templates/{path_segment(uuid)}")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise _unknown_template_error()
        template: Template = self._back_end.read(_TEMPLATE_ANSWER, answer)
        return template

    def bulk_export(self, identity: Identity, uuids: Sequence[str]) -> list[Any]:
        """Implements `ContentSources.bulk_export`."""
        valid_uuids = _select_uuids(uuids)
        if not valid_uuids:
            return []
        answer = self._back_end.post_idempotent(
            identity, "/repositories/bulk_export/", {"repository_uuids": valid_uuids}
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError("Content sources does not know all of the custom repositories")
        exported = answer.json() if answer.status in _EXPORTED else None
        if not isinstance(exported, list):
            raise self._back_end.unusable_answer_error()
        return exported

    def _find_repositories(
        self, identity: Identity, key: str, values: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        if not origins:
            return ()
        repositories: dict[str, ContentRepository] = {}
        for batch in _split_into_batches(list(dict.fromkeys(values))):
            query = ((key, ",".join(batch)), ("origin", ",".join(origins)))
            for repository in self._read_pages(identity, query):
                repositories.setdefault(repository.uuid, repository)
        return tuple(repositories.values())

    def _read_pages(self, identity: Identity, query: Sequence[tuple[str, str]]) -> Iterator[ContentRepository]:
        offset = size = 0
        for _ in range(_MAX_PAGES):
            params = (*query, ("limit", str(_PAGE_SIZE)), *((("offset", str(offset)),) if offset else ()))
            answer = self._back_end.get(identity, "/repositories/", params)
            size += len(answer.body)
            if size > _MAX_LIST_BYTES:
                break
            page = self._back_end.read(_PAGE_ANSWER, answer)
            yield from page["data"]
            offset += len(page["data"])
            if page["meta"] is None or offset >= page["meta"]["count"]:
                return
            if not page["data"]:
                break
        raise self._back_end.unusable_answer_error()


def _select_uuids(texts: Sequence[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if is_uuid(text)]


def _split_into_batches(values: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for value in values:
        size = len(quote(value, safe="", errors="replace")) + len("%2C")
        if batch and (len(batch) == _MAX_VALUES or length + size > _MAX_QUERY_LENGTH):
            yield batch
            batch, length = [], 0
        batch.append(value)
        length += size
    if batch:
        yield batch


def _unknown_template_error() -> NotFoundError:
    return NotFoundError("Content sources knows no such template")
