"""A compose request, read from a document that fits the contract's `ComposeRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidRequestError

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bootc:
    """The bootable container an image is made from."""

    reference: str
    iso_payload_reference: str | None


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The one image a compose makes; `size` in bytes and `upload_options` as sent, not yet checked."""

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
        """Whether the image is built from snapshots, by date or of a template."""
        return bool(self.snapshot_date or self.content_template)


@dataclass(frozen=True, slots=True)
class ComposeRequest:
    """What a caller wants built; exactly one of `distribution` and `bootc` is set.

    `customizations` is None where the request has none, which is not the same as empty.
    """

    distribution: str | None
    bootc: Bootc | None
    image: ImageRequest
    customizations: Json | None
    image_name: str | None
    client_id: str


def read(document: Json) -> ComposeRequest:
    """The request in a document that fits the contract.

    Raises InvalidRequestError unless exactly one of distribution and bootc is given, and at most one of snapshot
    date and content template.
    """
    distribution, bootc = document.get("distribution"), document.get("bootc")
    if distribution is None and bootc is None:
        raise InvalidRequestError("either distribution or bootc needs to be set")
    if distribution is not None and bootc is not None:
        raise InvalidRequestError("either distribution or bootc needs to be set, but not both")
    image = _image(document["image_requests"][0])
    if image.snapshot_date and image.content_template:
        raise InvalidRequestError("Either a snapshot date or content template can be specified, but not both")
    return ComposeRequest(
        distribution=distribution,
        bootc=None if bootc is None else Bootc(bootc["reference"], bootc.get("iso_payload_reference")),
        image=image,
        customizations=document.get("customizations"),
        image_name=document.get("image_name"),
        client_id=document["client_id"],
    )


def _image(document: Json) -> ImageRequest:
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
