"""The controller of operations about the service (openapi.yaml: getVersion, getReadiness, getOpenapiJson)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Response

from domain.errors import UnavailableError
from domain.identity import Identity
from image_builder.http.answers import encoded_json_answer, json_answer
from image_builder.http.call import Lane, Route
from image_builder.http.contract import Contract
from image_builder.http.errors import HttpError
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

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getVersion": Route(self.version),
            "getReadiness": Route(self.ready, Lane.WAITING),
            "getOpenapiJson": Route(self.openapi),
        }

    def version(self, identity: Identity | None = None) -> Response:  # noqa: ARG002 - the same for all callers
        """Handle GET /version."""
        return json_answer(self.version_document())

    def version_document(self) -> dict[str, str]:
        """Return the document that GET /version and the liveness probe answer."""
        known = {"build_commit": self.build.commit, "build_time": self.build.time}
        return {"version": self.contract.version, **{name: value for name, value in known.items() if value}}

    def ready(self, identity: Identity) -> Response:  # noqa: ARG002 - the same for all callers
        """Handle GET /ready."""
        self.database()
        try:
            self.composer()
        except UnavailableError as error:
            raise HttpError(500, error.detail) from error
        return json_answer({"readiness": "ready"})

    def openapi(self) -> Response:
        """Handle GET /openapi.json."""
        return encoded_json_answer(self.contract.encoded)
