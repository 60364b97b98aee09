"""Start a build again from its stored request (openapi.yaml, operation rerunCompose)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from domain.blueprints.blueprint import Blueprint, BlueprintVersion
from domain.compose.rerun import create_rerun_request
from domain.composes import StoredCompose
from domain.errors import InvalidRequestError, NotFoundError
from domain.identity import Identity
from domain.json_size import parsed_size
from image_builder.usecases.compose import StartComposes, Started
from image_builder.usecases.footprint import memory_of
from ports.memory import require_memory, reserve_memory
from ports.store import Blueprints, Composes

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RerunBuild:
    """Starts a build from the stored request of an earlier build.

    `validate` checks a ComposeRequest (openapi.yaml) and returns it with defaults: other requests may have been valid
    when the earlier build was started.
    """

    composes: Composes
    blueprints: Blueprints
    validate: Callable[[Json], Json]
    start: StartComposes

    def __call__(
        self, identity: Identity, compose_id: UUID, passwords: Mapping[str, str], key_id: UUID | None = None
    ) -> Started:
        """Start a build by today's rules from the stored request and labels of the build `compose_id`.

        `passwords` has the users' passwords by user name. Unless the earlier build was started from a blueprint, every
        user that had a password needs one here, because passwords are not stored with builds. `key_id` is the id of the
        claimed Idempotency-Key, None for a request without a key.

        Raises NotFoundError if the tenant has no such build, InvalidRequestError for missing passwords and for a
        request that is not valid any more, and the errors of StartComposes.
        """
        stored = self.composes.get(identity.tenant, compose_id)
        if stored is None:
            raise NotFoundError("Compose not found")
        blueprint = self._blueprint(identity, stored)
        body = None if blueprint is None else blueprint.body
        document = create_rerun_request(_parse(stored.request), passwords, body)
        request = self.validate({**document, "labels": stored.labels} if stored.labels else document)
        require_memory(memory_of([request]))
        version = None if blueprint is None else BlueprintVersion(blueprint.id, blueprint.version_id)
        return self.start(identity, (request,), version, key_id, rerun_of=compose_id)

    def _blueprint(self, identity: Identity, stored: StoredCompose) -> Blueprint | None:
        """Return the version of the blueprint that the build was started from, None for no blueprint."""
        if stored.blueprint_id is None:
            return None
        return self.blueprints.get(identity.tenant, stored.blueprint_id, stored.blueprint_version)


def _parse(request: str | bytes) -> Any:
    encoded = request if isinstance(request, bytes) else request.encode()
    reserve_memory(parsed_size(encoded))
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError:
        raise InvalidRequestError("The stored request of this build cannot be read") from None
