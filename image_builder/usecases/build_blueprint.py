"""Start builds of a blueprint's images (openapi.yaml, operation composeBlueprint)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.blueprints.blueprint import BlueprintVersion
from domain.blueprints.composing import create_compose_requests
from domain.errors import InvalidRequestError
from domain.identity import Identity
from domain.labels import NO_LABELS, Labels
from image_builder.usecases.compose import StartComposes, Started
from image_builder.usecases.footprint import memory_of, most_memory_of
from ports.build_budget import spend_builds
from ports.memory import release_set_aside, require_memory
from ports.store import Blueprints

Json = Mapping[str, Any]

_NO_DISTRIBUTION: Final = (
    "distribution: the blueprint has none. Save it with a distribution (in TOML: distro), or push the file again with "
    "the query parameter distribution"
)


@dataclass(frozen=True, slots=True)
class BuildBlueprint:
    """Starts builds of a blueprint.

    `validate` checks a ComposeRequest (openapi.yaml) and returns it with defaults: other requests may have been valid
    when the blueprint was stored.
    """

    blueprints: Blueprints
    validate: Callable[[Json], Json]
    start: StartComposes

    def __call__(
        self,
        identity: Identity,
        blueprint_id: UUID,
        client_id: str,
        image_types: Sequence[str] | None,
        key_id: UUID | None = None,
        labels: Labels = NO_LABELS,
    ) -> Started:
        """Start a build for each image of the latest version, in the version's order.

        `image_types` selects images by type; None selects all. `key_id` is the id under which the request
        claimed its Idempotency-Key. The builds get the labels of the blueprint, and `labels`, which win.

        Raises NotFoundError for a blueprint that is not the tenant's, InvalidRequestError for one without a
        distribution and for too many images or labels, RateLimitedError if the rate limit allows fewer builds, and the
        errors of StartComposes.
        """
        blueprint = self.blueprints.get(identity.tenant, blueprint_id, needed=most_memory_of)
        requests = create_compose_requests(blueprint, client_id, image_types, labels)
        if requests and "distribution" not in blueprint.body and "bootc" not in blueprint.body:
            raise InvalidRequestError(_NO_DISTRIBUTION)
        spend_builds(len(requests))
        require_memory(memory_of(requests))
        release_set_aside()  # not needed while the composer works, which may take long
        version = BlueprintVersion(blueprint.id, blueprint.version_id)
        return self.start(identity, self._complete(requests), version, key_id)

    def _complete(self, requests: Sequence[Json]) -> list[Json]:
        """Return the requests with defaults. They share one object with the customizations, because it may be large."""
        completed: list[Json] = []
        for request in requests:
            if completed:
                shared = {"customizations": completed[0]["customizations"]}
                completed.append({**self.validate({**request, "customizations": {}}), **shared})
            else:
                completed.append(self.validate(request))
        return completed
