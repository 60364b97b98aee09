"""Blueprints over HTTP: parse, call, present (contract: /blueprints)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from domain.blueprints.blueprint import Blueprint, ListedBlueprint, find_policy_id
from domain.blueprints.lint import Lint
from domain.compose.passwords import present_request
from domain.errors import InvalidRequestError
from domain.identity import Identity
from domain.paging import Page
from image_builder.http.answers import empty_answer, json_answer, toml_answer
from image_builder.http.call import Lane, Route
from image_builder.http.contract import TOML
from image_builder.http.pages import page_answer
from image_builder.http.toml import export_text
from image_builder.http.versions import etag, parse_if_match
from image_builder.usecases.blueprints import KeepBlueprints
from image_builder.usecases.export import ExportBlueprint
from image_builder.usecases.once import Asked, Once
from ports.waiting import about_to_wait

_LATEST = -1


@dataclass(frozen=True, slots=True)
class BlueprintsController:
    """The operations on blueprints; `base` is the path that links begin with."""

    once: Once
    keep: KeepBlueprints
    hand_on: ExportBlueprint
    base: str

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getBlueprints": Route(self.list),
            "createBlueprint": Route(self.create, Lane.WAITING, rarely_waits=True),
            "getBlueprint": Route(self.get, Lane.WAITING, rarely_waits=True),
            "updateBlueprint": Route(
                self.update, Lane.WAITING, rarely_waits=True, memory_besides=self.memory_to_update
            ),
            "deleteBlueprint": Route(self.delete),
            "exportBlueprint": Route(self.export, Lane.WAITING, rarely_waits=True),
            "fixupBlueprint": Route(self.fixup, Lane.WAITING, rarely_waits=True),
        }

    def list(self, identity: Identity, name: str | None, search: str | None, limit: int, offset: int) -> Response:
        """GET /blueprints"""
        page = Page(limit, offset)
        found = self.keep.list(identity, page, name, search)
        filters = {key: text for key, text in {"name": name, "search": search}.items() if text is not None}
        data = [_item(blueprint) for blueprint in found.blueprints]
        return page_answer(f"{self.base}/blueprints", page, found.count, filters, data)

    def create(self, identity: Identity, body: dict[str, Any], idempotency_key: str | None, **_image: str) -> Response:
        """POST /blueprints; what a TOML body does not say of the image is in the document already."""
        if find_policy_id(body) is not None:
            about_to_wait()  # before the Idempotency-Key is claimed
        blueprint_id = self.once(
            identity,
            Asked("/blueprints", idempotency_key, body),
            work=partial(self.keep.create, identity, body),
            known=_only,
        )
        return _tagged(json_answer({"id": str(blueprint_id)}, 201), 1)

    def get(self, identity: Identity, id: UUID, version: int | None) -> Response:  # noqa: A002 - the contract's name
        """GET /blueprints/{id}"""
        if version == 0:
            raise InvalidRequestError("version: expected a whole number from 1, or -1 for the latest")
        blueprint = self.keep.get(identity, id, None if version == _LATEST else version)
        return _tagged(json_answer(_blueprint(blueprint, self.keep.lint(identity, blueprint))), blueprint.version)

    def update(self, identity: Identity, id: UUID, body: dict[str, Any], if_match: str | None) -> Response:  # noqa: A002
        """PUT /blueprints/{id}"""
        version = self.keep.update(identity, id, body, parse_if_match(if_match))
        return _tagged(json_answer({"id": str(id)}), version)

    def memory_to_update(self, identity: Identity, id: UUID, **_: object) -> int:  # noqa: A002
        """See Route.memory_besides."""
        return self.keep.memory_to_update(identity, id)

    def delete(self, identity: Identity, id: UUID, if_match: str | None) -> Response:  # noqa: A002
        """DELETE /blueprints/{id}"""
        self.keep.delete(identity, id, parse_if_match(if_match))
        return empty_answer(204)

    def fixup(self, identity: Identity, id: UUID) -> Response:  # noqa: A002
        """POST /experimental/blueprints/{id}/fixup"""
        return _tagged(empty_answer(), self.keep.fixup(identity, id))

    def export(self, identity: Identity, id: UUID, media_type: str) -> Response:  # noqa: A002
        """GET /blueprints/{id}/export"""
        if media_type == TOML:
            answer = toml_answer(export_text(self.hand_on(identity, id, beside=False)))
        else:
            answer = json_answer(self.hand_on(identity, id))
        answer.headers["Vary"] = "Accept"
        return answer


def _only(ids: tuple[UUID, ...]) -> UUID:
    (blueprint_id,) = ids
    return blueprint_id


def _tagged(answer: Response, version: int) -> Response:
    answer.headers["ETag"] = etag(version)
    return answer


def _item(blueprint: ListedBlueprint) -> dict[str, Any]:
    return blueprint._asdict()


def _blueprint(blueprint: Blueprint, lint: Lint) -> dict[str, Any]:
    return {
        "id": str(blueprint.id),
        "name": blueprint.name,
        "description": blueprint.description,
        "lint": asdict(lint),
        **present_request(blueprint.body),
    }
