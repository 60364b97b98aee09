"""Limits of image sizes."""

from __future__ import annotations

from typing import Final

from domain.compose.request import ComposeRequest
from domain.errors import InvalidRequestError

GIB: Final = 1024**3
# In bytes: the composer reads a size as an unsigned number of 64 bits.
MAX_SIZE: Final = 2**64 - 1
# For each image type of a cloud: the cloud's name, and the largest image that the cloud accepts, in bytes.
LIMITS: Final = {
    "aws": ("AWS", 64 * GIB),
    "ami": ("AWS", 64 * GIB),
    "azure": ("Azure", 128 * GIB),
    "vhd": ("Azure", 128 * GIB),
}
_NO_CLOUD: Final = ("", MAX_SIZE)


def check_sizes(request: ComposeRequest) -> None:
    """Raise InvalidRequestError for a size that is not a number of bytes, or an image too large for its cloud."""
    image = request.image
    size = 0 if image.size is None else parse_size(image.size, "image_requests[0].size")
    filesystems = request.get_customization("filesystem", ())
    total = sum(
        parse_size(filesystem["min_size"], f"customizations.filesystem[{index}].min_size")
        for index, filesystem in enumerate(filesystems)
    )
    cloud, limit = LIMITS.get(image.image_type, _NO_CLOUD)
    if cloud and max(size, total) > limit:
        raise InvalidRequestError(f"Total {cloud} image size cannot exceed {limit} bytes")


def get_size_limit(image_type: str) -> int:
    """Return the largest size in bytes of an image of this type."""
    _cloud, limit = LIMITS.get(image_type, _NO_CLOUD)
    return limit


def parse_size(value: object, field: str) -> int:
    """Return the value of a field as a number of bytes.

    Raises InvalidRequestError, which names the field, unless the value is a whole number from 0 to MAX_SIZE.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
        raise InvalidRequestError(f"{field}: expected a whole number of bytes from 0 to {MAX_SIZE}")
    return value
