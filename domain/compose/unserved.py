"""What the contract has and this service does not carry out yet: refused by name, never dropped."""

from __future__ import annotations

from collections.abc import Iterator

from domain.compose.request import ComposeRequest
from domain.errors import InvalidRequestError


def refuse(request: ComposeRequest) -> None:
    """Raise InvalidRequestError naming each thing of the request that is not served yet."""
    found = ", ".join(_unserved(request))
    if found:
        raise InvalidRequestError(f"not supported by this service yet: {found}")


def _unserved(request: ComposeRequest) -> Iterator[str]:
    if request.image.snapshot_date:
        yield "image_requests[0].snapshot_date"
    if request.image.content_template:
        yield "image_requests[0].content_template"
    if request.image.upload_type == "aws" and request.image.upload_options.get("share_with_sources"):
        yield "image_requests[0].upload_request.options.share_with_sources"
    customizations = request.customizations or {}
    for name in ("payload_repositories", "custom_repositories", "subscription", "aap_registration"):
        if customizations.get(name):
            yield f"customizations.{name}"
    if "policy_id" in customizations.get("openscap", {}):
        yield "customizations.openscap.policy_id"
