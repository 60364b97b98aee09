"""A compose request, read from a document that has passed validation (openapi.yaml, schema ComposeRequest)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import InvalidRequestError
from domain.labels import NO_LABELS, Labels, check_labels

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BootcReference:
    """The bootable container (bootc) that a request names (openapi.yaml, schema BootcBody).

    `reference` is the image reference of the container that the image is built from, for instance
    `quay.io/organization/image:tag`. `iso_payload_reference` is that of the container that an installer ISO installs;
    None if the request names none.
    """

    reference: str
    iso_payload_reference: str | None


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The image of a compose request; the schema permits exactly one (openapi.yaml, schema ImageRequest).

    - `upload_type` is the upload target (schema UploadTypes). `upload_options` are as the caller sent them:
      `domain.compose.targets` checks them.
    - `size` is in bytes and not validated; it may be a number or a string, which `domain.compose.sizes` checks. None if
      the request has none.
    - `ostree` are the OSTree options (schema OSTree), None if the request has none.
    - `snapshot_date` is a time of RFC 3339 or yyyy-mm-dd, as the caller sent it.
    - `content_template` is the id of a content template, `content_template_name` its name.

    Optional strings are empty if the request leaves them out.
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
    def uses_snapshots(self) -> bool:
        """Whether the image is built from snapshots that a date or a content template selects."""
        return bool(self.snapshot_date or self.content_template)


@dataclass(frozen=True, slots=True)
class ComposeRequest:
    """A request for one image.

    `source` is the name of a distribution, or the bootable container that the image is built from. `customizations` is
    None if the request has none; this is kept apart from an empty object, which is sent to the composer as such.
    `image_name` is the caller's name for the image. `client_id` says which client sent the request (`ui`, `api`, …).
    `labels` are stored with the build, and not sent to the composer.
    """

    source: str | BootcReference
    image: ImageRequest
    customizations: Json | None
    image_name: str | None
    client_id: str
    labels: Labels = field(default_factory=dict)

    def has_customization(self, name: str) -> bool:
        """Return whether the request has the customization of that name (openapi.yaml, schema Customizations)."""
        return self.customizations is not None and name in self.customizations

    def get_customization(self, name: str, default: Any = None) -> Any:
        """Return the customization of that name, or `default` if the request has none."""
        return default if self.customizations is None else self.customizations.get(name, default)


def parse_compose_request(document: Json) -> ComposeRequest:
    """Create the request from a JSON body that has passed the validation by openapi.yaml.

    Raises InvalidRequestError unless the body has exactly one of `distribution` and `bootc`, at most one of snapshot
    date and content template, and labels that are allowed.
    """
    for _, error in find_request_faults(document):
        raise error
    return ComposeRequest(
        source=_parse_source(document),
        image=_parse_image(document["image_requests"][0]),
        customizations=document.get("customizations"),
        image_name=document.get("image_name"),
        client_id=document["client_id"],
        labels=document.get("labels", NO_LABELS),
    )


def find_request_faults(document: Json) -> Iterator[tuple[str, InvalidRequestError]]:
    """Yield all errors that `parse_compose_request` would raise, each with the path of its field.

    The path is empty for the request as a whole.
    """
    for path, check in (
        ("labels", lambda: check_labels(document.get("labels", NO_LABELS))),
        ("", lambda: _parse_source(document)),
        ("image_requests[0].snapshot_date", lambda: _check_snapshots(document["image_requests"][0])),
    ):
        try:
            check()
        except InvalidRequestError as error:
            yield path, error


def _check_snapshots(image: Json) -> None:
    if image.get("snapshot_date") and image.get("content_template"):
        raise InvalidRequestError("Either a snapshot date or content template can be specified, but not both")


def _parse_source(document: Json) -> str | BootcReference:
    distribution: str | None = document.get("distribution")
    bootc: Json | None = document.get("bootc")
    if distribution is not None and bootc is not None:
        raise InvalidRequestError("either distribution or bootc needs to be set, but not both")
    if distribution is not None:
        return distribution
    if bootc is not None:
        return BootcReference(bootc["reference"], bootc.get("iso_payload_reference"))
    raise InvalidRequestError("either distribution or bootc needs to be set")


def _parse_image(document: Json) -> ImageRequest:
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
