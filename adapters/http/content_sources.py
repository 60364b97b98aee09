"""Content sources over HTTP (contract: content sources v1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

from marshmallow import ValidationError, fields, post_load, validates_schema

from adapters.http.client import BackEnd, segment
from adapters.http.customers import CustomersBackEnd
from adapters.http.schemas import AnswerSchema, ShortList
from domain.content import ContentRepository, Snapshot, Template
from domain.errors import NotFoundError
from domain.identity import Identity
from domain.uuids import is_uuid

_FORBIDDEN: Final = (
    "user is not authorized - please check your 'Repositories viewer' or 'Content Template viewer' permissions"
)
# Repositories on one page; how many pages are read before the list counts as endless.
_PAGE: Final = 200
_MOST_PAGES: Final = 100
# The most entries of an answer: of a page, which may have more than were asked for, and of a whole list.
_MOST_OF_PAGE: Final = 5 * _PAGE
_MOST_ENTRIES: Final = 20_000
# Bytes of an answer, and of all pages of a list: a repository has some kilobytes where it has a key.
_LARGEST: Final = 8 * 1024 * 1024
_LARGEST_LIST: Final = 32 * 1024 * 1024
# What goes into one question: a query has to fit into a request line.
_MOST_VALUES: Final = 50
_LONGEST_QUERY: Final = 6000
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
    data = ShortList(fields.Nested(_RepositorySchema), most=_MOST_OF_PAGE, load_default=list)
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
    data = ShortList(fields.Nested(_DatedSnapshotSchema), most=_MOST_ENTRIES, required=True)


class _TemplateSnapshotSchema(_SnapshotSchema):
    repository_uuid = fields.String(required=True)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Snapshot:
        return Snapshot(**data)


class _TemplateSchema(AnswerSchema):
    uuid = fields.String(required=True)
    name = _text()
    repository_uuids = ShortList(fields.String(), most=_MOST_ENTRIES, load_default=list)
    snapshots = ShortList(fields.Nested(_TemplateSnapshotSchema), most=_MOST_ENTRIES, load_default=list)

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Template:
        return Template(data["uuid"], data["name"], tuple(data["repository_uuids"]), tuple(data["snapshots"]))


_PAGE_ANSWER: Final = _PageSchema()
_SNAPSHOTS_ANSWER: Final = _DatedSnapshotsSchema()
_TEMPLATE_ANSWER: Final = _TemplateSchema()


class HttpContentSources:
    """Fulfils ports.content_sources.ContentSources."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = CustomersBackEnd(back_end, "Content sources", _FORBIDDEN, _LARGEST)

    def by_url(self, identity: Identity, urls: Sequence[str], origins: Sequence[str]) -> tuple[ContentRepository, ...]:
        """See the port."""
        # A list is split at its commas: one within an address has to look otherwise.
        return self._repositories(identity, "url", [url.replace(",", "%2C") for url in urls if url], origins)

    def by_uuid(
        self, identity: Identity, uuids: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        """See the port."""
        return self._repositories(identity, "uuid", _only_uuids(uuids), origins)

    def snapshots(self, identity: Identity, date: str, uuids: Sequence[str]) -> tuple[Snapshot, ...]:
        """See the port."""
        asked = _only_uuids(uuids)
        if not asked:
            return ()
        answer = self._back_end.ask(identity, "/snapshots/for_date/", {"date": date, "repository_uuids": asked})
        found = self._back_end.read(_SNAPSHOTS_ANSWER, answer)["data"]
        return tuple(Snapshot(one["repository_uuid"], **one["match"]) for one in found if one["match"] is not None)

    def template(self, identity: Identity, uuid: str) -> Template:
        """See the port."""
        if not is_uuid(uuid):
            raise _unknown_template()
        answer = self._back_end.get(identity, f"/templates/{segment(uuid)}")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise _unknown_template()
        template: Template = self._back_end.read(_TEMPLATE_ANSWER, answer)
        return template

    def bulk_export(self, identity: Identity, uuids: Sequence[str]) -> list[Any]:
        """See the port."""
        asked = _only_uuids(uuids)
        if not asked:
            return []
        answer = self._back_end.ask(identity, "/repositories/bulk_export/", {"repository_uuids": asked})
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError("Content sources does not know all of the custom repositories")
        exported = answer.json() if answer.status in _EXPORTED else None
        if not isinstance(exported, list):
            raise self._back_end.away()
        return exported

    def _repositories(
        self, identity: Identity, key: str, values: Sequence[str], origins: Sequence[str]
    ) -> tuple[ContentRepository, ...]:
        if not origins:
            return ()
        found: dict[str, ContentRepository] = {}
        for batch in _batches(list(dict.fromkeys(values))):
            asked = ((key, ",".join(batch)), ("origin", ",".join(origins)))
            for repository in self._pages(identity, asked):
                found.setdefault(repository.uuid, repository)
        return tuple(found.values())

    def _pages(self, identity: Identity, asked: Sequence[tuple[str, str]]) -> Iterator[ContentRepository]:
        offset = size = 0
        for _ in range(_MOST_PAGES):
            params = (*asked, ("limit", str(_PAGE)), *((("offset", str(offset)),) if offset else ()))
            answer = self._back_end.get(identity, "/repositories/", params)
            size += len(answer.body)
            if size > _LARGEST_LIST:
                break
            page = self._back_end.read(_PAGE_ANSWER, answer)
            yield from page["data"]
            offset += len(page["data"])
            if page["meta"] is None or offset >= page["meta"]["count"]:
                return
            if not page["data"]:
                break
        raise self._back_end.away()


def _only_uuids(texts: Sequence[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if is_uuid(text)]


def _batches(values: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for value in values:
        size = len(quote(value, safe="", errors="replace")) + len("%2C")
        if batch and (len(batch) == _MOST_VALUES or length + size > _LONGEST_QUERY):
            yield batch
            batch, length = [], 0
        batch.append(value)
        length += size
    if batch:
        yield batch


def _unknown_template() -> NotFoundError:
    return NotFoundError("Content sources knows no such template")
