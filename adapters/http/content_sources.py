"""The client of content sources, API v1, which holds the customers' repositories, snapshots and templates."""

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
# Repositories that one page is requested with.
_PAGE: Final = 200
# Pages of a list: a list with more pages is treated as endless.
_MAX_PAGES: Final = 100
# Entries of one page, which may have more than requested.
_MAX_PAGE_ENTRIES: Final = 5 * _PAGE
# Entries of a list that is not paged.
_MAX_ENTRIES: Final = 20_000
# Bytes of an answer: a repository with a GPG key has some kilobytes.
_MAX_BYTES: Final = 8 * 1024 * 1024
# Bytes of all pages of a list.
_MAX_LIST_BYTES: Final = 32 * 1024 * 1024
# Values in one query.
_MAX_VALUES: Final = 50
# Characters of these values, percent-encoded: a query must fit into a request line.
_MAX_QUERY_LENGTH: Final = 6000
# The statuses of a successful export.
_EXPORTED: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})


def _text() -> fields.String:
    return fields.String(load_default="")


def _flag(**options: Any) -> fields.Boolean:
    return fields.Boolean(truthy={True}, falsy={False}, **options)


def _is_address(text: str) -> None:
    try:
        urlsplit(text)
    except ValueError:
        raise ValidationError("not an address") from None


class _RepositorySchema(AnswerSchema):
    uuid = fields.String(required=True)
    url = _text()
    name = _text()
    origin = _text()
    label = _text()
    gpg_key = _text()
    module_hotfixes = _flag(load_default=None)
    metadata_verification = _flag(load_default=None)
    snapshotting = _flag(load_default=True, data_key="snapshot")
    latest_snapshot_url = fields.String(load_default="", validate=_is_address)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> ContentRepository:
        return ContentRepository(**data)


class _MetaSchema(AnswerSchema):
    count = fields.Integer(required=True, strict=True)


class _PageSchema(AnswerSchema):
    data = BoundedList(fields.Nested(_RepositorySchema), max_entries=_MAX_PAGE_ENTRIES, load_default=list)
    meta = fields.Nested(_MetaSchema, load_default=None)

    @validates_schema(pass_original=True)
    def _is_page(self, _: Any, original: dict[str, Any], **__: Any) -> None:
        if not original.keys() & {"data", "meta"}:
            raise ValidationError("neither entries nor their number")


class _SnapshotSchema(AnswerSchema):
    repository_path = _text()
    url = _text()
    detected_os_version = _text()


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
    name = _text()
    repository_uuids = BoundedList(fields.String(), max_entries=_MAX_ENTRIES, load_default=list)
    snapshots = BoundedList(fields.Nested(_TemplateSnapshotSchema), max_entries=_MAX_ENTRIES, load_default=list)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Template:
        return Template(data["uuid"], data["name"], tuple(data["repository_uuids"]), tuple(data["snapshots"]))


_PAGE_ANSWER: Final = _PageSchema()
_SNAPSHOTS_ANSWER: Final = _DatedSnapshotsSchema()
_TEMPLATE_ANSWER: Final = _TemplateSchema()


class HttpContentSources:
    """Fulfils ports.content_sources.ContentSources."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = IdentityBackEnd(back_end, "Content sources", _FORBIDDEN, _MAX_BYTES)

    def by_url(self, identity: Identity, urls: Sequence[str], origins: Sequence[str]) -> tuple[ContentRepository, ...]:
        """See the port."""
        # A list is split at its commas: one within an address has to look otherwise.
        return self._repositories(identity, "url", [url.replace(",", "%2C") for url in urls if url], origins)

    def by_uuid(
        self, identity: Identity, uuids: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        """See the port."""
        return self._repositories(identity, "uuid", _valid_uuids(uuids), origins)

    def snapshots(self, identity: Identity, date: str, uuids: Sequence[str]) -> tuple[Snapshot, ...]:
        """See the port."""
        valid_uuids = _valid_uuids(uuids)
        if not valid_uuids:
            return ()
        answer = self._back_end.post_idempotent(
            identity, "/snapshots/for_date/", {"date": date, "repository_uuids": valid_uuids}
        )
        found = self._back_end.read(_SNAPSHOTS_ANSWER, answer)["data"]
        return tuple(Snapshot(one["repository_uuid"], **one["match"]) for one in found if one["match"] is not None)

    def template(self, identity: Identity, uuid: str) -> Template:
        """See the port."""
        if not is_uuid(uuid):
            raise _unknown_template()
        answer = self._back_end.get(identity, f"/templates/{path_segment(uuid)}")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise _unknown_template()
        template: Template = self._back_end.read(_TEMPLATE_ANSWER, answer)
        return template

    def bulk_export(self, identity: Identity, uuids: Sequence[str]) -> list[Any]:
        """See the port."""
        valid_uuids = _valid_uuids(uuids)
        if not valid_uuids:
            return []
        answer = self._back_end.post_idempotent(
            identity, "/repositories/bulk_export/", {"repository_uuids": valid_uuids}
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError("Content sources does not know all of the custom repositories")
        exported = answer.json() if answer.status in _EXPORTED else None
        if not isinstance(exported, list):
            raise self._back_end.unusable_answer()
        return exported

    def _repositories(
        self, identity: Identity, key: str, values: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        if not origins:
            return ()
        found: dict[str, ContentRepository] = {}
        for batch in _batches(list(dict.fromkeys(values))):
            query = ((key, ",".join(batch)), ("origin", ",".join(origins)))
            for repository in self._pages(identity, query):
                found.setdefault(repository.uuid, repository)
        return tuple(found.values())

    def _pages(self, identity: Identity, query: Sequence[tuple[str, str]]) -> Iterator[ContentRepository]:
        offset = size = 0
        for _ in range(_MAX_PAGES):
            params = (*query, ("limit", str(_PAGE)), *((("offset", str(offset)),) if offset else ()))
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
        raise self._back_end.unusable_answer()


def _valid_uuids(texts: Sequence[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if is_uuid(text)]


def _batches(values: Sequence[str]) -> Iterator[list[str]]:
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


def _unknown_template() -> NotFoundError:
    return NotFoundError("Content sources knows no such template")
