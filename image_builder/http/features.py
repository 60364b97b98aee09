"""The controller of the operation getFeatures (openapi.yaml): the images that this installation builds, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from domain.compose import sizes, targets
from domain.distributions import Architecture, Distribution
from domain.identity import Identity
from image_builder.http.answers import Answer, json_answer
from image_builder.http.bounds import Bounds
from image_builder.http.call import Lane, Route
from image_builder.usecases.features import ShowFeatures


@dataclass(frozen=True, slots=True)
class FeaturesController:
    """The operation getFeatures; `max_body_bytes` is the maximum size of a request body in bytes."""

    show_features: ShowFeatures
    bounds: Bounds
    max_body_bytes: int

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getFeatures": Route(self.get, Lane.WAITING, rarely_waits=True),
        }

    def get(self, identity: Identity) -> Answer:
        """Handle GET /features."""
        available = self.show_features(identity)
        bounds = self.bounds
        return json_answer(
            {
                "distributions": [_distribution(each) for each in available.distributions],
                "architectures": bounds.architectures,
                "image_types": [_image_type(name, bounds.upload_targets) for name in bounds.image_types],
                "upload_targets": [_upload_target(name, bounds.image_types) for name in bounds.upload_targets],
                "customizations": bounds.customizations,
                "limits": {
                    "body": self.max_body_bytes,
                    "values": bounds.values,
                    **{kind: asdict(lengths) for kind, lengths in bounds.lengths.items()},
                    "page_sizes": {path: asdict(page_sizes) for path, page_sizes in bounds.page_sizes.items()},
                },
                "back_ends": asdict(available.back_ends),
                "compliance_policies": available.compliance_policies,
                "operations": bounds.operations,
            }
        )


def _distribution(distribution: Distribution) -> dict[str, Any]:
    return {
        "name": distribution.name,
        "description": distribution.description,
        "needs_entitlement": distribution.needs_entitlement,
        "needs_allow_list": distribution.restricted,
        "architectures": [_architecture(each) for each in distribution.architectures.values()],
    }


def _architecture(architecture: Architecture) -> dict[str, Any]:
    return {
        "arch": architecture.name,
        "image_types": architecture.image_types,
        "bootc_image_types": sorted({image.type for image in architecture.bootc}),
    }


def _image_type(name: str, upload_targets: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "upload_targets": [target for target in upload_targets if targets.accepts(target, name)],
        "largest_size": sizes.get_size_limit(name),
    }


def _upload_target(name: str, image_types: tuple[str, ...]) -> dict[str, Any]:
    longest = targets.MAX_IMAGE_NAME_LENGTHS.get(name)
    return {
        "name": name,
        "image_types": [image_type for image_type in image_types if targets.accepts(name, image_type)],
        **({} if longest is None else {"longest_image_name": longest}),
    }
