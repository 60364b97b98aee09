"""Composes over HTTP: parse, call, present (contract: /compose, /composes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from flask import Response

from domain.compose.passwords import is_redacted, present_request
from domain.composes import ComposesPage, ListedCompose
from domain.identity import Identity
from domain.json_size import parsed_size
from domain.paging import Page
from domain.status import ImageStatus, Progress, innermost, upload_options
from image_builder.http.answers import empty_answer, json_answer
from image_builder.http.call import Lane, Route
from image_builder.http.pages import page_answer
from image_builder.http.quota import builds_left
from image_builder.http.rate_limits import rate_limit_fields
from image_builder.usecases.build_blueprint import BuildBlueprint
from image_builder.usecases.compose import StartComposes, Started
from image_builder.usecases.composes import WatchComposes
from image_builder.usecases.once import Asked, Once
from ports.memory import reserve_memory

log = structlog.get_logger()

# A password, or a null, as PostgreSQL writes them in a jsonb column.
_SIGNS_OF_OLD_ROWS: Final = ('"password"', ": null")
_IMAGES: Final = "image_requests"
# Characters of a request for which memory is reserved before it is parsed.
_LARGE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ComposesController:
    """The operations on composes; `base` is the path that links begin with."""

    once: Once
    start: StartComposes
    build: BuildBlueprint
    watch: WatchComposes
    base: str

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "composeImage": Route(self.create, Lane.WAITING),
            "composeBlueprint": Route(self.create_of_blueprint, Lane.WAITING),
            "getComposes": Route(self.list),
            "getBlueprintComposes": Route(self.list_of_blueprint),
            "getComposeStatus": Route(self.status, Lane.WAITING, rarely_waits=True),
            "getComposeMetadata": Route(self.metadata, Lane.WAITING, rarely_waits=True),
            "deleteCompose": Route(self.delete),
        }

    def create(self, identity: Identity, body: dict[str, Any], idempotency_key: str | None) -> Response:
        """POST /compose"""
        started = self.once(
            identity,
            Asked("/compose", idempotency_key, body),
            work=partial(self.start.one, identity, body),
            known=Started,
        )
        (answer,) = _started(started)
        return _limited(json_answer(answer, 201), started)

    def create_of_blueprint(
        self,
        identity: Identity,
        id: UUID,  # noqa: A002 - the contract's name
        body: dict[str, Any],
        x_image_builder_ui: str | None,
        idempotency_key: str | None,
    ) -> Response:
        """POST /blueprints/{id}/compose"""
        client_id = _client_id(x_image_builder_ui)
        started = self.once(
            identity,
            Asked(f"/blueprints/{id}/compose", idempotency_key, body),
            work=partial(self.build, identity, id, client_id, body.get("image_types")),
            known=Started,
        )
        return _limited(json_answer(_started(started), 201), started)

    def list(self, identity: Identity, limit: int, offset: int, ignore_image_types: list[str]) -> Response:
        """GET /composes"""
        page = Page(limit, offset)
        found = self.watch.list(identity, page, tuple(ignore_image_types))
        return self._page("/composes", page, found, {"ignoreImageTypes": ignore_image_types})

    def list_of_blueprint(
        self,
        identity: Identity,
        id: UUID,  # noqa: A002 - the contract's name
        blueprint_version: int | None,
        limit: int,
        offset: int,
        ignore_image_types: Sequence[str],
    ) -> Response:
        """GET /blueprints/{id}/composes"""
        page = Page(limit, offset)
        found = self.watch.of_blueprint(identity, id, blueprint_version, page, tuple(ignore_image_types))
        version = [] if blueprint_version is None else [str(blueprint_version)]
        filters = {"ignoreImageTypes": ignore_image_types, "blueprint_version": version}
        return self._page(f"/blueprints/{id}/composes", page, found, filters)

    def status(self, identity: Identity, compose_id: UUID) -> Response:
        """GET /composes/{composeId}"""
        watched = self.watch.status(identity, compose_id)
        return json_answer({"image_status": _image_status(watched.status), "request": _request(watched.request)})

    def metadata(self, identity: Identity, compose_id: UUID) -> Response:
        """GET /composes/{composeId}/metadata"""
        metadata = self.watch.metadata(identity, compose_id)
        return json_answer(orjson.Fragment(metadata) if isinstance(metadata, str | bytes) else metadata)

    def delete(self, identity: Identity, compose_id: UUID) -> Response:
        """DELETE /composes/{composeId}"""
        self.watch.delete(identity, compose_id)
        return empty_answer()

    def _page(self, path: str, page: Page, found: ComposesPage, filters: Mapping[str, Sequence[str]]) -> Response:
        data = [_item(compose) for compose in found.composes]
        return page_answer(self.base + path, page, found.count, filters, data)


def _started(started: Started) -> list[dict[str, str]]:
    return [{"id": str(compose_id)} for compose_id in started.ids]


def _limited(answer: Response, started: Started) -> Response:
    """The answer, with what the quota leaves."""
    if started.allowance is not None:
        answer.headers.update(rate_limit_fields(builds_left(started.allowance)))
    return answer


def _client_id(interface: str | None) -> str:
    """Which program asks, by its own word for its interface (spec: Blueprints)."""
    if not interface:
        return "api"
    return "mcp" if interface == "mcp" else "ui"


def _item(compose: ListedCompose) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": compose.id,
        "request": _request(compose.request),
        "created_at": compose.created_at,
    }
    if compose.image_name is not None:
        item["image_name"] = compose.image_name
    if compose.client_id is not None:
        item["client_id"] = compose.client_id
    if compose.blueprint_id is not None:
        item["blueprint_id"] = compose.blueprint_id
        item["blueprint_version"] = compose.blueprint_version
    if compose.shortened:
        item["shortened"] = True
    return item


def _request(stored: str | bytes) -> orjson.Fragment:
    """A request of the history as it is answered (see KeptCompose).

    A stored one is that already, unless something has to be taken out or put in: rows of this service need neither.
    `image_requests` is always there, because the contract promises it.
    """
    if isinstance(stored, bytes):
        return orjson.Fragment(_with_images(stored))
    suspicious = any(sign in stored for sign in _SIGNS_OF_OLD_ROWS) or f'"{_IMAGES}"' not in stored
    if not suspicious and '"users"' not in stored:
        return orjson.Fragment(stored)
    if len(stored) > _LARGE:
        reserve_memory(parsed_size(stored.encode()))
    try:
        document = orjson.loads(stored)
        if isinstance(document, dict):
            clean = not suspicious and is_redacted(document)
            return orjson.Fragment(stored if clean else orjson.dumps({_IMAGES: [], **present_request(document)}))
    except (ValueError, TypeError, RecursionError):
        pass  # PostgreSQL keeps numbers and depths that nothing else reads
    # One such row does not spoil a list.
    log.warning("a stored request cannot be read")
    return orjson.Fragment(orjson.dumps({_IMAGES: []}))


def _with_images(shown_request: bytes) -> bytes:
    """An object of JSON with an empty list of images where it has none; it is not parsed, because it may be large."""
    rest = shown_request.removeprefix(b"{")
    if f'"{_IMAGES}"'.encode() in shown_request or rest == shown_request:
        return shown_request
    separator = b"" if rest.strip() == b"}" else b","
    return b"".join([b'{"', _IMAGES.encode(), b'":[]', separator, rest])


def _image_status(status: ImageStatus) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": status.status}
    if status.progress is not None:
        answer["progress"] = _progress(status.progress)
    upload = status.upload_status
    if upload is not None:
        answer["upload_status"] = {
            "status": upload.status,
            "type": upload.type,
            "options": upload_options(upload),
        }
    if status.error is not None:
        error = innermost(status.error)
        details = {} if error.details is None else {"details": error.details}
        answer["error"] = {"id": error.id, "reason": error.reason, **details}
    return answer


def _progress(progress: Progress) -> dict[str, Any]:
    answer: dict[str, Any] = {"done": progress.done, "total": progress.total}
    if progress.subprogress is not None:
        answer["subprogress"] = _progress(progress.subprogress)
    return answer
