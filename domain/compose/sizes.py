"""How large an image may be (spec: the cloud's own limits)."""

from __future__ import annotations

from typing import Final

from domain.compose.request import ComposeRequest
from domain.errors import InvalidRequestError

GIB: Final = 1024**3
LARGEST_SIZE: Final = 2**64 - 1
LIMITS: Final = {
    "aws": ("AWS", 64 * GIB),
    "ami": ("AWS", 64 * GIB),
    "azure": ("Azure", 128 * GIB),
    "vhd": ("Azure", 128 * GIB),
}
_NO_CLOUD: Final = ("", LARGEST_SIZE)


def check(request: ComposeRequest) -> None:
    """Raise InvalidRequestError where a size is no number of bytes, or the image larger than its target takes."""
    image = request.image
    size = 0 if image.size is None else whole_bytes(image.size, "image_requests[0].size")
    filesystems = (request.customizations or {}).get("filesystem", ())
    total = sum(
        whole_bytes(filesystem["min_size"], f"customizations.filesystem[{index}].min_size")
        for index, filesystem in enumerate(filesystems)
    )
    cloud, limit = LIMITS.get(image.image_type, _NO_CLOUD)
    if cloud and max(size, total) > limit:
        raise InvalidRequestError(f"Total {cloud} image size cannot exceed {limit} bytes")


def largest(image_type: str) -> int:
    """How many bytes an image of this type may have."""
    _cloud, limit = LIMITS.get(image_type, _NO_CLOUD)
    return limit


def whole_bytes(value: object, field: str) -> int:
    """`value` as a number of bytes. Raises InvalidRequestError for all but whole numbers from 0 to 2^64-1."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SIZE:
        raise InvalidRequestError(f"{field}: expected a whole number of bytes from 0 to {LARGEST_SIZE}")
    return value
