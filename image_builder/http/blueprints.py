"""The controller of blueprints (openapi.yaml, operations getBlueprints, createBlueprint and others)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from domain.blueprints.blueprint import DEFAULT_SORT, Blueprint, BlueprintsQuery, ListedBlueprint, find_policy_id
from domain.blueprints.lint import Lint
from domain.compose.passwords import present_request
from domain.errors import InvalidRequestError
from domain.identity import Identity
from domain.nulls import without_nulls
from domain.paging import Page
from image_builder.http.answers import Answer, empty_answer, json_answer, toml_answer
from image_builder.http.call import Lane, Route
from image_builder.http.contract import TOML
from image_builder.http.entity_tags import format_etag, parse_if_match
from image_builder.http.pages import Neighbours, page_answer, parse_cursor
from image_builder.http.toml import format_export
from image_builder.usecases.blueprints import ManageBlueprints
from image_builder.usecases.export import ExportBlueprint
from image_builder.usecases.idempotent_requests import IdempotentRequest, IdempotentRequests
from ports.waiting import about_to_wait

# The value of the parameter `on_conflict` with which a blueprint of the same name gets a new version.
_UPDATE = "update"
# The value of the parameter `version` that stands for the latest version.
_LATEST = -1


@dataclass(frozen=True, slots=True)
class BlueprintsController:
    """Operations on blueprints; `link_base` is the path that links in answers begin with."""

    idempotent_requests: IdempotentRequests
    blueprints: ManageBlueprints
    export_blueprint: ExportBlueprint
    link_base: str

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getBlueprints": Route(self.list),
            "createBlueprint": Route(self.create, Lane.WAITING, rarely_waits=True, extra_memory=self.memory_to_create),
            "getBlueprint": Route(self.get, Lane.WAITING, rarely_waits=True),
            "updateBlueprint": Route(self.update, Lane.WAITING, rarely_waits=True, extra_memory=self.memory_to_update),
            "deleteBlueprint": Route(self.delete),
            "exportBlueprint": Route(self.export, Lane.WAITING, rarely_waits=True),
            "fixupBlueprint": Route(self.fixup, Lane.WAITING, rarely_waits=True),
        }

    def list(
        self,
        identity: Identity,
        name: str | None,
        search: str | None,
        sort: str | None,
        cursor: str | None,
        limit: int,
        offset: int,
    ) -> Answer:
        """Handle GET /blueprints."""
        order = sort or DEFAULT_SORT
        query = BlueprintsQuery(
            identity.tenant,
            Page(limit, offset),
            name or None,
            search or None,
            order,
            parse_cursor(cursor, offset, identity.tenant, order),
        )
        found = self.blueprints.list(query)
        filters = without_nulls({"name": name, "search": search, "sort": sort})
        data = [_item(blueprint) for blueprint in found.blueprints]
        neighbours = Neighbours.of(query.tenant, found.previous, found.next, query.cursor)
        path = f"{self.link_base}/blueprints"
        return page_answer(path, query.page, found.count, filters, data, neighbours=neighbours)

    def create(
        self,
        identity: Identity,
        body: dict[str, Any],
        idempotency_key: str | None,
        on_conflict: str | None,
        image_type: Sequence[str],
        **_query: object,
    ) -> Answer:
        """Handle POST /blueprints.

        `_query` holds the query parameters that the validation has merged into `body`.
        """
        if find_policy_id(body) is not None:
            about_to_wait()  # before the Idempotency-Key is stored
        self.blueprints.check_images(body, image_type)
        if on_conflict == _UPDATE:
            saved = self.blueprints.save(identity, body)
            return _with_etag(json_answer({"id": str(saved.id)}, 201 if saved.is_new else 200), saved.version)
        blueprint_id = self.idempotent_requests(
            identity,
            IdempotentRequest("/blueprints", idempotency_key, body),
            work=partial(self.blueprints.create, identity, body),
            known=_single_id,
        )
        return _with_etag(json_answer({"id": str(blueprint_id)}, 201), 1)

    def memory_to_create(self, on_conflict: str | None, **_: object) -> int | None:
        """0 if `create` reads the stored version of a blueprint, whose size is not known; see Route.extra_memory."""
        return 0 if on_conflict == _UPDATE else None

    def get(self, identity: Identity, id: UUID, version: int | None) -> Answer:  # noqa: A002 - its name in openapi.yaml
        """Handle GET /blueprints/{id}."""
        if version == 0:
            raise InvalidRequestError("version: expected a whole number from 1, or -1 for the latest")
        blueprint = self.blueprints.get(identity, id, None if version == _LATEST else version)
        return _with_etag(
            json_answer(_blueprint(blueprint, self.blueprints.lint(identity, blueprint))), blueprint.version
        )

    def update(
        self,
        identity: Identity,
        id: UUID,  # noqa: A002
        body: dict[str, Any],
        if_match: str | None,
        image_type: Sequence[str],
        **_query: object,
    ) -> Answer:
        """Handle PUT /blueprints/{id}."""
        self.blueprints.check_images(body, image_type)
        version = self.blueprints.update(identity, id, body, parse_if_match(if_match))
        return _with_etag(json_answer({"id": str(id)}), version)

    def memory_to_update(self, identity: Identity, id: UUID, **_: object) -> int:  # noqa: A002
        """Bytes that `update` needs for the stored version; see Route.extra_memory."""
        return self.blueprints.memory_to_update(identity, id)

    def delete(self, identity: Identity, id: UUID, if_match: str | None) -> Answer:  # noqa: A002
        """Handle DELETE /blueprints/{id}."""
        self.blueprints.delete(identity, id, parse_if_match(if_match))
        return empty_answer(204)

    def fixup(self, identity: Identity, id: UUID) -> Answer:  # noqa: A002
        """Handle POST /experimental/blueprints/{id}/fixup."""
        return _with_etag(empty_answer(), self.blueprints.fixup(identity, id))

    def export(self, identity: Identity, id: UUID, media_type: str) -> Answer:  # noqa: A002
        """Handle GET /blueprints/{id}/export."""
        if media_type == TOML:
            answer = toml_answer(format_export(self.export_blueprint(identity, id, with_repositories=False)))
        else:
            answer = json_answer(self.export_blueprint(identity, id).document)
        answer.headers["Vary"] = "Accept"
        return answer


def _single_id(ids: tuple[UUID, ...]) -> UUID:
    (blueprint_id,) = ids
    return blueprint_id


def _with_etag(answer: Answer, version: int) -> Answer:
    answer.headers["ETag"] = format_etag(version)
    return answer


def _item(blueprint: ListedBlueprint) -> dict[str, Any]:
    item = without_nulls(blueprint._asdict())
    return item if blueprint.labels is None else {**item, "labels": orjson.Fragment(blueprint.labels)}


def _blueprint(blueprint: Blueprint, lint: Lint) -> dict[str, Any]:
    return {
        "id": str(blueprint.id),
        "name": blueprint.name,
        "description": blueprint.description,
        **({} if blueprint.file_version is None else {"file_version": blueprint.file_version}),
        "lint": asdict(lint),
        **without_nulls({"created_by": blueprint.created_by, "modified_by": blueprint.modified_by}),
        **({"labels": blueprint.labels} if blueprint.labels else {}),
        **present_request(blueprint.body),
    }
