"""A compose request, read from a document that has passed validation (openapi.yaml, schema ComposeRequest)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidRequestError

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BootcReference:
    """The bootable container that a request names (openapi.yaml, schema BootcBody).

    `iso_payload_reference` is the container that an installer ISO installs; None where the request names none.
    """

    reference: str
    iso_payload_reference: str | None


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The one image of a compose request (openapi.yaml, schema ImageRequest).

    `size` is in bytes, None where the request gives none. `size` and `upload_options` are as the caller sent them:
    `domain.compose.sizes` and `domain.compose.targets` check them. Texts are empty where the request leaves them out.
    """

    architecture: str
    image_type: str
    upload_type: str
    upload_options: Json
    size: object = None
    ostree: Json | None = None
    snapshot_date: str = ""
    content_template: str = ""
    content_template_name: str = ""

    @property
    def has_snapshots(self) -> bool:
        """Whether the image is built from the snapshots of a date or of a content template."""
        return bool(self.snapshot_date or self.content_template)


@dataclass(frozen=True, slots=True)
class ComposeRequest:
    """A request for one image.

    `source` is the name of a distribution, or the bootable container that the image is built from. `customizations` is
    None where the request has none; an empty object is a different request.
    """

    source: str | BootcReference
    image: ImageRequest
    customizations: Json | None
    image_name: str | None
    client_id: str

    def has_customization(self, name: str) -> bool:
        """Whether the request has the customization of that name (openapi.yaml, schema Customizations)."""
        return self.customizations is not None and name in self.customizations

    def get_customization(self, name: str, default: Any = None) -> Any:
        """The customization of that name, or `default` where the request has none."""
        return default if self.customizations is None else self.customizations.get(name, default)


def read(document: Json) -> ComposeRequest:
    """Read the request from a document that has passed validation.

    Raises InvalidRequestError unless the document gives exactly one of `distribution` and `bootc`, and at most one of
    snapshot date and content template.
    """
    source = _read_source(document)
    image = _read_image(document["image_requests"][0])
    if image.snapshot_date and image.content_template:
        raise InvalidRequestError("Either a snapshot date or content template can be specified, but not both")
    return ComposeRequest(
        source=source,
        image=image,
        customizations=document.get("customizations"),
        image_name=document.get("image_name"),
        client_id=document["client_id"],
    )


def _read_source(document: Json) -> str | BootcReference:
    distribution: str | None = document.get("distribution")
    bootc: Json | None = document.get("bootc")
    if distribution is not None and bootc is not None:
        raise InvalidRequestError("either distribution or bootc needs to be set, but not both")
    if distribution is not None:
        return distribution
    if bootc is not None:
        return BootcReference(bootc["reference"], bootc.get("iso_payload_reference"))
    raise InvalidRequestError("either distribution or bootc needs to be set")


def _read_image(document: Json) -> ImageRequest:
    upload = document["upload_request"]
    return ImageRequest(
        architecture=document["architecture"],
        image_type=document["image_type"],
        upload_type=upload["type"],
        upload_options=upload["options"],
        size=document.get("size"),
        ostree=document.get("ostree"),
        snapshot_date=document.get("snapshot_date", ""),
        content_template=document.get("content_template", ""),
        content_template_name=document.get("content_template_name", ""),
    )
