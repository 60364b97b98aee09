"""The controller of operations about the service (openapi.yaml: getVersion, getReadiness, getOpenapiJson)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from domain.errors import InvalidRequestError, UnavailableError
from domain.identity import Identity
from image_builder.http.answers import Answer, encoded_json_answer, json_answer, not_modified
from image_builder.http.call import Lane, Route
from image_builder.http.contract import Contract
from image_builder.http.entity_tags import is_known_tag, parse_if_none_match
from image_builder.http.errors import HttpError
from image_builder.http.json_body import encode_json_body
from image_builder.usecases.readiness import Probe


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """The commit that the running program was built from, and the time of that build; each is empty if unknown."""

    commit: str
    time: str


@dataclass(frozen=True, slots=True)
class MetaController:
    """Operations about the service: version, readiness, API document."""

    contract: Contract
    build: BuildInfo
    database: Probe
    composer: Probe
    # The body of GET /version and of the liveness probe.
    encoded_version: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Encode the version, which never changes."""
        known = {"build_commit": self.build.commit, "build_time": self.build.time}
        document = {"version": self.contract.version, **{name: value for name, value in known.items() if value}}
        object.__setattr__(self, "encoded_version", encode_json_body(document))

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getVersion": Route(self.version, at_once=True),
            "getReadiness": Route(self.ready, Lane.WAITING),
            "getOpenapiJson": Route(self.openapi, at_once=True),
        }

    def version(self, identity: Identity | None = None) -> Answer:  # noqa: ARG002 - the same for all callers
        """Handle GET /version."""
        return encoded_json_answer(self.encoded_version)

    def ready(self, identity: Identity) -> Answer:  # noqa: ARG002 - the same for all callers
        """Handle GET /ready."""
        self.database()
        try:
            self.composer()
        except UnavailableError as error:
            raise HttpError(500, error.detail) from error
        return json_answer({"readiness": "ready"})

    def openapi(self, if_none_match: str | None) -> Answer:
        """Handle GET /openapi.json. If-None-Match is ignored if it is no list of entity tags: any tool may ask."""
        etag = self.contract.etag
        with suppress(InvalidRequestError):
            if is_known_tag(etag, parse_if_none_match(if_none_match)):
                return not_modified(etag)
        answer = encoded_json_answer(self.contract.encoded)
        answer.headers["ETag"] = etag
        return answer
