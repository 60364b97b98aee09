"""Build a blueprint's images (contract: composeBlueprint)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.blueprints.composing import compose_requests
from domain.identity import Identity
from image_builder.usecases.compose import StartComposes, Started
from ports.build_budget import spend_builds
from ports.store import Blueprints


@dataclass(frozen=True, slots=True)
class BuildBlueprint:
    """`completed` checks a ComposeRequest and fills in what it leaves out: blueprints are older than their contract."""

    blueprints: Blueprints
    completed: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    start: StartComposes

    def __call__(
        self,
        identity: Identity,
        blueprint_id: UUID,
        client_id: str,
        image_types: Sequence[str] | None,
        key: UUID | None = None,
    ) -> Started:
        """The builds of its latest version, in the order of its images; None for all image types.

        Raises NotFoundError unless it is this tenant's, InvalidRequestError for too many images, RateLimitedError
        where the rate limit allows fewer builds, and whatever StartComposes raises.
        """
        blueprint = self.blueprints.get(identity.tenant, blueprint_id)
        requests = compose_requests(blueprint, client_id, image_types)
        spend_builds(len(requests))
        documents = [self.completed(each) for each in requests]
        return self.start(identity, documents, blueprint.version_id, key)
