"""The controller of builds ("composes") (openapi.yaml, operations composeImage, getComposes and others)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from domain.cancellations import describe_cancellation
from domain.compose.passwords import is_redacted, present_request
from domain.composes import ComposesPage, ListedCompose
from domain.failures import Explanation, explain
from domain.identity import Identity
from domain.json_size import parsed_size
from domain.status import (
    ImageStatus,
    Progress,
    find_innermost_error,
    from_document,
    get_link_expiry,
    get_upload_options,
)
from image_builder.http.answers import Answer, empty_answer, json_answer
from image_builder.http.call import Lane, Route
from image_builder.http.compose_lists import ListRequest, list_request
from image_builder.http.long_poll import status_etag
from image_builder.http.pages import Neighbours, page_answer
from image_builder.http.preferences import STRICT, is_strict
from image_builder.http.quota import to_rate_limit
from image_builder.http.rate_limits import format_rate_limits
from image_builder.usecases.build_blueprint import BuildBlueprint
from image_builder.usecases.cancel import CancelBuilds
from image_builder.usecases.check import CheckComposes
from image_builder.usecases.compose import StartComposes, Started
from image_builder.usecases.composes import ComposeWithStatus, ManageComposes, with_stored_status
from image_builder.usecases.failures import ExplainFailure
from image_builder.usecases.idempotent_requests import IdempotentRequest, IdempotentRequests
from image_builder.usecases.rerun import RerunBuild
from ports.memory import reserve_memory

log = structlog.get_logger()

# A password and a null in the text of PostgreSQL's jsonb. Rows of older programs may contain them; rows of this service
# do not.
_CREDENTIAL: Final = '"password"'
_NULL: Final = ": null"
_IMAGES: Final = "image_requests"
_IMAGES_KEY: Final = f'"{_IMAGES}"'
# Characters: before a longer stored request is parsed, memory is reserved.
_MIN_RESERVED: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ComposesController:
    """Operations on composes; `link_base` is the path that links in answers begin with."""

    idempotent_requests: IdempotentRequests
    start_composes: StartComposes
    build_blueprint: BuildBlueprint
    composes: ManageComposes
    cancel_builds: CancelBuilds
    rerun_build: RerunBuild
    explain_failure: ExplainFailure
    check: CheckComposes
    link_base: str

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "composeImage": Route(self.create, Lane.WAITING),
            "composeBlueprint": Route(self.create_of_blueprint, Lane.WAITING),
            "getComposes": Route(self.list),
            "getBlueprintComposes": Route(self.list_of_blueprint),
            "getComposeStatus": Route(self.status, Lane.WAITING, rarely_waits=True, long_poll=True),
            "getComposeMetadata": Route(self.metadata, Lane.WAITING, rarely_waits=True),
            "cancelCompose": Route(self.cancel, Lane.WAITING),
            "rerunCompose": Route(self.rerun, Lane.WAITING),
            "updateComposeLabels": Route(self.update_labels),
            "deleteCompose": Route(self.delete),
        }

    def create(
        self, identity: Identity, body: dict[str, Any], idempotency_key: str | None, prefer: str | None
    ) -> Answer:
        """Handle POST /compose."""
        strict = is_strict(prefer)
        started = self.idempotent_requests(
            identity,
            IdempotentRequest("/compose", idempotency_key, body),
            work=partial(self._start, identity, body, strict),
            known=Started,
        )
        (answer,) = _ids(started)
        return _with_preference(_with_quota(json_answer(answer, 201), started), strict)

    def _start(self, identity: Identity, body: dict[str, Any], strict: bool, key_id: UUID | None) -> Started:
        if strict:
            self.check.refuse_problems(identity, (body,))
        return self.start_composes.one(identity, body, key_id)

    def create_of_blueprint(
        self,
        identity: Identity,
        id: UUID,  # noqa: A002 - its name in openapi.yaml
        body: dict[str, Any],
        x_image_builder_ui: str | None,
        idempotency_key: str | None,
        prefer: str | None,
    ) -> Answer:
        """Handle POST /blueprints/{id}/compose."""
        strict = is_strict(prefer)
        client_id = client_id_of(x_image_builder_ui)
        started = self.idempotent_requests(
            identity,
            IdempotentRequest(f"/blueprints/{id}/compose", idempotency_key, body),
            work=partial(
                self.build_blueprint,
                identity,
                id,
                client_id,
                body.get("image_types"),
                labels=body.get("labels") or {},
                strict=strict,
            ),
            known=Started,
        )
        return _with_preference(_with_quota(json_answer(_ids(started), 201), started), strict)

    def list(self, identity: Identity, **parameters: Any) -> Answer:
        """Handle GET /composes."""
        listed = list_request(identity, parameters)
        return self._page("/composes", listed, self.composes.list(listed.query))

    def list_of_blueprint(
        self,
        identity: Identity,
        id: UUID,  # noqa: A002 - its name in openapi.yaml
        blueprint_version: int | None,
        **parameters: Any,
    ) -> Answer:
        """Handle GET /blueprints/{id}/composes."""
        listed = list_request(identity, parameters, blueprint_version)
        found = self.composes.of_blueprint(listed.query, id, blueprint_version)
        return self._page(f"/blueprints/{id}/composes", listed, found)

    def status(self, identity: Identity, compose_id: UUID, **_conditions: str | None) -> Answer:
        """Handle GET /composes/{composeId}.

        `_conditions` are the headers Prefer and If-None-Match, which image_builder/http/long_poll.py honours.
        """
        found = self.composes.status(identity, compose_id)
        answer = self._answer(found)
        answer.headers["ETag"] = status_etag(found.status.status)
        return answer

    def cancel(self, identity: Identity, compose_id: UUID, idempotency_key: str | None) -> Answer:
        """Handle POST /composes/{composeId}/cancel."""
        found = self.idempotent_requests(
            identity,
            IdempotentRequest(f"/composes/{compose_id}/cancel", idempotency_key, {}),
            work=lambda _key: with_stored_status(self.cancel_builds(identity, compose_id)),
            known=lambda _ids: self.composes.status(identity, compose_id),
        )
        return self._answer(found)

    def rerun(self, identity: Identity, compose_id: UUID, body: dict[str, Any], idempotency_key: str | None) -> Answer:
        """Handle POST /composes/{composeId}/rerun."""
        started = self.idempotent_requests(
            identity,
            IdempotentRequest(f"/composes/{compose_id}/rerun", idempotency_key, body),
            work=partial(self.rerun_build, identity, compose_id, body.get("passwords") or {}),
            known=Started,
        )
        (answer,) = _ids(started)
        return _with_quota(json_answer(answer, 201), started)

    def update_labels(self, identity: Identity, compose_id: UUID, body: dict[str, Any]) -> Answer:
        """Handle PUT /composes/{composeId}/labels."""
        self.composes.replace_labels(identity, compose_id, body["labels"])
        return json_answer({"labels": body["labels"]})

    def _answer(self, found: ComposeWithStatus) -> Answer:
        error, request = found.status.error, found.compose.request
        explanation = None if error is None else self.explain_failure(error, request)
        status = _image_status(found.status, explanation)
        answer = json_answer({"image_status": status, "request": _request(request), **_facts(found)})
        if found.age is not None:
            answer.headers["Age"] = str(int(found.age.total_seconds()))
        return answer

    def metadata(self, identity: Identity, compose_id: UUID) -> Answer:
        """Handle GET /composes/{composeId}/metadata."""
        metadata = self.composes.metadata(identity, compose_id)
        return json_answer(orjson.Fragment(metadata) if isinstance(metadata, str | bytes) else metadata)

    def delete(self, identity: Identity, compose_id: UUID) -> Answer:
        """Handle DELETE /composes/{composeId}."""
        self.composes.delete(identity, compose_id)
        return empty_answer()

    def _page(self, path: str, listed: ListRequest, found: ComposesPage) -> Answer:
        data = [_item(compose) for compose in found.composes]
        query = listed.query
        neighbours = Neighbours.of(query.tenant, found.previous, found.next, query.cursor)
        return page_answer(self.link_base + path, query.page, found.count, listed.filters, data, neighbours=neighbours)


def _ids(started: Started) -> list[dict[str, str]]:
    return [{"id": str(compose_id)} for compose_id in started.ids]


def _with_quota(answer: Answer, started: Started) -> Answer:
    """Add RateLimit headers to the answer, which say how many builds the quota still allows."""
    if started.allowance is not None:
        answer.headers.update(format_rate_limits(to_rate_limit(started.allowance)))
    return answer


def _with_preference(answer: Answer, strict: bool) -> Answer:
    if strict:
        answer.headers["Preference-Applied"] = STRICT
    return answer


def client_id_of(interface: str | None) -> str:
    """Return the kind of program that sent the request, by its header X-ImageBuilder-ui."""
    if not interface:
        return "api"
    return "mcp" if interface == "mcp" else "ui"


def _item(compose: ListedCompose) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": compose.id,
        "request": orjson.Fragment(compose.request) if compose.as_shown else _request(compose.request),
        "created_at": compose.created_at,
    }
    if compose.image_name is not None:
        item["image_name"] = compose.image_name
    if compose.client_id is not None:
        item["client_id"] = compose.client_id
    if compose.blueprint_id is not None:
        item["blueprint_id"] = compose.blueprint_id
        item["blueprint_version"] = compose.blueprint_version
    if compose.created_by is not None:
        item["created_by"] = compose.created_by
    if compose.labels is not None:
        item["labels"] = orjson.Fragment(compose.labels)
    if compose.shortened:
        item["shortened"] = True
    if compose.status is not None:
        status = from_document(orjson.loads(compose.status))
        # Without similar names of packages, whose search takes too long for a page of builds.
        item["image_status"] = _image_status(status, None if status.error is None else explain(status.error))
    return item


def _facts(found: ComposeWithStatus) -> dict[str, Any]:
    """Return what is known of a build besides its request and status."""
    compose = found.compose
    facts = {
        "created_at": compose.created_at,
        "image_name": compose.image_name,
        "client_id": compose.client_id,
        "blueprint_id": compose.blueprint_id,
        "blueprint_version": compose.blueprint_version,
        "rerun_of": compose.rerun_of,
        "created_by": compose.created_by,
        "labels": compose.labels or None,
        "started_at": compose.times.started_at,
        "finished_at": compose.times.finished_at,
        **describe_cancellation(found.status),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _request(stored: str | bytes) -> orjson.Fragment:
    """Return the request of a stored build in the form in which clients get it.

    Bytes have that form already, except that `image_requests`, which openapi.yaml requires, may be missing. Text is the
    request as it is stored. It needs a change only in rows of older programs: passwords and nulls are removed, and
    `image_requests` is added.
    """
    if isinstance(stored, bytes):
        return orjson.Fragment(_with_images(stored))
    may_need_change = _CREDENTIAL in stored or _NULL in stored or _IMAGES_KEY not in stored
    if not may_need_change and '"users"' not in stored:
        return orjson.Fragment(stored)
    if len(stored) > _MIN_RESERVED:
        reserve_memory(parsed_size(stored.encode()))
    try:
        document = orjson.loads(stored)
        if isinstance(document, dict):
            unchanged = not may_need_change and is_redacted(document)
            return orjson.Fragment(stored if unchanged else orjson.dumps({_IMAGES: [], **present_request(document)}))
    except (ValueError, TypeError, RecursionError):
        pass  # PostgreSQL stores numbers and levels of nesting that orjson cannot read
    # One unreadable request must not fail the whole list, so the answer has an empty one in its place.
    log.warning("stored request cannot be read, answered without its content")
    return orjson.Fragment(orjson.dumps({_IMAGES: []}))


def _with_images(shown_request: bytes) -> bytes:
    """Add an empty `image_requests` to a JSON object without it. The object is not parsed, because it may be large."""
    rest = shown_request.removeprefix(b"{")
    if _IMAGES_KEY.encode() in shown_request or rest == shown_request:
        return shown_request
    separator = b"" if rest.strip() == b"}" else b","
    return b"".join([b'{"', _IMAGES.encode(), b'":[]', separator, rest])


def _image_status(status: ImageStatus, explanation: Explanation | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": status.status}
    if status.progress is not None:
        answer["progress"] = _progress(status.progress)
    upload = status.upload_status
    if upload is not None:
        answer["upload_status"] = {
            "status": upload.status,
            "type": upload.type,
            "options": get_upload_options(upload),
        }
        expires_at = get_link_expiry(upload)
        if expires_at is not None:
            answer["upload_status"]["expires_at"] = expires_at
    if status.error is not None:
        error = find_innermost_error(status.error)
        details = {} if error.details is None else {"details": error.details}
        explained = {} if explanation is None else asdict(explanation)
        answer["error"] = {"id": error.id, "reason": error.reason, **details, **explained}
    return answer


def _progress(progress: Progress) -> dict[str, Any]:
    answer: dict[str, Any] = {"done": progress.done, "total": progress.total}
    if progress.subprogress is not None:
        answer["subprogress"] = _progress(progress.subprogress)
    return answer
